//! Tokens that many machines share.

use std::time::Duration;

use digime::{Error, PostboxItem, SharedTokens};
use digime_sandbox::{Endpoint, Fault};
use digime_store_tests::with_store;
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

async fn many_machines_refresh_once_and_all_go_on(url: &str) {
    let (sandbox, place) = sandbox().await;
    let user = user();
    with_store!(url, store => {
        let tokens = SharedTokens::new(store);
        let flow = authorized(&sandbox, &place).await;
        let flow = tokens.keep(&user, flow).await.expect("they are kept");
        drop(flow);
    });
    sandbox.expire_access_tokens();
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
        let flow = authorized(&sandbox, &place).await;
        let flow = tokens.keep(&user, flow).await.expect("they are kept");
        sandbox.expire_access_tokens();
        let die = json!({"Die": {"user": user, "at": "BeforeAsking", "lease_millis": LEASE.as_millis()}});
        assert!(!run(&place, url, die).await.status.success());

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
        let flow = authorized(&sandbox, &place).await;
        let flow = tokens.keep(&user, flow).await.expect("they are kept");
        sandbox.expire_access_tokens();
        let die = json!({"Die": {"user": user, "at": "BeforeSaving", "lease_millis": LEASE.as_millis()}});
        assert!(!run(&place, url, die).await.status.success());
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
