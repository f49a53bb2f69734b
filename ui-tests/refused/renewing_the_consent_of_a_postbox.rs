use digime::{Authorized, Error, Flow};
use digime_import::ImportFlow;

async fn renew<C>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
    let awaiting = authorized.reauthorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
