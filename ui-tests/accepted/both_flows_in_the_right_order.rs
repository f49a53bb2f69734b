use digime::{
    ApplicationId, Callback, Client, ContractId, Delivery, Error, PostboxItem, PrivateKey,
    RedirectUri, digime_contract,
};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push_once(
    welcome: Welcome,
    client: Client,
    callback: Callback,
) -> Result<Delivery, Error> {
    let flow = welcome.flow(&client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    println!("open {}", awaiting.url());
    let ready = awaiting.receive_postbox(callback)?;
    ready.push(PostboxItem::file("welcome.pdf")).await
}

async fn push_ongoing(
    receipts: Receipts,
    client: Client,
    callback: Callback,
) -> Result<Delivery, Error> {
    let flow: ReceiptsFlow = receipts.flow(&client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    println!("open {}", awaiting.url());
    let authorized = awaiting.exchange_code(callback).await?;
    authorized
        .push(
            PostboxItem::file("receipt.pdf")
                .account("customer-42")
                .tag("receipt"),
        )
        .await
}

fn can_be_sent<T: Send>(_: T) {}

fn futures_are_send(welcome: Welcome, receipts: Receipts, client: Client, callback: Callback) {
    can_be_sent(push_once(welcome, client.clone(), callback.clone()));
    can_be_sent(push_ongoing(receipts, client, callback));
}

fn main() {}
