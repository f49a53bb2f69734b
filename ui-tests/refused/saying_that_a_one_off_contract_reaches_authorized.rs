use digime::suspended::Reaches;
use digime::{ApplicationId, Authorized, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

impl Reaches<Authorized> for Welcome {}

fn main() {}
