//! Contracts, and flows in the state that a test needs.

use std::time::Duration;

use digime::store::{FlowStore, ParkedFlows};
use digime::{
    ApplicationId, Authorized, AwaitingCallback, Callback, Client, ContractId, Flow, NoVerifier,
    PostboxItem, PostboxReady, PrivateKey, RedirectUri, Verifier, digime_contract,
};
use digime_sandbox::Sandbox;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[digime_contract(once)]
#[derive(Clone, serde::Deserialize)]
pub(crate) struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(ongoing)]
#[derive(Clone, serde::Deserialize)]
pub(crate) struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    #[digime(private_key)]
    #[serde(rename = "private_key")]
    signing_key: PrivateKey,
    redirect_uri: RedirectUri,
}

pub(crate) async fn sandbox() -> Sandbox {
    Sandbox::start().await.expect("a free port")
}

/// A client with short pauses.
pub(crate) fn client(sandbox: &Sandbox) -> Client {
    quick(sandbox).build().expect("a client")
}

pub(crate) fn quick(sandbox: &Sandbox) -> digime::ClientBuilder {
    Client::builder()
        .base_url(sandbox.base_url())
        .max_retries(2)
        .retry_delays(Duration::from_millis(1), Duration::from_millis(2))
}

pub(crate) fn welcome(sandbox: &Sandbox) -> Welcome {
    contract(once_json(sandbox))
}

pub(crate) fn receipts(sandbox: &Sandbox) -> Receipts {
    contract(ongoing_json(sandbox))
}

pub(crate) fn contract<C: DeserializeOwned>(json: Value) -> C {
    serde_json::from_value(json).expect("a contract")
}

pub(crate) fn once_json(sandbox: &Sandbox) -> Value {
    json!(sandbox.contracts().once)
}

pub(crate) fn ongoing_json(sandbox: &Sandbox) -> Value {
    json!(sandbox.contracts().ongoing)
}

pub(crate) async fn awaiting_once(
    sandbox: &Sandbox,
) -> Flow<Welcome, AwaitingCallback<NoVerifier>> {
    awaiting_once_with(sandbox, &client(sandbox)).await
}

async fn awaiting_once_with(
    sandbox: &Sandbox,
    client: &Client,
) -> Flow<Welcome, AwaitingCallback<NoVerifier>> {
    let flow = welcome(sandbox).flow(client);
    let session = flow.establish_session().await.expect("a session");
    flow.create_postbox(session).await.expect("a link")
}

pub(crate) async fn awaiting_ongoing(
    sandbox: &Sandbox,
) -> Flow<Receipts, AwaitingCallback<Verifier>> {
    awaiting_with(sandbox, &client(sandbox)).await
}

pub(crate) async fn awaiting_with(
    sandbox: &Sandbox,
    client: &Client,
) -> Flow<Receipts, AwaitingCallback<Verifier>> {
    let flow = receipts(sandbox).flow(client);
    let session = flow.establish_session().await.expect("a session");
    flow.create_postbox(session).await.expect("a link")
}

pub(crate) async fn consent(sandbox: &Sandbox, link: &digime::url::Url) -> Callback {
    Callback::from_url(sandbox.consent(link).await.expect("a callback")).expect("a callback")
}

pub(crate) async fn ready(sandbox: &Sandbox) -> Flow<Welcome, PostboxReady> {
    ready_with(sandbox, &client(sandbox)).await
}

pub(crate) async fn ready_with(sandbox: &Sandbox, client: &Client) -> Flow<Welcome, PostboxReady> {
    let awaiting = awaiting_once_with(sandbox, client).await;
    let callback = consent(sandbox, awaiting.url()).await;
    awaiting.receive_postbox(callback).expect("a postbox")
}

pub(crate) async fn authorized(sandbox: &Sandbox) -> Flow<Receipts, Authorized> {
    authorized_with(sandbox, &client(sandbox)).await
}

pub(crate) async fn authorized_with(
    sandbox: &Sandbox,
    client: &Client,
) -> Flow<Receipts, Authorized> {
    let awaiting = awaiting_with(sandbox, client).await;
    let callback = consent(sandbox, awaiting.url()).await;
    awaiting.exchange_code(callback).await.expect("a token")
}

pub(crate) fn item() -> PostboxItem {
    PostboxItem::bytes("a.txt", "hello")
}

/// Parks a customer's flow in a store and returns its callback.
pub(crate) async fn parked(sandbox: &Sandbox, store: &(impl FlowStore + Clone)) -> Callback {
    let awaiting = awaiting_ongoing(sandbox).await;
    let callback = consent(sandbox, awaiting.url()).await;
    let suspended = awaiting.suspend().with("customer-42".to_owned());
    let flows = ParkedFlows::new(store.clone());
    flows.park(suspended).await.expect("it is parked");
    callback
}

/// The customer that a flow is for.
#[allow(
    clippy::ptr_arg,
    reason = "`receive_callback` names the customer by what was attached, which is a `String`"
)]
pub(crate) fn customer(attached: &String) -> String {
    attached.clone()
}

/// Longer than any call of these tests needs, so that only a call that would never end fails.
pub(crate) const FOREVER: Duration = Duration::from_secs(2 * 60);

pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(FOREVER, work)
        .await
        .expect("it ends in time")
}

/// Waits until `look` finds something.
pub(crate) async fn found<T>(look: impl AsyncFn() -> Option<T>) -> T {
    in_time(async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

/// Waits until a condition holds.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    found(async || holds().await.then_some(())).await;
}
