use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    redirect_uri: RedirectUri,
    signing_key: PrivateKey,
}

fn main() {}
