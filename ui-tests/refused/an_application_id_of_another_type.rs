use digime::{ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Receipts {
    application_id: String,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn main() {}
