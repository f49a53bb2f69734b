//! Both sorts of push, and what goes wrong with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use digime::error::{ItemError, RequestError};
use digime::{Error, PostboxItem};
use digime_import::{ConsentOptions, FhirVersion, ImportError, ImportFlow, ProviderAccount};
use digime_sandbox::{Endpoint, Fault};
use futures_util::StreamExt;

use crate::set_up::{World, receipt};

#[tokio::test]
async fn a_large_item_is_streamed_with_its_progress() {
    const LENGTH: u64 = 8 << 20;
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let sent = Arc::new(AtomicU64::new(0));
    let progress = sent.clone();
    let reader = tokio::io::AsyncReadExt::take(tokio::io::repeat(7), LENGTH);
    let item = PostboxItem::reader("film.mp4", reader)
        .length(LENGTH)
        .account("customer-42")
        .on_progress(move |now| progress.store(now.sent, Relaxed));
    connected.push(item).await.expect("a delivery");
    assert_eq!(sent.load(Relaxed), LENGTH);
    assert_eq!(world.sandbox.inbox()[0].size, LENGTH);
    world.assert_no_violations();
}

#[tokio::test]
async fn an_item_that_gives_more_or_less_than_its_length_does_not_arrive() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    for given in [(1 << 20) - 1, (1 << 20) + 1] {
        let reader = tokio::io::AsyncReadExt::take(tokio::io::repeat(7), given);
        let item = PostboxItem::reader("film.mp4", reader)
            .length(1 << 20)
            .account("customer-42");
        let error = connected.push(item).await.expect_err("another length");
        let is_changed = matches!(error.reason(), Error::Item(ItemError::Changed { .. }));
        assert!(is_changed, "{error}");
    }
    assert!(world.sandbox.inbox().is_empty());
}

#[tokio::test]
async fn an_item_that_the_platform_would_refuse_is_not_sent() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let without_account = PostboxItem::bytes("a.txt", "x");
    let error = connected
        .push(without_account)
        .await
        .expect_err("no account");
    assert_eq!(error.as_extension(), Some(&ImportError::NoAccount));
    let verbose = receipt().tag("x".repeat(5000));
    let error = connected.push(verbose).await.expect_err("a long tag");
    let is_named = matches!(
        error.as_extension(),
        Some(ImportError::DescriptorTooLong { .. })
    );
    assert!(is_named, "{error}");
    let missing = PostboxItem::file("/does/not/exist").account("customer-42");
    let error = connected.push(missing).await.expect_err("no file");
    assert!(
        matches!(error, Error::Item(ItemError::Unreadable { .. })),
        "{error}"
    );
    assert_eq!(world.sandbox.requests(Endpoint::Import), 0);
}

#[tokio::test]
async fn a_longest_descriptor_is_accepted_by_the_platform() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let item = receipt().tag("x".repeat(3900));
    connected.push(item).await.expect("a delivery");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_and_a_lost_answer_may_deliver_twice() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    for fault in [
        Fault::Status(503),
        Fault::Status(429),
        Fault::DisconnectAfter(4),
    ] {
        world.sandbox.inject(Endpoint::Import, fault);
        connected.push(receipt()).await.expect("a delivery");
    }
    assert_eq!(world.sandbox.inbox().len(), 3);
    world.sandbox.inject(Endpoint::Import, Fault::LoseAnswer);
    connected.push(receipt()).await.expect("a delivery");
    assert_eq!(world.sandbox.inbox().len(), 5);
    world.assert_no_violations();
}

#[tokio::test]
async fn an_item_that_the_platform_has_confirmed_is_not_sent_again() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    // The answer is longer than any that is read.
    let answer = Fault::Answer("x".repeat(2 << 20));
    world.sandbox.inject(Endpoint::Import, answer);
    connected.push(receipt()).await.expect("a delivery");
    assert_eq!(world.sandbox.requests(Endpoint::Import), 1);
}

