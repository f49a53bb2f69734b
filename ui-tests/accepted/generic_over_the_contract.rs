use digime::{Authorized, Callback, Client, Error, Flow, OngoingContract, PostboxItem};

async fn authorize<C: OngoingContract>(
    contract: &C,
    client: &Client,
    callback: Callback,
) -> Result<Flow<C, Authorized>, Error> {
    let flow = contract.flow(client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    println!("open {}", awaiting.url());
    Ok(awaiting.exchange_code(callback).await?)
}

async fn push<C>(authorized: &Flow<C, Authorized>) -> Result<(), Error> {
    let delivery = authorized.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn can_be_sent<T: Send>(_: T) {}

fn futures_are_send<C: OngoingContract + Sync>(contract: &C, client: &Client, callback: Callback) {
    can_be_sent(authorize(contract, client, callback));
}

fn main() {
    let _ = |authorized: &Flow<(), Authorized>| can_be_sent(push(authorized));
}
