use digime::{Authorized, Client, Contract, Error, Flow, Suspended};
use digime_import::{Connected, Import};

fn resume<C: Contract<Kind = Import>>(
    stored: Suspended<C, Connected>,
    contract: &C,
    client: &Client,
) -> Result<Flow<C, Connected>, Error> {
    stored.resume(contract, client)
}

fn go_on<C: Contract<Kind = Import>>(
    row: &str,
    contract: &C,
    client: &Client,
) -> Result<(), Error> {
    let stored = Suspended::<C, Authorized>::from_json(row)?;
    let connected = resume(stored, contract, client)?;
    println!("{connected:?}");
    Ok(())
}

fn main() {}
