use digime::{Authorized, Delivery, Error, Flow, PostboxItem};
use digime_extending::review::Review;

async fn push<C>(authorized: Flow<C, Authorized>, receipt: PostboxItem) -> Result<Delivery, Error> {
    let under_review = authorized.submit("receipts of March".to_owned());
    Ok(under_review.push(receipt).await?)
}

fn main() {}
