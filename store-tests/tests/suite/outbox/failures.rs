//! What a failure does to an entry, with a platform that fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use digime::store::{MemoryStore, SharedTokens};
use digime::{Authorized, Contract, Flow, PostboxItem};
use digime_outbox::{ConnectedUsers, DeliverError, Entry, Item, Outbox, Recipient, State};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use digime_store_tests::{Place, Receipts};
use serde_json::json;

use super::{counts, entry, entry_of, execute, listed, only, quick, run};
use crate::set_up::{authorized, on_each_database, sandbox};

on_each_database! {
    an_entry_arrives_once_with_all_that_it_was_given
    a_platform_that_is_away_is_asked_again
    a_platform_that_asks_for_a_pause_holds_back_the_contract_and_no_other
    an_answer_that_was_lost_brings_the_item_twice_under_its_reference
    an_item_that_is_refused_is_given_up_until_somebody_retries_or_discards_it
    a_wrong_configuration_gives_nothing_up
    an_entry_that_failed_for_too_long_is_given_up
    an_entry_that_no_worker_has_tried_is_not_given_up_for_its_age
}

async fn connected(sandbox: &Sandbox, place: &Place) -> ConnectedUsers<MemoryStore, Receipts> {
    let tokens = SharedTokens::new(MemoryStore::new());
    let flow = authorized(sandbox, place).await;
    tokens.keep("one", flow).await.expect("kept");
    ConnectedUsers::new(tokens, place.client(), [place.receipts()])
}

async fn an_entry_arrives_once_with_all_that_it_was_given(outbox: Outbox, _: &str) {
    let (sandbox, place) = sandbox().await;
    let worker = run(quick(&outbox, connected(&sandbox, &place).await));
    let item = Item::bytes("receipt", "1 coffee")
        .mime_type("text/plain")
        .account("customer-42")
        .tag("receipt")
        .tag("coffee");
    let entry = Entry::new("one", place.receipts().contract_id(), item).reference("receipt-1001");
    outbox.enqueue(&entry).await.expect("added");
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    let inbox = sandbox.inbox();
    assert_eq!(inbox.len(), 1);
    assert_eq!((&*inbox[0].name, inbox[0].size), ("receipt", 8));
    let descriptor = json!({
        "mimeType": "text/plain",
        "accounts": [{"accountId": "customer-42"}],
        "reference": ["receipt-1001"],
        "tags": ["receipt", "coffee"],
    });
    assert_eq!(inbox[0].descriptor, descriptor);
    assert_eq!(sandbox.violations(), [""; 0]);
}

async fn a_platform_that_is_away_is_asked_again(outbox: Outbox, _: &str) {
    let (sandbox, place) = sandbox().await;
    sandbox.inject(Endpoint::Push, Fault::Status(503));
    sandbox.inject(Endpoint::Push, Fault::DisconnectAfter(0));
    sandbox.inject(Endpoint::Push, Fault::RetryAfter(503, 1));
    outbox
        .enqueue(&entry_of(&place, "one", "late"))
        .await
        .expect("added");
    let worker = run(quick(&outbox, connected(&sandbox, &place).await));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    assert_eq!(only(&outbox).await.attempts, 4);
    assert_eq!(
        (sandbox.requests(Endpoint::Push), sandbox.inbox().len()),
        (4, 1)
    );
}

async fn a_platform_that_asks_for_a_pause_holds_back_the_contract_and_no_other(
    outbox: Outbox,
    _: &str,
) {
    let (sandbox, place) = sandbox().await;
    let flow = authorized(&sandbox, &place).await;
    let (under, id) = (place.clone(), place.receipts().contract_id().to_string());
    let deliver = move |recipient: Recipient, item: PostboxItem| {
        let id = id.clone();
        let flow: Flow<Receipts, Authorized> = flow
            .suspend()
            .resume(under.receipts(), &under.client())
            .expect("a flow");
        async move {
            if recipient.contract == id {
                flow.push(item).await?;
            }
            Ok(())
        }
    };
    sandbox.inject(Endpoint::Push, Fault::RetryAfter(429, 3600));
    let worker = run(quick(&outbox, deliver));
    outbox
        .enqueue(&entry_of(&place, "one", "asked"))
        .await
        .expect("added");
    counts(&outbox, |counts| counts.waiting == 1).await;
    let is_refused = || async { only(&outbox).await.last_error.is_some() };
    while !is_refused().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    outbox
        .enqueue(&entry_of(&place, "two", "held back"))
        .await
        .expect("added");
    let other = Entry::new("two", "another contract", Item::bytes("a", "b"));
    outbox.enqueue(&other).await.expect("added");
    counts(&outbox, |counts| counts.delivered == 1).await;
    let waiting = listed(&outbox, State::Waiting).await;
    let attempts: Vec<_> = waiting
        .iter()
        .map(|entry| (&*entry.reference, entry.attempts))
        .collect();
    assert_eq!(attempts, [("held back", 0), ("asked", 1)]);
    let until = waiting[1].due_at.expect("it waits");
    let hour = until.duration_since(waiting[1].changed_at);
    assert!(hour.expect("later") >= Duration::from_hours(1));
    worker.stop().await;
}

