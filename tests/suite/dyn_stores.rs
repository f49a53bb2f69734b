//! Stores that are chosen while the program runs.

use std::sync::Arc;

use digime::store::{MemoryStore, ParkedFlows, SharedTokens, Store};
use digime::{Authorized, Client, Flow, PostboxItem};

use crate::set_up::{Receipts, awaiting_ongoing, client, consent, customer, receipts};
use crate::set_up::{sandbox, until};

/// What a web application shares between its requests.
#[derive(Clone)]
struct AppState {
    flows: ParkedFlows<Arc<dyn Store>>,
    tokens: SharedTokens<Arc<dyn Store>>,
    contract: Receipts,
    client: Client,
}

impl AppState {
    fn new(store: Arc<dyn Store>, contract: Receipts, client: Client) -> Self {
        Self {
            flows: ParkedFlows::new(store.clone()),
            tokens: SharedTokens::new(store),
            contract,
            client,
        }
    }

    async fn find(&self) -> Option<Flow<Receipts, Authorized>> {
        let found = self
            .tokens
            .find("customer-42", &self.contract, &self.client);
        found.await.expect("the store works")
    }
}

/// What a configuration names.
fn store(name: &str) -> Arc<dyn Store> {
    match name {
        "small" => Arc::new(MemoryStore::with_capacity(1)),
        // An `Arc` of a store is a store.
        _ => Arc::new(Arc::new(MemoryStore::new())),
    }
}

#[tokio::test]
async fn a_store_that_is_chosen_at_run_time_serves_both_front_doors() {
    let sandbox = sandbox().await;
    for name in ["small", "large"] {
        let state = AppState::new(store(name), receipts(&sandbox), client(&sandbox));
        let awaiting = awaiting_ongoing(&sandbox).await;
        let callback = consent(&sandbox, awaiting.url()).await;
        let suspended = awaiting.suspend().with("customer-42".to_owned());
        state.flows.park(suspended).await.expect("it is parked");

        let received = {
            let state = state.clone();
            tokio::spawn(async move {
                let AppState {
                    tokens,
                    contract,
                    client,
                    ..
                } = &state;
                let received = tokens.receive_callback(callback, contract, client, customer);
                received.await.map(|(_, attached)| attached)
            })
        };
        let attached = received.await.expect("no panic").expect("the flow");
        assert_eq!(attached, "customer-42");

        sandbox.expire_access_tokens();
        let before = sandbox.refreshes();
        let flow = state.find().await.expect("the flow");
        let item = PostboxItem::bytes("receipt.txt", "1 coffee");
        let _ = flow.push(item).await.expect("a delivery");
        assert_eq!(sandbox.refreshes(), before + 1);
        until(async || state.tokens.unsaved() == 0).await;
    }
}

#[tokio::test]
async fn a_flow_is_claimed_from_a_store_that_is_chosen_at_run_time() {
    let sandbox = sandbox().await;
    let state = AppState::new(store("small"), receipts(&sandbox), client(&sandbox));
    let awaiting = awaiting_ongoing(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    state
        .flows
        .park(awaiting.suspend().with(7))
        .await
        .expect("it is parked");
    let claim = state.flows.claim(&callback, &state.contract, &state.client);
    let (awaiting, number): (_, u8) = claim.await.expect("the flow");
    assert_eq!(number, 7);
    let flow = awaiting.exchange_code(callback).await.expect("tokens");
    let _ = state.tokens.keep("customer-42", flow).await.expect("kept");
    assert!(state.find().await.is_some());

    // A full store gives the flow back.
    let one = awaiting_ongoing(&sandbox).await.suspend();
    state.flows.park(one).await.expect("there is room");
    let other = awaiting_ongoing(&sandbox).await.suspend();
    assert!(state.flows.park(other).await.is_err());
}
