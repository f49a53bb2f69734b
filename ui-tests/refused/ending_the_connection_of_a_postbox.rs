use digime::store::{MemoryStore, SharedTokens};
use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};
use digime_import::end_connection;

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn leave(
    tokens: &SharedTokens<MemoryStore>,
    receipts: &Receipts,
    client: &Client,
) -> Result<(), Error> {
    let end = end_connection(tokens, "customer-42", receipts, client).await?;
    println!("{end:?}");
    Ok(())
}

fn main() {}
