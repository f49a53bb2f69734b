//! The end of a consent, and its renewal.

use std::time::Duration;

use digime::error::CallbackError;
use digime::{Callback, Error, Flow};
use digime_import::{Connected, Consent, ImportError, ImportFlow, RenewalOptions, lapsing_soon};
use digime_sandbox::{Endpoint, Fault};
use futures_util::{StreamExt, TryStreamExt};

use crate::set_up::{DAY, Receipts, World, receipt};

/// Asks the customer to renew, and returns the page.
async fn ask_to_renew(
    world: &World,
    customer: &str,
    connected: Flow<Receipts, Connected>,
) -> String {
    let awaiting = match connected.into_consent() {
        Consent::Valid(connected) => connected.reauthorize().await,
        Consent::Lapsed(lapsed) => lapsed.reauthorize().await,
    };
    let awaiting = awaiting.expect("a page");
    let page = awaiting.url().to_string();
    let parked = awaiting.suspend().with(customer.to_owned());
    world.flows.park(parked).await.expect("it is parked");
    page
}

#[tokio::test]
async fn the_end_of_a_consent_is_known_and_a_refresh_does_not_lengthen_it() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let ends = connected.as_state().consent_expires_at().expect("an end");
    let left = ends
        .duration_since(world.client.platform_clock())
        .expect("in the future");
    assert!(left > 29 * DAY && left <= 30 * DAY, "{left:?}");
    world.sandbox.advance(DAY);
    connected.refresh().await.expect("new tokens");
    assert_eq!(connected.as_state().consent_expires_at(), Some(ends));
    let connection = world.tokens.connection("customer-42", &world.receipts);
    let connection = connection.await.expect("the store works").expect("it");
    assert_eq!(connection.consent_expires_at(), Some(ends));
    world.assert_no_violations();
}

#[tokio::test]
async fn an_expired_access_token_is_refreshed_once_for_many_pushes() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    world.sandbox.expire_access_tokens();
    let items = (0..20).map(|_| receipt());
    let pushed: Vec<_> = connected.push_many(items).concurrency(20).collect().await;
    for pushed in pushed {
        pushed.result.expect("a delivery");
    }
    assert_eq!(world.sandbox.refreshes(), 1);
    assert_eq!(world.sandbox.inbox().len(), 20);
}

#[tokio::test]
async fn a_lapsed_consent_is_kept_and_renewed_for_the_same_person() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let person = connected.as_state().person_id();
    world
        .tokens
        .attach("customer-42", &world.receipts, &"gold")
        .await
        .expect("attached");
    world.sandbox.advance(31 * DAY);
    let error = connected
        .push(receipt())
        .await
        .expect_err("the consent has ended");
    assert!(
        matches!(error.reason(), Error::ConsentEnded { .. }),
        "{error}"
    );
    assert!(error.needs_consent());

    let found = world.find("customer-42").await.expect("it is kept");
    let error = found
        .push(receipt())
        .await
        .expect_err("the consent has ended");
    assert!(
        matches!(error.reason(), Error::ConsentEnded { .. }),
        "{error}"
    );
    let Consent::Lapsed(_) = found.into_consent() else {
        panic!("it has lapsed");
    };
    let connection = world.tokens.connection("customer-42", &world.receipts);
    let connection = connection.await.expect("the store works").expect("it");
    assert!(connection.ended().is_some());
    assert!(connection.has_ended(&world.client));

    let page = ask_to_renew(&world, "customer-42", connected).await;
    let callback = world.consent(&page).await;
    let (renewed, _) = world.receive(callback).await.expect("a new consent");
    assert_eq!(renewed.as_state().person_id(), person);
    renewed.push(receipt()).await.expect("a delivery");
    let found = world.find("customer-42").await.expect("the connection");
    found.push(receipt()).await.expect("a delivery");
    assert_eq!(world.sandbox.inbox().len(), 2);
}

#[tokio::test]
async fn what_was_attached_stays_with_a_renewed_connection() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    world
        .tokens
        .attach("customer-42", &world.receipts, &"gold")
        .await
        .expect("attached");
    let awaiting = connected
        .reauthorize_with(RenewalOptions::new().locale("nl"))
        .await;
    let awaiting = awaiting.expect("a page");
    let callback = world.consent(awaiting.url().as_str()).await;
    // Nothing is attached to the flow that renews.
    world
        .flows
        .park(awaiting.suspend().with(()))
        .await
        .expect("parked");
    let user = |(): &()| "customer-42".to_owned();
    let received = world
        .tokens
        .receive_callback(callback, &world.receipts, &world.client, user);
    received.await.expect("a new consent");
    world.tokens.flush().await;
    let connection = world.tokens.connection("customer-42", &world.receipts);
    let connection = connection.await.expect("the store works").expect("it");
    assert_eq!(
        connection.data::<String>().expect("text").as_deref(),
        Some("gold")
    );
}

