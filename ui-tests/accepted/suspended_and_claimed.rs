#![deny(missing_docs, missing_debug_implementations, clippy::all)]
//! Flows that are suspended, sealed, parked and claimed, in concrete and generic code, in futures that are `Send`.

use digime::store::MemoryStore;
use digime::store::{FlowStore, SharedTokens, TokenStore};
use digime::{ApplicationId, Authorized, AwaitingCallback, Callback, Client, ContractId, Error, Flow, OngoingContract, PrivateKey, RedirectUri, SealingKeys, Suspended, Verifier, digime_contract};

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
    store: &impl FlowStore,
    awaiting: Flow<C, AwaitingCallback<Verifier>>,
    customer: String,
) -> Result<(), Error> {
    Ok(store
        .park(awaiting.suspend().with(For { customer }))
        .await?)
}

/// Claims it and keeps its tokens.
pub async fn finish<C: OngoingContract + 'static>(
    store: &(impl FlowStore + TokenStore),
    contract: &C,
    client: &Client,
    callback: Callback,
) -> Result<Flow<C, Authorized>, Error> {
    let (awaiting, who): (_, For) = store.claim(&callback, contract, client).await?;
    let authorized = awaiting.exchange_code(callback).await?;
    let tokens = SharedTokens::new(store.clone());
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
    send(park(&store, awaiting, "a".into())).await?;
    let authorized = send(finish(&store, receipts, &Client::new(), callback)).await?;
    let suspended = authorized.suspend();
    suspended.resume(receipts, &Client::new())?;
    Ok(())
}

fn main() {
    let _ = all;
}
