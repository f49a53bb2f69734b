use digime::{ApplicationId, ContractId, RedirectUri, digime_contract};

#[digime_contract(once, private_key = "-----BEGIN RSA PRIVATE KEY-----")]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    redirect_uri: RedirectUri,
}

fn main() {}
