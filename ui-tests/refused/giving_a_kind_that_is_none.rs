use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};

struct Weekly;

#[digime_contract(kind = Weekly)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn main() {}
