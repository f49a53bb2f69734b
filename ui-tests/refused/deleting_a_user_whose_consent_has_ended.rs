use digime::{Error, Flow};
use digime_import::{ImportFlow, Lapsed};

async fn delete<C>(lapsed: Flow<C, Lapsed>) -> Result<(), Error> {
    lapsed.delete_user().await?;
    println!("gone");
    Ok(())
}

fn main() {}