#[tokio::test]
async fn a_consent_that_lasts_is_used_while_it_is_being_renewed() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let awaiting = connected.reauthorize().await.expect("a page");
    connected.push(receipt()).await.expect("a delivery");
    let callback = world.consent(awaiting.url().as_str()).await;
    let renewed = awaiting.exchange_code(callback).await.expect("tokens");
    renewed.push(receipt()).await.expect("a delivery");
    world.assert_no_violations();
}

#[tokio::test]
async fn another_person_does_not_take_the_place_of_the_one_who_was_asked() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let person = connected.as_state().person_id();
    let page = ask_to_renew(&world, "customer-42", connected).await;
    let called = world.sandbox.consent_as(&page, "another-person").await;
    let callback = Callback::from_url(called.expect("a callback")).expect("a callback");
    let error = world.receive(callback).await.expect_err("another person");
    assert_eq!(error.as_extension(), Some(&ImportError::AnotherPerson));
    let found = world.find("customer-42").await.expect("the connection");
    assert_eq!(found.as_state().person_id(), person);
    found.push(receipt()).await.expect("a delivery");
}

#[tokio::test]
async fn whoever_declines_to_renew_stays_connected_until_the_end() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let page = ask_to_renew(&world, "customer-42", connected).await;
    let declined = world.sandbox.decline(&page).await.expect("a callback");
    let callback = Callback::from_url(declined).expect("a callback");
    let error = world.receive(callback).await.expect_err("declined");
    assert!(
        matches!(error, Error::Callback(CallbackError::NotConsented { .. })),
        "{error}"
    );
    let found = world.find("customer-42").await.expect("the connection");
    found.push(receipt()).await.expect("a delivery");
}

#[tokio::test]
async fn a_withdrawn_consent_is_known_after_the_next_refresh() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    world.sandbox.end_consent();
    let error = connected
        .push(receipt())
        .await
        .expect_err("it was withdrawn");
    assert!(
        matches!(error.reason(), Error::ConsentEnded { .. }),
        "{error}"
    );
    let Consent::Lapsed(lapsed) = connected.into_consent() else {
        panic!("it has lapsed");
    };
    assert!(lapsed.as_state().code().is_some());
}

#[tokio::test]
async fn tokens_are_not_lost_with_the_answer_to_a_refresh_that_did_not_come() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    world.sandbox.expire_access_tokens();
    world.sandbox.inject(Endpoint::Token, Fault::Status(503));
    connected.push(receipt()).await.expect("a delivery");
    world.sandbox.expire_access_tokens();
    world.sandbox.inject(Endpoint::Token, Fault::LoseAnswer);
    let error = connected
        .push(receipt())
        .await
        .expect_err("the answer is lost");
    assert!(error.may_have_taken_effect(), "{error}");
    let error = connected.push(receipt()).await.expect_err("nobody knows");
    assert!(matches!(error.reason(), Error::RefreshInDoubt), "{error}");
    // The consent itself lasts, and the person can renew it.
    let page = ask_to_renew(&world, "customer-42", connected).await;
    let callback = world.consent(&page).await;
    let (renewed, _) = world.receive(callback).await.expect("new tokens");
    renewed.push(receipt()).await.expect("a delivery");
}

#[tokio::test]
async fn those_whose_consent_ends_soon_are_listed_and_told_of_once() {
    let world = World::new().await;
    world.connect("early").await;
    world.sandbox.advance(10 * DAY);
    // The client learns the time from the next answer.
    world.connect("late").await;
    let now = world.client.platform_clock();
    let lapsing = |before| async move {
        let lapsing = world_lapsing(&world, before).await;
        (lapsing, world)
    };
    let (names, world) = lapsing(now + 7 * DAY).await;
    assert!(names.is_empty(), "{names:?}");
    assert_eq!(world_lapsing(&world, now + 25 * DAY).await, ["early"]);
    assert_eq!(
        world_lapsing(&world, now + 31 * DAY).await,
        ["early", "late"]
    );

    let told = lapsing_soon(&world.tokens, &world.receipts, &world.client, 25 * DAY);
    let mut told = std::pin::pin!(told);
    tokio::time::pause();
    let (customer, connection) = told.try_next().await.expect("it works").expect("one");
    assert_eq!(customer, "early");
    assert!(connection.consent_expires_at().is_some());
    let second = tokio::time::timeout(Duration::from_hours(5), told.try_next()).await;
    assert!(second.is_err(), "each is reported once");
}

async fn world_lapsing(world: &World, before: std::time::SystemTime) -> Vec<String> {
    let lapsing = world.tokens.lapsing(&world.receipts, before);
    let names = lapsing.map_ok(|(customer, _)| customer);
    names.try_collect().await.expect("the store works")
}
