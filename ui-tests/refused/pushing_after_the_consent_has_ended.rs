use digime::{Error, Flow, PostboxItem};
use digime_import::{Connected, Consent, ImportFlow};

async fn push<C>(connected: Flow<C, Connected>) -> Result<(), Error> {
    if let Consent::Lapsed(lapsed) = connected.into_consent() {
        let delivery = lapsed.push(PostboxItem::file("receipt.pdf")).await?;
        println!("{:?}", delivery.status());
    }
    Ok(())
}

fn main() {}
