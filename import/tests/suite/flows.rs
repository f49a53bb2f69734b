//! From the question to the first push.

use digime::error::{CallbackError, StoreError};
use digime::scope::{Scope, TimeRange, Unit};
use digime::{Callback, Client, Error, SealingKeys, Suspended, Verifier};
use digime_import::{
    AwaitingConsent, ConsentOptions, ImportError, ImportFlow, PullOptions, SourcesScope,
};
use serde_json::json;
use std::time::Duration;

use crate::set_up::{Receipts, World, receipt};

#[tokio::test]
async fn a_person_consents_and_an_item_is_in_the_library_at_once() {
    let world = World::new().await;
    let awaiting = world.receipts.flow(&world.client).authorize().await;
    let awaiting = awaiting.expect("a page");
    let called = world.sandbox.consent(awaiting.url()).await;
    let callback = Callback::from_url(called.expect("a callback")).expect("a callback");
    assert_eq!(callback.state(), Some(awaiting.state()));
    let connected = awaiting.exchange_code(callback).await.expect("tokens");
    let delivery = connected.push(receipt()).await.expect("a delivery");
    assert_eq!(delivery.status(), digime::DeliveryStatus::Delivered);

    let inbox = world.sandbox.inbox();
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0].size, 8);
    assert_eq!(
        inbox[0].descriptor,
        json!({
            "mimeType": "text/plain",
            "accounts": [{"accountId": "customer-42"}],
            "reference": ["receipt-7"],
            "tags": ["receipt"],
        })
    );
    assert_eq!(inbox[0].user_id, connected.as_state().person_id());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_web_application_takes_the_callback_in_one_call_and_a_reload_gets_the_same() {
    let world = World::new().await;
    let page = world.ask("customer-42").await;
    let callback = world.consent(&page).await;
    let (_, customer) = world.receive(callback.clone()).await.expect("a connection");
    assert_eq!(customer, "customer-42");
    let (again, _) = world.receive(callback).await.expect("the same connection");
    again.push(receipt()).await.expect("a delivery");
    let found = world.find("customer-42").await.expect("the connection");
    found.push(receipt()).await.expect("a delivery");
    let connection = world.tokens.connection("customer-42", &world.receipts);
    let connection = connection.await.expect("the store works").expect("it");
    assert_eq!(
        connection.data::<String>().expect("text").as_deref(),
        Some("customer-42")
    );
    world.assert_no_violations();
}

#[tokio::test]
async fn a_flow_comes_back_from_a_sealed_cookie() {
    let world = World::new().await;
    let awaiting = world.receipts.flow(&world.client).authorize().await;
    let awaiting = awaiting.expect("a page");
    let callback = world.consent(awaiting.url().as_str()).await;
    let keys = SealingKeys::new("one", [7; 32]);
    let cookie = awaiting.suspend().seal(&keys, Duration::from_mins(5));
    let cookie = cookie.expect("a cookie");
    let opened = Suspended::<Receipts, AwaitingConsent<Verifier>>::unseal(&cookie, &keys);
    let flow = opened
        .expect("it is ours")
        .resume(&world.receipts, &world.client);
    let connected = flow.expect("the flow").exchange_code(callback).await;
    connected
        .expect("tokens")
        .push(receipt())
        .await
        .expect("a delivery");
    world.assert_no_violations();
}

#[tokio::test]
async fn what_is_asked_for_reaches_the_platform_and_the_page() {
    let world = World::new().await;
    let options = ConsentOptions::new()
        .locale("nl")
        .service(420)
        .include_sample_data_only_sources(false)
        .trigger_query(true)
        .sources(
            SourcesScope::new()
                .data_type("gp-data")
                .organization_type("hospital"),
        )
        .pull(
            PullOptions::new()
                .scope(Scope::new().time_range(TimeRange::last(6, Unit::Months)))
                .existing_data_only(),
        );
    let awaiting = world
        .receipts
        .flow(&world.client)
        .authorize_with(options)
        .await;
    let awaiting = awaiting.expect("a page");
    let names: Vec<_> = awaiting
        .url()
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    let expected = [
        "code",
        "sourceType",
        "service",
        "lng",
        "includeSampleDataOnlySources",
        "triggerQuery",
        "sourcesScope",
    ];
    assert_eq!(names, expected);
    let callback = world.consent(awaiting.url().as_str()).await;
    let connected = awaiting.exchange_code(callback).await.expect("tokens");
    assert!(!connected.as_state().session().secret_key().is_empty());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_second_contract_reaches_the_same_library() {
    let world = World::new().await;
    let first = world.connect("customer-42").await;
    let options = ConsentOptions::new().library_of(first.as_state().access_token());
    let awaiting = world
        .receipts
        .flow(&world.client)
        .authorize_with(options)
        .await;
    let awaiting = awaiting.expect("a page");
    let callback = world.consent(awaiting.url().as_str()).await;
    let second = awaiting.exchange_code(callback).await.expect("tokens");
    assert_eq!(first.as_state().person_id(), second.as_state().person_id());
    world.assert_no_violations();
}

#[tokio::test]
async fn whoever_declines_is_not_connected_and_the_flow_still_waits() {
    let world = World::new().await;
    let page = world.ask("customer-42").await;
    let declined = world.sandbox.decline(&page).await.expect("a callback");
    let callback = Callback::from_url(declined).expect("a callback");
    let error = world.receive(callback).await.expect_err("declined");
    let is_named =
        matches!(&error, Error::Callback(CallbackError::NotConsented { code }) if !code.is_empty());
    assert!(is_named, "{error}");
    assert!(world.find("customer-42").await.is_none());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_callback_of_another_flow_and_one_that_nobody_waits_for_are_refused() {
    let world = World::new().await;
    let pages = [world.ask("one").await, world.ask("other").await];
    let callback = world.consent(&pages[0]).await;
    let awaiting = world.receipts.flow(&world.client).authorize().await;
    let rejected = awaiting
        .expect("a page")
        .exchange_code(callback.clone())
        .await;
    let rejected = rejected.expect_err("another flow's");
    let is_other = matches!(
        rejected.error(),
        Error::Callback(CallbackError::AnotherFlow)
    );
    assert!(is_other, "{rejected}");
    let unknown = Callback::from_query("success=true&state=unknown&code=c").expect("a callback");
    let error = world.receive(unknown).await.expect_err("nobody waits");
    assert!(
        matches!(error, Error::Store(StoreError::NothingParked)),
        "{error}"
    );
    let (_, customer) = world.receive(callback).await.expect("the right flow");
    assert_eq!(customer, "one");
}

#[tokio::test]
async fn the_contract_of_a_callback_is_found_among_tenants() {
    let world = World::new().await;
    let page = world.ask("customer-42").await;
    let callback = world.consent(&page).await;
    let tenants = [world.receipts.clone()];
    let found = world.flows.contract_of(&callback, &tenants).await;
    assert!(found.expect("the store works").is_some());
}

#[tokio::test]
async fn a_client_of_the_postbox_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    let postbox = Client::builder().base_url(world.sandbox.base_url());
    let without_pages = Client::builder().base_url(world.sandbox.import_base_url());
    for (client, wanted) in [
        (postbox, ImportError::PostboxApi),
        (without_pages, ImportError::NoOnboardingUrl),
    ] {
        let client = client.build().expect("a client");
        let rejected = world.receipts.flow(&client).authorize().await;
        let rejected = rejected.expect_err("the wrong client");
        assert_eq!(rejected.error().as_extension(), Some(&wanted));
        assert!(!rejected.error().may_have_taken_effect());
    }
    world.assert_no_violations();
}
