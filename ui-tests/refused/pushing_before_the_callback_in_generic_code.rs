use digime::{AwaitingCallback, Error, Flow, OngoingContract, PostboxItem, Verifier};

async fn push<C: OngoingContract>(
    awaiting: Flow<C, AwaitingCallback<Verifier>>,
) -> Result<(), Error> {
    let delivery = awaiting.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
