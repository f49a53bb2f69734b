use digime::{ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once, application_id = " app-1")]
struct Receipts {
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn main() {}
