use digime::{ApplicationId, ContractId, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Welcome<K> {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: K,
    redirect_uri: RedirectUri,
}

fn main() {}
