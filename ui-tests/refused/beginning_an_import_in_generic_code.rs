use digime::{Client, Contract, Error};
use digime_import::{Import, ImportFlow};

async fn ask<C: Contract<Kind = Import>>(contract: &C, client: &Client) -> Result<(), Error> {
    let awaiting = contract.flow(client).authorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
