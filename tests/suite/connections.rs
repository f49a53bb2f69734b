//! What a store tells of connected users, what the application attaches to their tokens, and postboxes that are kept.

use std::time::{Duration, SystemTime};

use digime::store::{MemoryStore, ParkedFlows, ReadyPostboxes, SharedTokens};
use digime::{Flow, PostboxReady};
use futures_util::TryStreamExt;

use crate::set_up::{
    Receipts, Welcome, authorized, awaiting_once, client, consent, item, parked, ready, receipts,
    sandbox, welcome,
};

/// The data that is attached to a user's tokens.
async fn attached(
    tokens: &SharedTokens<MemoryStore>,
    user: &str,
    contract: &Receipts,
) -> Option<String> {
    let connection = tokens.connection(user, contract).await;
    let connection = connection.expect("the store works").expect("a connection");
    connection.data().expect("a string")
}

#[tokio::test]
async fn a_connection_tells_since_when_a_user_has_consented() {
    let sandbox = sandbox().await;
    let receipts = receipts(&sandbox);
    let tokens = SharedTokens::new(MemoryStore::new());
    let nobody = tokens.connection("customer-42", &receipts).await;
    assert!(nobody.expect("the store works").is_none());

    let before = SystemTime::now() - Duration::from_secs(5);
    let flow = authorized(&sandbox).await;
    let flow = tokens.keep("customer-42", flow).await.expect("it is kept");
    let connection = tokens.connection("customer-42", &receipts).await;
    let connection = connection.expect("the store works").expect("a connection");
    assert!(connection.consented_at().expect("a time") >= before);
    assert_eq!(
        connection.access_token_expires_at(),
        flow.access_token_expires_at()
    );
    assert!(!connection.is_in_doubt());
    assert_eq!(connection.data::<String>(), Ok(None));

    tokens
        .forget("customer-42", &receipts)
        .await
        .expect("the user is forgotten");
    let nobody = tokens.connection("customer-42", &receipts).await;
    assert!(nobody.expect("the store works").is_none());
}

#[tokio::test]
async fn attached_data_outlives_refreshes_and_later_consents() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let tokens = SharedTokens::new(MemoryStore::new());
    let attach = async |data: &str| tokens.attach("customer-42", &receipts, &data).await;
    assert!(!attach("too early").await.expect("the store works"));

    let flow = authorized(&sandbox).await;
    let flow = tokens.keep("customer-42", flow).await.expect("it is kept");
    assert!(attach("gold").await.expect("the store works"));
    sandbox.expire_access_tokens();
    flow.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.refreshes(), 1);
    let data = attached(&tokens, "customer-42", &receipts).await;
    assert_eq!(data.as_deref(), Some("gold"));

    let later = authorized(&sandbox).await;
    tokens.keep("customer-42", later).await.expect("it is kept");
    let data = attached(&tokens, "customer-42", &receipts).await;
    assert_eq!(data.as_deref(), Some("gold"));
    let found = tokens.find("customer-42", &receipts, &client).await;
    let found = found.expect("the store works").expect("the flow");
    found.push(item()).await.expect("a delivery");
}

#[tokio::test]
async fn a_refresh_leaves_attached_numbers_as_they_are() {
    let sandbox = sandbox().await;
    let receipts = receipts(&sandbox);
    let tokens = SharedTokens::new(MemoryStore::new());
    let flow = authorized(&sandbox).await;
    let flow = tokens.keep("customer-42", flow).await.expect("it is kept");
    let numbers = (u128::MAX, 122.416_294_033_786_58_f64);
    let attached = tokens.attach("customer-42", &receipts, &numbers).await;
    assert!(attached.expect("the store works"));
    flow.refresh().await.expect("new tokens");
    tokens.flush().await;
    let connection = tokens.connection("customer-42", &receipts).await;
    let connection = connection.expect("the store works").expect("a connection");
    let data: Option<(u128, f64)> = connection.data().expect("numbers");
    assert_eq!(data, Some(numbers));
}

#[tokio::test]
async fn data_of_a_parked_flow_stays_with_its_tokens() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    let user = |customer: &String| customer.clone();
    tokens
        .receive_callback(callback, &receipts, &client, user)
        .await
        .expect("the customer is connected");
    let data = attached(&tokens, "customer-42", &receipts).await;
    assert_eq!(data.as_deref(), Some("customer-42"));
    let connection = tokens.connection("customer-42", &receipts).await;
    let connection = connection.expect("the store works").expect("a connection");
    assert!(connection.data::<u64>().is_err(), "it is no number");
}

#[tokio::test]
async fn connected_users_are_listed_with_their_own_names() {
    let sandbox = sandbox().await;
    let receipts = receipts(&sandbox);
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let names: Vec<String> = (0..250)
        .map(|number| format!("ü/{number:03} %20"))
        .collect();
    let flow = authorized(&sandbox).await;
    let mut flow = Some(flow);
    for name in &names {
        let kept = tokens.keep(name, flow.take().expect("the flow")).await;
        flow = Some(kept.expect("it is kept"));
    }
    let postboxes = ReadyPostboxes::new(store);
    postboxes
        .keep("patient-7", ready(&sandbox).await)
        .await
        .expect("it is kept");
    let listed: Vec<_> = tokens
        .connections(&receipts)
        .try_collect()
        .await
        .expect("the store works");
    let listed: Vec<_> = listed.into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, names);
}

#[tokio::test]
async fn a_postbox_is_kept_until_its_data_comes() {
    let sandbox = sandbox().await;
    let (welcome, client) = (welcome(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let (flows, postboxes) = (
        ParkedFlows::new(store.clone()),
        ReadyPostboxes::new(store.clone()),
    );
    let awaiting = awaiting_once(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    flows
        .park(awaiting.suspend().with(7))
        .await
        .expect("it is parked");
    let claimed = flows.claim::<Welcome, _, i32>(&callback, &welcome, &client);
    let (awaiting, sample) = claimed.await.expect("the flow");
    let ready = awaiting.receive_postbox(callback).expect("a postbox");
    postboxes
        .keep_suspended("patient/7", ready.suspend().with(sample))
        .await
        .expect("it is kept");

    let found: Option<Flow<_, PostboxReady>> = postboxes
        .find("patient/7", &welcome, &client)
        .await
        .expect("the store works");
    let found = found.expect("the flow");
    assert_eq!(found.postbox_id(), ready.postbox_id());
    found.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.inbox().len(), 1);
    let suspended = postboxes.find_suspended::<_, i32>("patient/7", &welcome);
    let suspended = suspended.await.expect("the store works").expect("the flow");
    assert_eq!(*suspended.data(), 7);

    let other = ready_again(&postboxes, &sandbox).await;
    let found = postboxes.find("patient/7", &welcome, &client).await;
    let found = found.expect("the store works").expect("the flow");
    assert_eq!(found.postbox_id(), other.postbox_id(), "the later one");
    postboxes
        .forget("patient/7", &welcome)
        .await
        .expect("it is forgotten");
    let found = postboxes.find("patient/7", &welcome, &client).await;
    assert!(found.expect("the store works").is_none());
}

async fn ready_again(
    postboxes: &ReadyPostboxes<MemoryStore>,
    sandbox: &digime_sandbox::Sandbox,
) -> Flow<Welcome, PostboxReady> {
    let ready = ready(sandbox).await;
    postboxes
        .keep("patient/7", ready)
        .await
        .expect("it is kept")
}
