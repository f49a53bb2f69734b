use digime::{Error, Flow};
use digime_import::{Connected, ImportFlow};

async fn ask<C>(connected: Flow<C, Connected>) -> Result<(), Error> {
    let awaiting = connected.authorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
