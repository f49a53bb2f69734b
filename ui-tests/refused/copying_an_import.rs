use digime::{ApplicationId, ContractId, Flow, PrivateKey, RedirectUri, Verifier, digime_contract};
use digime_import::{AwaitingConsent, Import, ImportFlow};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn copy(awaiting: Flow<Receipts, AwaitingConsent<Verifier>>) {
    let other = awaiting.clone();
    println!("open {}", other.url());
}

fn main() {}
