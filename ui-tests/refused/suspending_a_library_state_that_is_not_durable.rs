use digime::extend::ExtensionState;
use digime::{Authorized, Error, Flow};

struct Paused<C> {
    flow: Flow<C, Authorized>,
}

impl<C> ExtensionState for Paused<C> {}

fn keep<C>(authorized: Flow<C, Authorized>) -> Result<String, Error> {
    let paused = authorized.extend(|flow| Paused { flow });
    Ok(paused.suspend().to_json()?)
}

fn main() {}
