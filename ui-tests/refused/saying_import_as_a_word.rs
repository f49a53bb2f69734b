use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};
use digime_import::ImportFlow;

#[digime_contract(import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask(receipts: &Receipts, client: &Client) -> Result<(), Error> {
    let awaiting = receipts.flow(client).authorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
