use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: Option<ContractId>,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn main() {}
