use digime::{PrivateKey, digime_contract};

#[digime_contract(onec, contract_id = "", redirect_uri = "/digime")]
struct Welcome {
    application_id: String,
    #[digime(shop)]
    shop: String,
    private_key: PrivateKey,
}

fn begin(welcome: &Welcome, client: &digime::Client) -> WelcomeFlow {
    welcome.flow(client)
}

fn main() {}
