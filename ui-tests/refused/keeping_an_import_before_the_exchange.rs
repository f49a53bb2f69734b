use digime::store::{MemoryStore, SharedTokens};
use digime::{
    ApplicationId, ContractId, Error, Flow, PrivateKey, RedirectUri, Verifier, digime_contract,
};
use digime_import::{AwaitingConsent, Import, ImportFlow};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn keep(
    tokens: &SharedTokens<MemoryStore>,
    awaiting: Flow<Receipts, AwaitingConsent<Verifier>>,
) -> Result<(), Error> {
    let kept = tokens.keep("customer-42", awaiting).await?;
    println!("open {}", kept.url());
    Ok(())
}

fn main() {}
