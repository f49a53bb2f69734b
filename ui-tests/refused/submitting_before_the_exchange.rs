use digime::{AwaitingCallback, Error, Flow, PostboxItem, Verifier};
use digime_extending::review::Review;

async fn submit<C>(
    awaiting: Flow<C, AwaitingCallback<Verifier>>,
    receipt: PostboxItem,
) -> Result<(), Error> {
    let under_review = awaiting.submit("receipts of March".to_owned());
    let approved = under_review.approve("Ada".to_owned()).await?;
    let delivery = approved.push(receipt).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
