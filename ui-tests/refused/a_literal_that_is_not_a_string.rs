use digime::{ApplicationId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once, contract_id = 7)]
struct Receipts {
    application_id: ApplicationId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn main() {}
