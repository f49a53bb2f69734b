#![deny(missing_docs, missing_debug_implementations)]
//! The whole flow of a contract that pushes by import, in futures that are `Send`.

use digime::store::{MemoryStore, ParkedFlows, SharedTokens};
use digime::{
    ApplicationId, Callback, Client, ContractId, Error, Flow, PostboxItem, PrivateKey, RedirectUri,
    Suspended, Verifier, digime_contract,
};
use digime_import::{
    AwaitingConsent, Connected, Consent, ConsentOptions, Import, ImportFlow, Lapsed,
    RenewalOptions, Unstarted, end_connection,
};

/// Receipts.
#[digime_contract(kind = Import)]
#[derive(Debug)]
pub struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

/// Asks for consent, and waits in the same process.
pub async fn push(
    receipts: &Receipts,
    client: &Client,
    callback: Callback,
    item: PostboxItem,
) -> Result<Flow<Receipts, Connected>, Error> {
    let flow: Flow<Receipts, Unstarted> = receipts.flow(client);
    let awaiting = flow.authorize().await?;
    println!(
        "open {}, and come back with {}",
        awaiting.url(),
        awaiting.state()
    );
    let connected = awaiting.exchange_code(callback).await?;
    let delivery = connected.push(item.clone()).await?;
    println!("{:?}", delivery.status());
    let mut pushes = connected.push_many([item]).concurrency(2);
    while let Some(pushed) = pushes.next().await {
        println!("{:?}", pushed.result?.status());
    }
    drop(pushes);
    println!("until {:?}", connected.as_state().consent_expires_at());
    Ok(connected)
}

/// A call that fails gives the flow back.
pub async fn retry(receipts: &Receipts, client: &Client, callback: Callback) -> Option<Error> {
    let options = ConsentOptions::new().locale("nl");
    let awaiting = match receipts.flow(client).authorize_with(options).await {
        Ok(awaiting) => awaiting,
        Err(rejected) => rejected.into_flow().authorize().await.ok()?,
    };
    let rejected = awaiting.exchange_code(callback.clone()).await.err()?;
    let connected = rejected.into_flow().exchange_code(callback).await.ok()?;
    connected.refresh().await.err()
}

/// The callback comes in another request.
pub async fn called_back(
    flows: &ParkedFlows<MemoryStore>,
    tokens: &SharedTokens<MemoryStore>,
    receipts: &Receipts,
    client: &Client,
    callback: Callback,
) -> Result<Flow<Receipts, Connected>, Error> {
    let awaiting = receipts.flow(client).authorize().await?;
    flows
        .park(awaiting.suspend().with("customer-42".to_owned()))
        .await?;
    let user = |customer: &String| customer.clone();
    let (_, customer) = tokens
        .receive_callback(callback, receipts, client, user)
        .await?;
    let found = tokens.find(&customer, receipts, client).await?;
    Ok(tokens.keep(&customer, found.expect("it was kept")).await?)
}

/// A consent ends and is renewed.
pub async fn renew(
    connected: Flow<Receipts, Connected>,
    callback: Callback,
) -> Result<Flow<Receipts, Connected>, Error> {
    let _ = connected.reauthorize().await?;
    let awaiting = match connected.into_consent() {
        Consent::Valid(connected) => {
            let options = RenewalOptions::new().locale("nl");
            connected.reauthorize_with(options).await?
        }
        Consent::Lapsed(lapsed) => {
            println!("{:?}", lapsed.as_state().code());
            lapsed.reauthorize().await?
        }
    };
    Ok(awaiting.exchange_code(callback).await?)
}

/// Every state but the first is suspended and resumed.
pub fn resume(
    awaiting: &Flow<Receipts, AwaitingConsent<Verifier>>,
    connected: &Flow<Receipts, Connected>,
    lapsed: &Flow<Receipts, Lapsed>,
    receipts: &Receipts,
    client: &Client,
) -> Result<(), Error> {
    let row = awaiting.suspend().with(7).to_json()?;
    let (suspended, _) =
        Suspended::<Receipts, AwaitingConsent<Verifier>, i32>::from_json(&row)?.into_parts();
    println!("open {}", suspended.resume(receipts, client)?.url());
    let connected = connected.suspend().resume(receipts, client)?;
    let lapsed = lapsed.suspend().resume(receipts, client)?;
    println!("{connected:?} {lapsed:?}");
    Ok(())
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all(receipts: Receipts, client: Client, callback: Callback) -> Result<(), Error> {
    let store = MemoryStore::new();
    let (flows, tokens) = (ParkedFlows::new(store.clone()), SharedTokens::new(store));
    let item = PostboxItem::file("receipt.pdf").account("customer-42");
    let connected = send(push(&receipts, &client, callback.clone(), item)).await?;
    send(renew(connected, callback.clone()))
        .await?
        .delete_user()
        .await?;
    send(retry(&receipts, &client, callback.clone())).await;
    let _ = send(called_back(&flows, &tokens, &receipts, &client, callback)).await?;
    send(end_connection(&tokens, "customer-42", &receipts, &client)).await?;
    Ok(())
}

fn main() {
    let _ = all;
}
