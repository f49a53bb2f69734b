//! A call that is dropped after any number of polls loses nothing that can be used only once.

use std::pin::pin;
use std::time::Duration;

use digime::Suspended;
use digime::store::{MemoryStore, SharedTokens};
use digime_sandbox::Endpoint;
use futures_util::poll;

use crate::set_up::{
    Receipts, authorized, awaiting_with, client, consent, customer, found, item, parked, receipts,
    sandbox,
};

/// Polls a call `polls` times, with a pause after each, and drops it. False if the call ended before.
async fn is_dropped_after(polls: usize, call: impl Future) -> bool {
    let mut call = pin!(call);
    for _ in 0..polls {
        if poll!(&mut call).is_ready() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

#[tokio::test]
async fn a_dropped_push_sends_its_refresh_token_once() {
    let sandbox = sandbox().await;
    for polls in 1..30 {
        let flow = authorized(&sandbox).await;
        sandbox.expire_access_tokens();
        let before = sandbox.requests(Endpoint::Token);
        is_dropped_after(polls, flow.push(item())).await;
        let pushed = flow.push(item()).await;
        assert!(pushed.is_ok(), "after {polls} polls: {pushed:?}");
        let sent = sandbox.requests(Endpoint::Token) - before;
        assert_eq!(sent, 1, "after {polls} polls");
    }
}

#[tokio::test]
async fn a_dropped_exchange_sends_its_code_once() {
    let sandbox = sandbox().await;
    let client = client(&sandbox);
    for polls in 1..12 {
        let awaiting = awaiting_with(&sandbox, &client).await;
        let callback = consent(&sandbox, awaiting.url()).await;
        let copy = serde_json::to_string(&awaiting.suspend()).expect("JSON");
        let exchange = || {
            let suspended: Suspended<Receipts, _> = serde_json::from_str(&copy).expect("the flow");
            let flow = suspended.resume(receipts(&sandbox), &client);
            flow.expect("the flow").exchange_code(callback.clone())
        };
        let before = sandbox.requests(Endpoint::Token);
        let is_dropped = is_dropped_after(polls, exchange()).await;
        let flow = exchange().await;
        assert_eq!(flow.is_ok(), is_dropped, "after {polls} polls: {flow:?}");
        let sent = sandbox.requests(Endpoint::Token) - before;
        assert_eq!(sent, 1, "after {polls} polls");
    }
}

#[tokio::test]
async fn a_dropped_callback_connects_its_customer() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    for polls in 1..12 {
        let store = MemoryStore::new();
        let tokens = SharedTokens::new(store.clone());
        let callback = parked(&sandbox, &store).await;
        let load = || tokens.receive_callback(callback.clone(), &receipts, &client, customer);
        let before = sandbox.requests(Endpoint::Token);
        is_dropped_after(polls, load()).await;
        let (flow, attached) = found(async || load().await.ok()).await;
        assert_eq!(attached, "customer-42");
        let sent = sandbox.requests(Endpoint::Token) - before;
        assert_eq!(sent, 1, "after {polls} polls");
        let _ = flow.push(item()).await.expect("a delivery");
    }
}

#[tokio::test]
async fn tokens_are_kept_although_the_call_that_keeps_them_is_dropped() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    for polls in 1..6 {
        let tokens = SharedTokens::new(MemoryStore::new());
        let flow = authorized(&sandbox).await;
        is_dropped_after(polls, tokens.keep("customer-42", flow)).await;
        let find = async || {
            let found = tokens.find("customer-42", &receipts, &client).await;
            found.expect("the store works")
        };
        let found = found(find).await;
        let _ = found.push(item()).await.expect("a delivery");
    }
}
