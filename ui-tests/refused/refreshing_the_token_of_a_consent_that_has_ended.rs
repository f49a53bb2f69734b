use digime::{Error, Flow};
use digime_import::{ImportFlow, Lapsed};

async fn refresh<C>(lapsed: Flow<C, Lapsed>) -> Result<(), Error> {
    let token = lapsed.refresh().await?;
    println!("{token:?}");
    Ok(())
}

fn main() {}
