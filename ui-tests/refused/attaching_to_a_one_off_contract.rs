use digime::store::{MemoryStore, SharedTokens};
use digime::{Error, OnceContract};

async fn note<C: OnceContract>(
    tokens: &SharedTokens<MemoryStore>,
    contract: &C,
) -> Result<(), Error> {
    let is_known = tokens.attach("customer-42", contract, &"gold").await?;
    println!("{is_known}");
    Ok(())
}

fn main() {}
