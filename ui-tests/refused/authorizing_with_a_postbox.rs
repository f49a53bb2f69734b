use digime::{Error, Flow, PostboxReady};
use digime_import::ImportFlow;

async fn ask<C>(ready: Flow<C, PostboxReady>) -> Result<(), Error> {
    let awaiting = ready.authorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
