//! Contracts whose kind is a column of a table: one struct for both kinds, and an enum over them.

use std::marker::PhantomData;

use digime::kind::{FlowKind, Kind, Once, Ongoing};
use digime::store::{FlowStore, ParkedFlows};
use digime::suspended::{AnyFlow, AnySuspended};
use digime::{
    ApplicationId, Callback, Client, Contract, ContractId, Error, OnceContract, OngoingContract,
    PostboxItem, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(kind = K)]
struct Tenant<K: FlowKind> {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
    kind: PhantomData<K>,
}

impl OnceContract for Tenant<Once> {}
impl OngoingContract for Tenant<Ongoing> {}

enum AnyTenant {
    Once(Tenant<Once>),
    Ongoing(Tenant<Ongoing>),
}

/// What both kinds do in the same way.
async fn ask<C: Contract<Kind = K>, K: Kind>(
    tenant: &C,
    client: &Client,
    flows: &ParkedFlows<impl FlowStore>,
) -> Result<String, Error> {
    let flow = tenant.flow(client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let link = awaiting.url().to_string();
    flows.park(awaiting.suspend()).await?;
    Ok(link)
}

impl AnyTenant {
    async fn begin(
        &self,
        client: &Client,
        flows: &ParkedFlows<impl FlowStore>,
    ) -> Result<String, Error> {
        match self {
            Self::Once(tenant) => ask(tenant, client, flows).await,
            Self::Ongoing(tenant) => ask(tenant, client, flows).await,
        }
    }

    async fn push(&self, row: &str, client: &Client, item: PostboxItem) -> Result<(), Error> {
        let delivery = match self {
            Self::Once(tenant) => match AnySuspended::from_json(row)?.resume(tenant, client)? {
                AnyFlow::WithPostbox(ready) => ready.push(item).await?,
                other => return Ok(println!("waits: {}", other.state_name())),
            },
            Self::Ongoing(tenant) => match AnySuspended::from_json(row)?.resume(tenant, client)? {
                AnyFlow::WithToken(authorized) => authorized.push(item).await?,
                other => return Ok(println!("waits: {}", other.state_name())),
            },
        };
        println!("{:?}", delivery.status());
        Ok(())
    }
}

async fn callback(
    once: &[Tenant<Once>],
    ongoing: &[Tenant<Ongoing>],
    client: &Client,
    flows: &ParkedFlows<impl FlowStore>,
    callback: Callback,
) -> Result<(), Error> {
    if let Some(tenant) = flows.contract_of(&callback, once).await? {
        let (awaiting, ()) = flows.claim(&callback, tenant, client).await?;
        println!("{}", awaiting.receive_postbox(callback)?.postbox_id());
    } else if let Some(tenant) = flows.contract_of(&callback, ongoing).await? {
        let (awaiting, ()) = flows.claim(&callback, tenant, client).await?;
        println!("{}", awaiting.exchange_code(callback).await?.postbox_id());
    }
    Ok(())
}

fn main() {}
