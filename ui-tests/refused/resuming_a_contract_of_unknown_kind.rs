use digime::{Client, Contract, Error, PostboxReady, Suspended};

fn go_on<C: Contract>(stored: Suspended<C, PostboxReady>, contract: &C) -> Result<(), Error> {
    let ready = stored.resume(contract, &Client::new())?;
    println!("{}", ready.postbox_id());
    Ok(())
}

fn main() {}
