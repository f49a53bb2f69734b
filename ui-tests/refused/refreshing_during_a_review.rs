use digime::{Authorized, Error, Flow};
use digime_extending::review::Review;

async fn refresh<C>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
    let under_review = authorized.submit("receipts of March".to_owned());
    let token = under_review.refresh().await?;
    println!("{}", token.secret().len());
    Ok(())
}

fn main() {}
