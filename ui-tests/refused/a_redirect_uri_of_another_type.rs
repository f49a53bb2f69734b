use digime::{ApplicationId, ContractId, PrivateKey, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: &'static str,
}

fn main() {}
