use digime::{ApplicationId, ContractId, RedirectUri, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: Vec<u8>,
    redirect_uri: RedirectUri,
}

fn main() {}