async fn an_answer_that_was_lost_brings_the_item_twice_under_its_reference(
    outbox: Outbox,
    _: &str,
) {
    let (sandbox, place) = sandbox().await;
    sandbox.inject(Endpoint::Push, Fault::LoseAnswer);
    outbox
        .enqueue(&entry_of(&place, "one", "twice"))
        .await
        .expect("added");
    let worker = run(quick(&outbox, connected(&sandbox, &place).await));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    let references: Vec<_> = sandbox
        .inbox()
        .into_iter()
        .map(|item| item.descriptor["reference"].clone())
        .collect();
    assert_eq!(references, [json!(["twice"]), json!(["twice"])]);
}

async fn an_item_that_is_refused_is_given_up_until_somebody_retries_or_discards_it(
    outbox: Outbox,
    _: &str,
) {
    let (sandbox, place) = sandbox().await;
    let worker = run(quick(&outbox, connected(&sandbox, &place).await));
    for reference in ["retried", "discarded"] {
        sandbox.inject(Endpoint::Push, Fault::Status(413));
        outbox
            .enqueue(&entry_of(&place, "one", reference))
            .await
            .expect("added");
        let refused = |entry: &digime_outbox::Listed| entry.reference == reference;
        while !listed(&outbox, State::GivenUp).await.iter().any(refused) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let given_up = listed(&outbox, State::GivenUp).await;
    let reason = given_up[0].last_error.as_deref().expect("a reason");
    assert!(
        reason.contains("413") && reason.contains("push something smaller"),
        "{reason}"
    );
    assert!(outbox.discard(given_up[0].id).await.expect("it works"));
    assert!(!outbox.discard(given_up[0].id).await.expect("it works"));
    assert!(outbox.retry(given_up[1].id).await.expect("it works"));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    assert_eq!(only(&outbox).await.reference, "retried");
    assert_eq!(sandbox.inbox().len(), 1);
}

async fn a_wrong_configuration_gives_nothing_up(outbox: Outbox, _: &str) {
    let (sandbox, place) = sandbox().await;
    for code in ["InvalidJWT", "SDKInvalid", "InvalidContractId"] {
        sandbox.inject(Endpoint::Push, Fault::Refuse(401, code));
    }
    outbox
        .enqueue(&entry_of(&place, "one", "patient"))
        .await
        .expect("added");
    let other = Entry::new("one", "another contract", Item::bytes("a", "b"));
    outbox.enqueue(&other).await.expect("added");
    let worker = run(quick(&outbox, connected(&sandbox, &place).await));
    counts(&outbox, |counts| counts.delivered == 1).await;
    let unknown = || async { listed(&outbox, State::Waiting).await.pop() };
    loop {
        match unknown().await {
            Some(entry) if entry.attempts > 2 => {
                let reason = entry.last_error.expect("a reason");
                assert!(
                    reason.contains("no contract with the entry's id"),
                    "{reason}"
                );
                break;
            }
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
    worker.stop().await;
    assert_eq!(listed(&outbox, State::Delivered).await[0].attempts, 4);
}

async fn an_entry_that_failed_for_too_long_is_given_up(outbox: Outbox, _: &str) {
    outbox
        .enqueue(&entry("one", "too old"))
        .await
        .expect("added");
    let away = async |_: Recipient, _: PostboxItem| {
        let away = digime::error::StoreError::Busy;
        Err::<(), _>(DeliverError::Push(away.into()))
    };
    let worker = run(quick(&outbox, away).max_age(Duration::from_millis(100)));
    let counts = counts(&outbox, |counts| counts.given_up == 1).await;
    assert_eq!((counts.waiting, counts.oldest), (0, None));
    assert!(only(&outbox).await.attempts > 1);
    worker.stop().await;
}

async fn an_entry_that_no_worker_has_tried_is_not_given_up_for_its_age(outbox: Outbox, url: &str) {
    outbox
        .enqueue(&entry("one", "from last month"))
        .await
        .expect("added");
    let month = "UPDATE digime_outbox SET enqueued_at = enqueued_at - 2592000000, \
                 tried_since = tried_since - 2592000000, due_at = due_at - 2592000000";
    execute(url, month).await;
    let calls = AtomicUsize::new(0);
    let away_at_first = move |_: Recipient, _: PostboxItem| {
        let is_away = calls.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            let away = DeliverError::Push(digime::error::StoreError::Busy.into());
            (!is_away).then_some(()).ok_or(away)
        }
    };
    let worker = run(quick(&outbox, away_at_first));
    let counts = counts(&outbox, |counts| counts.delivered + counts.given_up == 1).await;
    assert_eq!(counts.given_up, 0);
    worker.stop().await;
}
