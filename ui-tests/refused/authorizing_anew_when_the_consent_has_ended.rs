use digime::{Error, Flow};
use digime_import::{ImportFlow, Lapsed};

async fn ask<C>(lapsed: Flow<C, Lapsed>) -> Result<(), Error> {
    let awaiting = lapsed.authorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
