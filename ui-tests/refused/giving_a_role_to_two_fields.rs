use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
    #[digime(private_key)]
    other: PrivateKey,
}

fn main() {}
