//! Entries that end the process which sends them, so that no outcome is recorded.

use std::time::SystemTime;

use digime::PostboxItem;
use digime::error::StoreError;
use digime_outbox::{Deliver, DeliverError, Listed, Outbox, Recipient, State};

use super::workers::Gate;
use super::{CONTRACT, counts, entry, execute, listed, only, quick, run};
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
        let gate = Gate::default();
        die(outbox, gate.clone(), &gate, 1).await;
        end_leases(url).await;
    }
}

/// Runs a worker that dies as soon as so many deliveries have reached the gate.
async fn die(outbox: &Outbox, deliver: impl Deliver, gate: &Gate, calls: usize) {
    let dies = run(quick(outbox, deliver));
    gate.reached(calls).await;
    dies.task.abort();
    let ended = dies.task.await.expect_err("it does not end by itself");
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
    let mut deaths = 0;
    let together = Gate::default();
    for _ in 0..3 {
        let gate = together.clone();
        let all = (deaths + 1) * (1 + BESIDE.len());
        die(&outbox, gate, &together, all).await;
        end_leases(url).await;
        deaths += 1;
    }
    while deaths < LIMIT {
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
        die(&outbox, deliver, &kills, 1).await;
        end_leases(url).await;
        deaths += 1;
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
