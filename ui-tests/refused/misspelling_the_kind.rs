use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(one_off)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn main() {}
