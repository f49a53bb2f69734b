use std::time::Duration;

use digime::store::{MemoryStore, SharedTokens};
use digime::{Client, OnceContract};
use digime_import::lapsing_soon;

fn list<C: OnceContract + Sync>(tokens: &SharedTokens<MemoryStore>, contract: &C, client: &Client) {
    let lapsing = lapsing_soon(tokens, contract, client, Duration::from_secs(7));
    drop(lapsing);
}

fn main() {}
