use digime::{AwaitingCallback, Error, Flow, Verifier};
use digime_import::ImportFlow;

async fn ask<C>(awaiting: Flow<C, AwaitingCallback<Verifier>>) -> Result<(), Error> {
    let awaiting = awaiting.authorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
