use digime::store::{MemoryStore, ParkedFlows};
use digime::{Error, Flow};
use digime_import::Connected;

async fn park<C>(
    flows: ParkedFlows<MemoryStore>,
    connected: Flow<C, Connected>,
) -> Result<(), Error> {
    Ok(flows.park(connected.suspend()).await?)
}

fn main() {}
