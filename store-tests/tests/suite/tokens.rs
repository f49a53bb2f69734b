//! Tokens that many machines share.

use std::time::Duration;

use digime::store::{SharedTokens, TokenStore};
use digime::{Authorized, Error, Flow, PostboxItem};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use digime_store_tests::{Place, Receipts, with_store};
use futures_util::future::join_all;
use serde_json::json;

use crate::set_up::{authorized, on_each_store, printed, run, sandbox, user};

const LEASE: Duration = Duration::from_millis(1500);

on_each_store! {
    many_machines_refresh_once_and_all_go_on
    a_machine_that_dies_before_it_marks_the_token_blocks_nobody
    a_machine_that_dies_before_it_saves_leaves_the_token_in_doubt_until_the_user_consents_again
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

async fn a_machine_that_dies_before_it_marks_the_token_blocks_nobody(url: &str) {
    let (sandbox, place) = sandbox().await;
    let user = user();
    with_store!(url, store => {
        let tokens = SharedTokens::new(store).lease_duration(LEASE);
        let flow = kept(&tokens, &sandbox, &place, &user).await;
        die(&place, url, &user, "BeforeMarking").await;

        let delivery = flow.push(receipt()).await.expect("a delivery");
        assert_eq!(delivery.status(), digime::DeliveryStatus::Delivered);
        assert_eq!(sandbox.refreshes(), 1);
    });
}

async fn a_machine_that_dies_before_it_saves_leaves_the_token_in_doubt_until_the_user_consents_again(
    url: &str,
) {
    let (sandbox, place) = sandbox().await;
    let user = user();
    with_store!(url, store => {
        let tokens = SharedTokens::new(store).lease_duration(LEASE);
        let flow = kept(&tokens, &sandbox, &place, &user).await;
        die(&place, url, &user, "BeforeSaving").await;
        assert_eq!(sandbox.refreshes(), 1);

        let requests = sandbox.requests(Endpoint::Token);
        for pushed in join_all([flow.push(receipt()), flow.push(receipt())]).await {
            let error = pushed.expect_err("the refresh token may be spent");
            assert!(matches!(error, Error::RefreshInDoubt), "{error}");
        }
        assert_eq!(sandbox.requests(Endpoint::Token), requests, "it is not sent again");
        let error = flow.refresh().await.expect_err("it is spent");
        assert!(matches!(error, Error::ConsentEnded { .. }), "{error}");

        let anew = authorized(&sandbox, &place).await;
        let flow = tokens.keep(&user, anew).await.expect("they are kept");
        let _ = flow.push(receipt()).await.expect("a delivery");
    });
}
