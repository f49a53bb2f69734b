use digime::{Authorized, Error, Flow, PostboxItem};
use digime_extending::review::Review;

async fn approve<C>(authorized: Flow<C, Authorized>, receipt: PostboxItem) -> Result<(), Error> {
    let approved = authorized.approve("Ada".to_owned()).await?;
    let delivery = approved.push(receipt).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
