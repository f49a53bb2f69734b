use digime::store::{MemoryStore, SharedTokens};
use digime::{Callback, Client, Error, OnceContract};

async fn receive<C: OnceContract + 'static>(
    tokens: &SharedTokens<MemoryStore>,
    contract: &C,
    client: &Client,
    callback: Callback,
) -> Result<(), Error> {
    let user = |customer: &String| customer.clone();
    let (_flow, customer) = tokens
        .receive_callback(callback, contract, client, user)
        .await?;
    println!("{customer} is connected");
    Ok(())
}

fn main() {}
