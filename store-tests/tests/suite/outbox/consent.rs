//! Entries whose user has to consent first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use digime::store::{MemoryStore, SharedTokens};
use digime::{Contract, PostboxItem};
use digime_outbox::{ConnectedUsers, DeliverError, Outbox, Recipient, State};
use digime_sandbox::{Endpoint, Fault};

use super::{CONTRACT, counts, entry, entry_of, only, quick, run};
use crate::set_up::{authorized, on_each_database, sandbox};

on_each_database! {
    an_entry_waits_until_its_user_has_connected
    an_entry_waits_when_consent_has_ended_and_goes_to_the_new_postbox
    a_user_who_connects_while_a_worker_looks_is_seen
    a_push_during_which_its_user_connects_is_an_attempt
    a_worker_looks_again_if_nobody_says_that_the_user_has_connected
    a_refresh_whose_answer_was_lost_is_cleared_up
}

async fn an_entry_waits_until_its_user_has_connected(outbox: Outbox, _: &str) {
    let (sandbox, place) = sandbox().await;
    let tokens = SharedTokens::new(MemoryStore::new());
    let users = ConnectedUsers::new(tokens.clone(), place.client(), [place.receipts()]);
    outbox
        .enqueue(&entry_of(&place, "one", "early"))
        .await
        .expect("added");
    outbox
        .enqueue(&entry_of(&place, "two", "other"))
        .await
        .expect("added");
    let worker = run(quick(&outbox, users));
    let waits = counts(&outbox, |counts| counts.awaiting_consent == 2).await;
    assert_eq!(waits.oldest, None, "it is not the outbox that is late");

    let flow = authorized(&sandbox, &place).await;
    tokens.keep("one", flow).await.expect("kept");
    assert_eq!(
        outbox
            .connected("one", place.receipts().contract_id())
            .await
            .expect("it works"),
        1
    );
    counts(&outbox, |counts| counts.delivered == 1).await;
    assert_eq!(
        outbox
            .connected("one", place.receipts().contract_id())
            .await
            .expect("it works"),
        0
    );
    worker.stop().await;
    let counts = outbox.counts().await.expect("counts");
    assert_eq!((counts.awaiting_consent, sandbox.inbox().len()), (1, 1));
}

async fn an_entry_waits_when_consent_has_ended_and_goes_to_the_new_postbox(
    outbox: Outbox,
    _: &str,
) {
    let (sandbox, place) = sandbox().await;
    let tokens = SharedTokens::new(MemoryStore::new());
    let users = ConnectedUsers::new(tokens.clone(), place.client(), [place.receipts()]);
    let flow = authorized(&sandbox, &place).await;
    let old = flow.postbox_id().to_owned();
    tokens.keep("one", flow).await.expect("kept");
    sandbox.end_consent();
    outbox
        .enqueue(&entry_of(&place, "one", "receipt"))
        .await
        .expect("added");
    let worker = run(quick(&outbox, users));
    counts(&outbox, |counts| counts.awaiting_consent == 1).await;
    let reason = only(&outbox).await.last_error.expect("a reason");
    assert!(reason.contains("consent has ended"), "{reason}");

    let flow = authorized(&sandbox, &place).await;
    tokens.keep("one", flow).await.expect("kept");
    outbox
        .connected("one", place.receipts().contract_id())
        .await
        .expect("it works");
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    let inbox = sandbox.inbox();
    assert_eq!(inbox.len(), 1);
    assert_ne!(inbox[0].postbox_id, old);
}

async fn a_user_who_connects_while_a_worker_looks_is_seen(outbox: Outbox, _: &str) {
    outbox
        .enqueue(&entry("one", "receipt"))
        .await
        .expect("added");
    let connects = {
        let (outbox, looks) = (outbox.clone(), Arc::new(AtomicUsize::new(0)));
        move |_: Recipient, _: PostboxItem| {
            let (outbox, looks) = (outbox.clone(), looks.clone());
            async move {
                // The first look finds nobody, and then the user connects.
                if looks.fetch_add(1, Ordering::Relaxed) == 0 {
                    outbox.connected("one", CONTRACT).await.expect("it works");
                    return Err(DeliverError::NotConnected);
                }
                Ok(())
            }
        }
    };
    let worker = run(quick(&outbox, connects));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
}

async fn a_push_during_which_its_user_connects_is_an_attempt(outbox: Outbox, _: &str) {
    outbox
        .enqueue(&entry("one", "receipt"))
        .await
        .expect("added");
    let connects = {
        let outbox = outbox.clone();
        move |_: Recipient, _: PostboxItem| {
            let outbox = outbox.clone();
            async move {
                outbox.connected("one", CONTRACT).await.expect("it works");
                Ok(())
            }
        }
    };
    let worker = run(quick(&outbox, connects));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    assert_eq!(only(&outbox).await.attempts, 1);
}

async fn a_worker_looks_again_if_nobody_says_that_the_user_has_connected(outbox: Outbox, _: &str) {
    outbox
        .enqueue(&entry("one", "receipt"))
        .await
        .expect("added");
    let looks = AtomicUsize::new(0);
    let found_late = move |_: Recipient, _: PostboxItem| {
        let is_late = looks.fetch_add(1, Ordering::Relaxed) > 3;
        async move { is_late.then_some(()).ok_or(DeliverError::NotConnected) }
    };
    let worker = quick(&outbox, found_late).consent_interval(Duration::from_millis(5));
    // Time in which it waits for consent does not count.
    let worker = run(worker.max_age(Duration::ZERO));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    assert_eq!(only(&outbox).await.attempts, 1);
}

async fn a_refresh_whose_answer_was_lost_is_cleared_up(outbox: Outbox, _: &str) {
    let (sandbox, place) = sandbox().await;
    let tokens = SharedTokens::new(MemoryStore::new()).lease_duration(Duration::from_millis(50));
    let users = ConnectedUsers::new(tokens.clone(), place.client(), [place.receipts()]);
    let flow = authorized(&sandbox, &place).await;
    tokens.keep("one", flow).await.expect("kept");
    sandbox.expire_access_tokens();
    // The platform has not used the token, but nobody knows it.
    sandbox.inject(Endpoint::Token, Fault::DisconnectAfter(0));
    outbox
        .enqueue(&entry_of(&place, "one", "receipt"))
        .await
        .expect("added");
    let worker = run(quick(&outbox, users));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    assert_eq!((sandbox.refreshes(), sandbox.inbox().len()), (1, 1));
    assert_eq!(only(&outbox).await.state, State::Delivered);
}
