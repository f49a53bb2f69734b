#![deny(missing_docs, missing_debug_implementations, clippy::all)]
//! Flows that are suspended, sealed, parked and claimed, in concrete and generic code, in futures that are `Send`.

use digime::store::{FlowStore, MemoryStore, ParkedFlows, SharedTokens, TokenStore};
use digime::{
    ApplicationId, Authorized, AwaitingCallback, Callback, Client, ContractId, Error, Flow,
    OngoingContract, PrivateKey, RedirectUri, SealingKeys, Suspended, Verifier, digime_contract,
};

/// Receipts.
#[digime_contract(ongoing)]
#[derive(Debug)]
pub struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

/// For whom a flow is.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct For {
    customer: String,
}

/// What an application's own state may hold.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Cookie {
    flow: Suspended<Receipts, AwaitingCallback<Verifier>, For>,
}

fn send<T: Send>(value: T) -> T {
    value
}

/// Parks a flow, under any store.
pub async fn park<C>(
    flows: &ParkedFlows<impl FlowStore>,
    awaiting: Flow<C, AwaitingCallback<Verifier>>,
    customer: String,
) -> Result<(), Error> {
    Ok(flows
        .park(awaiting.suspend().with(For { customer }))
        .await?)
}

/// Claims it and keeps its tokens.
pub async fn finish<C: OngoingContract + 'static>(
    flows: &ParkedFlows<impl FlowStore>,
    tokens: &SharedTokens<impl TokenStore>,
    contract: &C,
    client: &Client,
    callback: Callback,
) -> Result<Flow<C, Authorized>, Error> {
    let (awaiting, who): (_, For) = flows.claim(&callback, contract, client).await?;
    let authorized = awaiting.exchange_code(callback).await?;
    Ok(tokens.keep(&who.customer, authorized).await?)
}

/// Seals a flow and opens it.
pub fn seal(
    awaiting: Flow<Receipts, AwaitingCallback<Verifier>>,
    receipts: Receipts,
    keys: &SealingKeys,
) -> Result<Flow<Receipts, AwaitingCallback<Verifier>>, Error> {
    let cookie = awaiting
        .suspend()
        .seal(keys, std::time::Duration::from_secs(600))?;
    let suspended = Suspended::<Receipts, _>::unseal(&cookie, keys)?;
    suspended.resume(receipts, &Client::new())
}

async fn all(
    awaiting: Flow<Receipts, AwaitingCallback<Verifier>>,
    receipts: &Receipts,
    callback: Callback,
) -> Result<(), Error> {
    let store = MemoryStore::new();
    let flows = ParkedFlows::new(store.clone());
    let tokens = SharedTokens::new(store);
    send(park(&flows, awaiting, "a".into())).await?;
    let authorized = send(finish(&flows, &tokens, receipts, &Client::new(), callback)).await?;
    let suspended = authorized.suspend();
    suspended.resume(receipts, &Client::new())?;
    Ok(())
}

fn main() {
    let _ = all;
}
