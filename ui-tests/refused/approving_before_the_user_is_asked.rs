use digime::{Error, Flow, PostboxItem};
use digime_extending::review::Review;

async fn approve<C>(flow: Flow<C>, receipt: PostboxItem) -> Result<(), Error> {
    let approved = flow.approve("Ada".to_owned()).await?;
    let delivery = approved.push(receipt).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
