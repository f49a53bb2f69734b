use digime::{PrivateKey, digime_contract};

#[digime_contract(
    once,
    crate = framework::digime,
    application_id = "a",
    contract_id = "c",
    redirect_uri = "https://shop.example/digime"
)]
struct Welcome {
    private_key: PrivateKey,
}

fn begin(welcome: &Welcome, client: &digime::Client) -> WelcomeFlow {
    welcome.flow(client)
}

fn main() {
    let _ = begin;
}
