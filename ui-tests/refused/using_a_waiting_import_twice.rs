use digime::{
    ApplicationId, Callback, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract,
};
use digime_import::{Import, ImportFlow};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(receipts: &Receipts, client: &Client, callback: Callback) -> Result<(), Error> {
    let awaiting = receipts.flow(client).authorize().await?;
    let connected = awaiting.exchange_code(callback.clone()).await?;
    let again = awaiting.exchange_code(callback).await?;
    println!("{connected:?} {again:?}");
    Ok(())
}

fn main() {}
