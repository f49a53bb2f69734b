use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

impl digime::OngoingContract for Welcome {}

fn main() {}
