use digime::store::{MemoryStore, ParkedFlows};
use digime::{Authorized, Error, Flow};

async fn park<C>(
    flows: ParkedFlows<MemoryStore>,
    authorized: Flow<C, Authorized>,
) -> Result<(), Error> {
    Ok(flows.park(authorized.suspend()).await?)
}

fn main() {}
