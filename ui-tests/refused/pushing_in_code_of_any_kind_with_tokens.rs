use digime::push::Pushes;
use digime::store::{MemoryStore, SharedTokens};
use digime::tokens::TokenContract;
use digime::{Client, Error, PostboxItem};

async fn push<C: TokenContract + 'static>(
    tokens: &SharedTokens<MemoryStore>,
    contract: &C,
    client: &Client,
) -> Result<(), Error> {
    if let Some(flow) = tokens.find("customer-42", contract, client).await? {
        let delivery = Pushes::push(&flow, PostboxItem::file("receipt.pdf")).await?;
        println!("{:?}", delivery.status());
    }
    Ok(())
}

fn main() {}
