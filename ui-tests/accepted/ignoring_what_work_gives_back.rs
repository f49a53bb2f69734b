// Nothing warns where the work is done: the flow that `keep` gives back and a delivery may be ignored.
#![deny(warnings)]

use digime::store::{MemoryStore, SharedTokens};
use digime::{Authorized, Error, Flow, OngoingContract, PostboxItem};

async fn keep<C: OngoingContract + 'static>(
    tokens: SharedTokens<MemoryStore>,
    authorized: Flow<C, Authorized>,
) -> Result<(), Error> {
    authorized.push(PostboxItem::file("receipt.pdf")).await?;
    tokens.keep("customer-42", authorized).await?;
    Ok(())
}

fn main() {
    let _ = keep::<Receipts>;
}

#[digime::digime_contract(
    ongoing,
    application_id = "a",
    contract_id = "c",
    redirect_uri = "https://a.example"
)]
struct Receipts {
    private_key: digime::PrivateKey,
}
