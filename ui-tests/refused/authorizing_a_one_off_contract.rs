use digime::{
    ApplicationId, Callback, Client, ContractId, Error, PostboxItem, PrivateKey, RedirectUri,
    digime_contract,
};
use digime_import::ImportFlow;

#[digime_contract(once)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(receipts: &Receipts, client: &Client, callback: Callback) -> Result<(), Error> {
    let awaiting = receipts.flow(client).authorize().await?;
    println!("open {}", awaiting.url());
    let connected = awaiting.exchange_code(callback).await?;
    let _ = connected.push(PostboxItem::file("receipt.pdf")).await?;
    Ok(())
}

fn main() {}
