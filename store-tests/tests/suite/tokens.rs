//! Tokens that many machines share.

use std::time::Duration;

use digime::{Authorized, Error, Flow, PostboxItem, SharedTokens, TokenStore};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use digime_store_tests::{Place, Receipts, with_store};
use futures_util::future::join_all;
use serde_json::json;

use crate::set_up::{authorized, on_each_store, printed, run, sandbox, user};

const LEASE: Duration = Duration::from_millis(1500);

on_each_store! {
    many_machines_refresh_once_and_all_go_on
    a_machine_that_dies_before_it_asks_blocks_nobody_for_longer_than_its_lease
    a_machine_that_dies_before_it_saves_costs_the_consent_and_says_so
}

fn receipt() -> PostboxItem {
    PostboxItem::bytes("receipt.txt", "1 coffee")
}

/// A user's flow whose tokens are kept, and have expired.
async fn kept<S: TokenStore>(
    tokens: &SharedTokens<S>,
    sandbox: &Sandbox,
    place: &Place,
    user: &str,
) -> Flow<Receipts, Authorized> {
    let flow = authorized(sandbox, place).await;
    let flow = tokens.keep(user, flow).await.expect("they are kept");
    sandbox.expire_access_tokens();
    flow
}

/// Lets another machine push for the user, and die on the way.
async fn die(place: &Place, url: &str, user: &str, at: &str) {
    let job = json!({"Die": {"user": user, "at": at, "lease_millis": LEASE.as_millis()}});
    assert!(!run(place, url, job).await.status.success());
}

async fn many_machines_refresh_once_and_all_go_on(url: &str) {
    let (sandbox, place) = sandbox().await;
    let user = user();
    with_store!(url, store => {
        drop(kept(&SharedTokens::new(store), &sandbox, &place, &user).await);
    });
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_millis(500)));
    let machines = (0..3).map(|_| run(&place, url, json!({"Push": {"user": user, "items": 4}})));
    for output in join_all(machines).await {
        assert_eq!(printed(&output), "Delivered\n".repeat(4));
    }
    assert_eq!(sandbox.refreshes(), 1);
}

async fn a_machine_that_dies_before_it_asks_blocks_nobody_for_longer_than_its_lease(url: &str) {
    let (sandbox, place) = sandbox().await;
    let user = user();
    with_store!(url, store => {
        let tokens = SharedTokens::new(store).lease(LEASE);
        let flow = kept(&tokens, &sandbox, &place, &user).await;
        die(&place, url, &user, "BeforeAsking").await;

        // Whoever waits for longer than two leases is told that the store is busy.
        let delivery = flow.push(receipt()).await.expect("a delivery");
        assert_eq!(delivery.status(), digime::DeliveryStatus::Delivered);
        assert_eq!(sandbox.refreshes(), 1);
    });
}

async fn a_machine_that_dies_before_it_saves_costs_the_consent_and_says_so(url: &str) {
    let (sandbox, place) = sandbox().await;
    let user = user();
    with_store!(url, store => {
        let tokens = SharedTokens::new(store).lease(LEASE);
        let flow = kept(&tokens, &sandbox, &place, &user).await;
        die(&place, url, &user, "BeforeSaving").await;
        assert_eq!(sandbox.refreshes(), 1);

        let both = [flow.push(receipt()), flow.push(receipt())];
        for pushed in join_all(both).await {
            let error = pushed.expect_err("the refresh token is spent");
            assert!(matches!(error, Error::ConsentEnded { .. }), "{error}");
        }
        let found = tokens.find(&user, &place.receipts(), &place.client()).await;
        assert!(found.expect("the store works").is_none(), "the tokens are gone");
    });
}
