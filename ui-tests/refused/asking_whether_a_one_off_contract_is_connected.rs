use digime::store::{MemoryStore, SharedTokens};
use digime::{Error, OnceContract};

async fn ask<C: OnceContract>(
    tokens: &SharedTokens<MemoryStore>,
    contract: &C,
) -> Result<(), Error> {
    let is_connected = tokens.connection("customer-42", contract).await?.is_some();
    println!("{is_connected}");
    Ok(())
}

fn main() {}
