use digime::{Error, Flow, Verifier};
use digime_import::{AwaitingConsent, ImportFlow};

async fn renew<C>(awaiting: Flow<C, AwaitingConsent<Verifier>>) -> Result<(), Error> {
    let awaiting = awaiting.reauthorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