#[tokio::test]
async fn what_the_error_says_is_true_of_the_pushes_before_and_after_a_refresh() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    for fault in [
        Fault::LoseAnswer,
        Fault::Refuse(401, "InvalidToken"),
        Fault::Status(413),
    ] {
        world.sandbox.inject(Endpoint::Import, fault);
    }
    let error = connected.push(receipt()).await.expect_err("it is refused");
    assert!(error.may_have_taken_effect(), "{error}");
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(413));
    assert_eq!(world.sandbox.inbox().len(), 1);
    assert_eq!(world.sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_again_and_again_is_refreshed_once() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    for _ in 0..2 {
        let refused = Fault::Refuse(401, "InvalidToken");
        world.sandbox.inject(Endpoint::Import, refused);
    }
    let error = connected.push(receipt()).await.expect_err("it is refused");
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(401));
    assert_eq!(world.sandbox.refreshes(), 1);
    let refused = Fault::Refuse(401, "InvalidJWT");
    world.sandbox.inject(Endpoint::Import, refused);
    let error = connected.push(receipt()).await.expect_err("another reason");
    assert!(error.is_config(), "{error}");
    assert_eq!(world.sandbox.refreshes(), 1, "the token is not at fault");
}

#[tokio::test]
async fn an_item_that_can_be_read_once_says_so_after_a_refresh() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let refused = Fault::Refuse(401, "InvalidToken");
    world.sandbox.inject(Endpoint::Import, refused);
    let reader = std::io::Cursor::new(vec![7; 100]);
    let item = PostboxItem::reader("a.bin", reader).account("customer-42");
    let error = connected.push(item).await.expect_err("it was read");
    assert!(
        matches!(error.reason(), Error::Item(ItemError::ReadOnce { .. })),
        "{error}"
    );
    assert!(world.sandbox.inbox().is_empty());
}

#[tokio::test]
async fn many_items_are_pushed_at_once_and_one_failure_stops_no_other() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    let items = (0..9).map(|number| match number {
        4 => PostboxItem::bytes("a.txt", "no account"),
        _ => receipt(),
    });
    let pushed: Vec<_> = connected.push_many(items).concurrency(3).collect().await;
    let failed: Vec<_> = pushed
        .iter()
        .filter(|it| it.result.is_err())
        .map(|it| it.index)
        .collect();
    assert_eq!((pushed.len(), failed), (9, vec![4]));
    assert_eq!(world.sandbox.inbox().len(), 8);
}

#[tokio::test]
async fn a_resource_reaches_a_provider_that_the_person_has_chosen() {
    let world = World::new().await;
    let options = ConsentOptions::new().to_provider();
    let awaiting = world
        .receipts
        .flow(&world.client)
        .authorize_with(options)
        .await;
    let awaiting = awaiting.expect("a page");
    let callback = world.consent(awaiting.url().as_str()).await;
    let connected = awaiting.exchange_code(callback).await.expect("tokens");
    let reference = connected
        .as_state()
        .account_reference()
        .expect("an account");
    let account = account_of(&connected, reference).await;
    let resource = PostboxItem::bytes("o.json", r#"{"resourceType":"Observation"}"#);
    for version in [FhirVersion::Stu3, FhirVersion::V3_0_2] {
        let account = ProviderAccount::new(account.clone(), version);
        let pushed = connected.push_to_provider(account, resource.clone()).await;
        pushed.expect("a delivery");
    }
    world.assert_no_violations();
    let unknown = ProviderAccount::new("no such account", FhirVersion::Stu3);
    let error = connected.push_to_provider(unknown, resource.clone()).await;
    let error = error.expect_err("no such account");
    assert!(error.refusal().is_some(), "{error}");
    let unsendable = ProviderAccount::new("a\r\nb", FhirVersion::Stu3);
    let error = connected.push_to_provider(unsendable, resource).await;
    let error = error.expect_err("no header");
    assert!(
        matches!(error, Error::Request(RequestError::Unsendable { .. })),
        "{error}"
    );
}

/// The id of an account, found by its reference.
async fn account_of<C>(
    connected: &digime::Flow<C, digime_import::Connected>,
    reference: &str,
) -> String {
    use digime::error::Operation;
    use digime::request::Request;

    let path = ["permission-access", "accounts"];
    let request = Request::get(path, Operation::custom("list the accounts"))
        .access_token(&connected.as_state().access_token())
        .without_redirect_uri();
    let answer = connected.request(request).await.expect("accounts");
    let accounts: serde_json::Value = answer.json().expect("JSON");
    let accounts = accounts.as_array().expect("a list");
    let account = accounts.iter().find(|it| it["reference"] == reference);
    account.expect("the account")["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}
