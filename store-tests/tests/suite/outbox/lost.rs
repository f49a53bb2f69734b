//! Entries that end the process which sends them, so that no outcome is recorded.

use std::time::{Duration, SystemTime};

use digime::PostboxItem;
use digime::error::StoreError;
use digime_outbox::{Deliver, DeliverError, Listed, Outbox, Recipient, State};

use super::workers::Gate;
use super::{CONTRACT, Running, counts, entry, execute, listed, only, quick, run};
use crate::set_up::on_each_database;

on_each_database! {
    an_entry_that_is_lost_again_and_again_is_given_up_until_somebody_retries_it
    an_outcome_ends_the_count_of_losses
    a_user_who_connects_ends_the_count_of_losses
    an_entry_that_kills_is_given_up_and_those_beside_it_are_not
    a_worker_that_is_late_records_a_delivery_after_the_entry_was_given_up
}

/// How often in a row an entry is lost before it is given up.
const LIMIT: usize = 10;

/// Ends the leases of workers that died, at the moment at which each of them took its entry.
async fn end_leases(url: &str) {
    let sql = "UPDATE digime_outbox SET due_at = changed_at WHERE state = 'sending'";
    execute(url, sql).await;
}

/// The process dies so many times while it sends the only entry.
async fn lose(outbox: &Outbox, url: &str, times: usize) {
    for _ in 0..times {
        die_with(outbox, 1).await;
        end_leases(url).await;
    }
}

/// Runs a worker that dies while it sends so many entries.
async fn die_with(outbox: &Outbox, entries: usize) {
    let gate = Gate::default();
    // It takes nothing more, so no claim of it is on its way to the database when it dies.
    let dies = run(quick(outbox, gate.clone()).concurrency(entries));
    gate.reached(entries).await;
    die(dies).await;
}

async fn die(worker: Running) {
    worker.task.abort();
    let ended = worker.task.await.expect_err("it does not end by itself");
    assert!(ended.is_cancelled(), "{ended}");
}

/// The number of entries whose worker has a lease.
async fn in_flight(outbox: &Outbox) -> usize {
    let sending = listed(outbox, State::Sending).await;
    let now = SystemTime::now();
    let has_lease = |entry: &&Listed| entry.due_at.is_some_and(|ends| ends > now);
    sending.iter().filter(has_lease).count()
}

async fn done(_: Recipient, _: PostboxItem) -> Result<(), DeliverError> {
    Ok(())
}

async fn deliver_once(outbox: &Outbox) {
    let worker = run(quick(outbox, done));
    counts(outbox, |counts| counts.delivered + counts.given_up == 1).await;
    worker.stop().await;
    assert_eq!(only(outbox).await.state, State::Delivered);
}

async fn an_entry_that_is_lost_again_and_again_is_given_up_until_somebody_retries_it(
    outbox: Outbox,
    url: &str,
) {
    outbox.enqueue(&entry("one", "kills")).await.expect("added");
    lose(&outbox, url, LIMIT).await;
    let gate = Gate::default();
    let worker = run(quick(&outbox, gate.clone()));
    counts(&outbox, |counts| counts.given_up == 1 || gate.calls() > 0).await;
    worker.stop().await;
    assert_eq!(gate.calls(), 0, "it is not sent once more");
    let given_up = only(&outbox).await;
    assert_eq!((given_up.state, given_up.due_at), (State::GivenUp, None));
    let reason = given_up.last_error.expect("a reason");
    assert!(
        reason.contains("10 times in a row") && reason.contains("`retry`"),
        "{reason}"
    );

    assert!(outbox.retry(given_up.id).await.expect("it works"));
    lose(&outbox, url, LIMIT - 1).await;
    deliver_once(&outbox).await;
}

async fn an_outcome_ends_the_count_of_losses(outbox: Outbox, url: &str) {
    outbox.enqueue(&entry("one", "slow")).await.expect("added");
    lose(&outbox, url, LIMIT - 1).await;
    let busy = async |_: Recipient, _: PostboxItem| {
        Err::<(), _>(DeliverError::Push(StoreError::Busy.into()))
    };
    let worker = run(quick(&outbox, busy));
    while only(&outbox).await.last_error.is_none() {
        tokio::task::yield_now().await;
    }
    worker.stop().await;
    assert_eq!(only(&outbox).await.state, State::Waiting);
    lose(&outbox, url, LIMIT - 1).await;
    deliver_once(&outbox).await;
}

async fn a_user_who_connects_ends_the_count_of_losses(outbox: Outbox, url: &str) {
    outbox.enqueue(&entry("one", "early")).await.expect("added");
    lose(&outbox, url, LIMIT).await;
    outbox.connected("one", CONTRACT).await.expect("it works");
    deliver_once(&outbox).await;
}

async fn an_entry_that_kills_is_given_up_and_those_beside_it_are_not(outbox: Outbox, url: &str) {
    const BESIDE: [&str; 3] = ["two", "three", "four"];
    outbox.enqueue(&entry("one", "kills")).await.expect("added");
    for user in BESIDE {
        outbox.enqueue(&entry(user, "beside")).await.expect("added");
    }
    // It kills before the others are done, as often as they are taken together.
    for _ in 0..3 {
        die_with(&outbox, 1 + BESIDE.len()).await;
        end_leases(url).await;
    }
    while listed(&outbox, State::GivenUp).await.is_empty() {
        let kills = Gate::default();
        let deliver = {
            let (outbox, kills) = (outbox.clone(), kills.clone());
            move |recipient: Recipient, item: PostboxItem| {
                let (outbox, kills) = (outbox.clone(), kills.clone());
                async move {
                    if recipient.user == "one" {
                        return kills.deliver(recipient, item).await;
                    }
                    // It would not be done before the process is killed.
                    if in_flight(&outbox).await > 1 {
                        std::future::pending::<()>().await;
                    }
                    Ok(())
                }
            }
        };
        // A claim that is on its way when the worker dies takes entries for the time of a lease.
        let worker = run(quick(&outbox, deliver).lease(Duration::from_secs(2)));
        tokio::select! {
            () = kills.reached(1) => {}
            _ = counts(&outbox, |counts| counts.given_up > 0) => {}
        }
        die(worker).await;
        end_leases(url).await;
    }
    let worker = run(quick(&outbox, done));
    let settled = counts(&outbox, |counts| counts.waiting + counts.sending == 0).await;
    worker.stop().await;
    assert_eq!((settled.delivered, settled.given_up), (3, 1));
    let given_up = listed(&outbox, State::GivenUp).await;
    assert_eq!(given_up[0].reference, "kills");
}

async fn a_worker_that_is_late_records_a_delivery_after_the_entry_was_given_up(
    outbox: Outbox,
    url: &str,
) {
    outbox.enqueue(&entry("one", "late")).await.expect("added");
    lose(&outbox, url, LIMIT - 1).await;
    let gate = Gate::default();
    // With one place, it takes nothing before it is done.
    let late = run(quick(&outbox, gate.clone()).concurrency(1));
    gate.reached(1).await;
    end_leases(url).await;
    let other = run(quick(&outbox, done));
    counts(&outbox, |counts| counts.given_up == 1).await;
    other.stop().await;
    gate.open();
    counts(&outbox, |counts| counts.delivered == 1).await;
    late.stop().await;
}
