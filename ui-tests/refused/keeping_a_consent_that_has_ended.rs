use digime::store::{MemoryStore, SharedTokens};
use digime::{ApplicationId, ContractId, Error, Flow, PrivateKey, RedirectUri, digime_contract};
use digime_import::{Import, Lapsed};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn keep(
    tokens: &SharedTokens<MemoryStore>,
    lapsed: Flow<Receipts, Lapsed>,
) -> Result<(), Error> {
    let kept = tokens.keep("customer-42", lapsed).await?;
    println!("{:?}", kept.as_state().code());
    Ok(())
}

fn main() {}
