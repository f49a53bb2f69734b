//! Workers: leases, places, panics and their end.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use digime::PostboxItem;
use digime_outbox::{Deliver, DeliverError, Outbox, Recipient, State};
use tokio::sync::Notify;

use super::{CONTRACT, PATIENCE, counts, entry, listed, only, quick, run};
use crate::set_up::on_each_database;

on_each_database! {
    two_workers_share_the_entries_and_send_none_twice
    a_slow_push_keeps_its_lease
    an_entry_of_a_worker_that_died_is_taken_when_its_lease_has_ended
    a_user_with_many_entries_does_not_keep_others_waiting
    a_worker_that_stops_waits_for_what_is_in_flight
    a_worker_that_must_stop_releases_what_it_cuts_off
    a_delivery_that_panics_is_tried_again
}

/// A delivery that waits until it may end.
#[derive(Clone, Default)]
pub(super) struct Gate {
    calls: Arc<AtomicUsize>,
    open: Arc<Notify>,
}

impl Gate {
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits until so many deliveries have begun.
    pub(super) async fn reached(&self, calls: usize) {
        let begun = Instant::now();
        while self.calls() < calls {
            assert!(begun.elapsed() < PATIENCE, "waited in vain");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets one delivery end.
    pub(super) fn open(&self) {
        self.open.notify_one();
    }
}

impl Deliver for Gate {
    async fn deliver(&self, _: Recipient, _: PostboxItem) -> Result<(), DeliverError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.open.notified().await;
        Ok(())
    }
}

async fn two_workers_share_the_entries_and_send_none_twice(outbox: Outbox, url: &str) {
    const ENTRIES: usize = 200;
    for number in 0..ENTRIES {
        let entry = entry(&format!("user {number}"), "receipt");
        outbox.enqueue(&entry).await.expect("added");
    }
    let sent: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    let worker = |number: usize, outbox: &Outbox| {
        let sent = sent.clone();
        run(quick(
            outbox,
            move |recipient: Recipient, _: PostboxItem| {
                let sent = sent.clone();
                async move {
                    sent.lock()
                        .expect("no panic")
                        .push((number, recipient.user));
                    tokio::task::yield_now().await;
                    Ok(())
                }
            },
        ))
    };
    let other = digime_store_tests::outbox(url).await;
    let workers = [worker(1, &outbox), worker(2, &other)];
    counts(&outbox, |counts| counts.delivered == ENTRIES as u64).await;
    for worker in workers {
        worker.stop().await;
    }
    let sent = sent.lock().expect("no panic");
    let users: HashSet<_> = sent.iter().map(|(_, user)| user).collect();
    assert_eq!((sent.len(), users.len()), (ENTRIES, ENTRIES));
}

async fn a_slow_push_keeps_its_lease(outbox: Outbox, url: &str) {
    outbox.enqueue(&entry("one", "slow")).await.expect("added");
    let gate = Gate::default();
    // Long enough that a machine which is busy for a moment extends it in time.
    let lease = Duration::from_secs(6);
    let first = run(quick(&outbox, gate.clone()).lease(lease));
    gate.reached(1).await;
    let other = digime_store_tests::outbox(url).await;
    let second = run(quick(&other, gate.clone()).lease(lease));
    let mut ends = HashSet::new();
    // The lease that the claim gave would have ended after the third extension.
    while ends.len() < 5 {
        ends.extend(only(&outbox).await.due_at);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gate.calls(), 1);
    gate.open.notify_waiters();
    counts(&outbox, |counts| counts.delivered == 1).await;
    assert_eq!(only(&outbox).await.attempts, 1);
    first.stop().await;
    second.stop().await;
}

async fn an_entry_of_a_worker_that_died_is_taken_when_its_lease_has_ended(outbox: Outbox, _: &str) {
    outbox.enqueue(&entry("one", "taken")).await.expect("added");
    let gate = Gate::default();
    // With one place, it takes nothing more before it dies.
    let dies = quick(&outbox, gate.clone()).concurrency(1);
    let dies = run(dies.lease(Duration::from_millis(50)));
    gate.reached(1).await;
    dies.task.abort();
    let survives = run(quick(&outbox, async |_: Recipient, _: PostboxItem| Ok(())));
    counts(&outbox, |counts| counts.delivered == 1).await;
    assert_eq!(only(&outbox).await.attempts, 2);
    survives.stop().await;
}

async fn a_user_with_many_entries_does_not_keep_others_waiting(outbox: Outbox, _: &str) {
    for number in 0..50 {
        let entry = entry("busy", &number.to_string());
        outbox.enqueue(&entry).await.expect("added");
    }
    outbox.enqueue(&entry("other", "one")).await.expect("added");
    let gate = Gate::default();
    let deliver = {
        let gate = gate.clone();
        move |recipient: Recipient, item: PostboxItem| {
            let gate = gate.clone();
            async move {
                match &*recipient.user {
                    "busy" => gate.deliver(recipient, item).await,
                    _ => Ok(()),
                }
            }
        }
    };
    let worker = run(quick(&outbox, deliver).concurrency(8).per_user(3));
    counts(&outbox, |counts| counts.delivered == 1).await;
    assert_eq!(gate.calls(), 3, "places are free, and it takes no more");
    assert_eq!(
        listed(&outbox, State::Delivered).await[0].recipient.user,
        "other"
    );
    let open = tokio::spawn(async move {
        loop {
            gate.open.notify_waiters();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    counts(&outbox, |counts| counts.delivered == 51).await;
    open.abort();
    worker.stop().await;
}

async fn a_worker_that_stops_waits_for_what_is_in_flight(outbox: Outbox, _: &str) {
    outbox
        .enqueue(&entry("one", "in flight"))
        .await
        .expect("added");
    let gate = Gate::default();
    // With one place, it does not take the second entry before it sees that it has to stop.
    let worker = run(quick(&outbox, gate.clone()).concurrency(1));
    gate.reached(1).await;
    worker.stop.send(()).expect("it runs");
    outbox
        .enqueue(&entry("one", "too late"))
        .await
        .expect("added");
    assert!(!worker.task.is_finished());
    gate.open();
    worker.task.await.expect("it stops");
    let counts = outbox.counts().await.expect("counts");
    assert_eq!(
        (counts.delivered, counts.waiting, counts.sending),
        (1, 1, 0)
    );
}

async fn a_worker_that_must_stop_releases_what_it_cuts_off(outbox: Outbox, _: &str) {
    outbox
        .enqueue(&entry("one", "cut off"))
        .await
        .expect("added");
    let gate = Gate::default();
    let worker = run(quick(&outbox, gate.clone()).grace(Duration::ZERO));
    gate.reached(1).await;
    worker.stop().await;
    assert_eq!(only(&outbox).await.state, State::Waiting);
    // Its lease would end in a minute.
    let next = run(quick(&outbox, async |_: Recipient, _: PostboxItem| Ok(())));
    counts(&outbox, |counts| counts.delivered == 1).await;
    next.stop().await;
}

async fn a_delivery_that_panics_is_tried_again(outbox: Outbox, _: &str) {
    outbox
        .enqueue(&entry("one", "panics"))
        .await
        .expect("added");
    let calls = AtomicUsize::new(0);
    let deliver = move |recipient: Recipient, _: PostboxItem| {
        assert_eq!(recipient.contract, CONTRACT);
        let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            assert!(!is_first, "this panic belongs to the test");
            Ok(())
        }
    };
    let worker = run(quick(&outbox, deliver));
    counts(&outbox, |counts| counts.delivered == 1).await;
    assert_eq!(only(&outbox).await.attempts, 2);
    worker.stop().await;
}
