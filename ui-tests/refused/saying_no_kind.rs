use digime::{
    ApplicationId, Callback, Client, ContractId, PostboxItem, PrivateKey, RedirectUri,
    digime_contract,
};

#[digime_contract]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(receipts: Receipts, callback: Callback) -> Result<(), digime::Error> {
    let client = Client::new();
    let flow = receipts.flow(&client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    println!("{}", awaiting.url());
    let ready = awaiting.receive_postbox(callback)?;
    let _ = ready.push(PostboxItem::file("receipt.pdf")).await?;
    Ok(())
}

async fn authorize(receipts: Receipts, callback: Callback) -> Result<(), digime::Error> {
    let flow = receipts.flow(&Client::new());
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let authorized = awaiting.exchange_code(callback).await?;
    let _ = authorized.push(PostboxItem::file("receipt.pdf")).await?;
    Ok(())
}

fn main() {}
