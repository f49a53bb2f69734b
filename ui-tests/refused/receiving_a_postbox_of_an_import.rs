use digime::{
    ApplicationId, Callback, Client, ContractId, Error, PostboxItem, PrivateKey, RedirectUri,
    digime_contract,
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
    let ready = awaiting.receive_postbox(callback)?;
    let delivery = ready.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
