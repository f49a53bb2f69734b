use digime::{Error, Suspended};
use digime_import::{Connected, ImportFlow};

async fn renew<C>(stored: Suspended<C, Connected>) -> Result<(), Error> {
    let awaiting = stored.reauthorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
