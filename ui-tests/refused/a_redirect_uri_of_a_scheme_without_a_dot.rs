use digime::{ApplicationId, ContractId, PrivateKey, digime_contract};

#[digime_contract(once, redirect_uri = "shop:/digime")]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
}

fn main() {}
