//! Workers that are killed at random points.

use std::collections::HashMap;
use std::time::Duration;

use digime::store::SharedTokens;
use digime_outbox::Outbox;
use digime_sandbox::Sandbox;
use digime_store_tests::{Place, with_store};
use serde_json::json;
use tokio::process::Child;

use super::{counts, entry_of};
use crate::set_up::{authorized, on_each_database, sandbox, start};

on_each_database! {
    nothing_is_lost_when_workers_are_killed_a_hundred_times
}

const KILLS: usize = 100;
const USERS: usize = 5;

/// How many entries are added before each kill.
const ENTRIES: usize = 8;

async fn nothing_is_lost_when_workers_are_killed_a_hundred_times(outbox: Outbox, url: &str) {
    let (sandbox, place) = sandbox().await;
    with_store!(url, store => {
        let tokens = SharedTokens::new(store);
        for user in 0..USERS {
            let flow = authorized(&sandbox, &place).await;
            tokens.keep(&user.to_string(), flow).await.expect("kept");
        }
    });
    let mut workers = [worker(&place, url).await, worker(&place, url).await];
    let mut random = fastrand::Rng::with_seed(11);
    for kill in 0..KILLS {
        let arrived = sandbox.inbox().len();
        for number in 0..ENTRIES {
            let user = (kill + number) % USERS;
            let entry = entry_of(
                &place,
                &user.to_string(),
                &format!("receipt {kill}/{number}"),
            );
            outbox.enqueue(&entry).await.expect("added");
        }
        // While entries flow: after a random number of arrivals, and a random moment of the next one.
        arrivals(&sandbox, arrived + random.usize(1..ENTRIES)).await;
        tokio::time::sleep(Duration::from_micros(random.u64(..8000))).await;
        let dies = &mut workers[kill % 2];
        dies.kill().await.expect("it is killed");
        *dies = worker(&place, url).await;
    }

    let all = KILLS * ENTRIES;
    let counts = counts(&outbox, |counts| counts.delivered == all as u64).await;
    let is_settled = counts.waiting == 0 && counts.sending == 0 && counts.given_up == 0;
    assert!(is_settled && counts.awaiting_consent == 0, "{counts:?}");
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for item in sandbox.inbox() {
        let reference = item.descriptor["reference"][0].as_str();
        *arrived
            .entry(reference.expect("a reference").to_owned())
            .or_default() += 1;
    }
    assert_eq!(arrived.len(), all, "each reference has arrived");
    let most = arrived.values().max();
    let twice = arrived.values().filter(|times| **times > 1).count();
    println!("{twice} of {all} entries arrived more than once, at most {most:?} times");
    // What a worker was sending when it died is cut off.
    let mistakes = sandbox.violations().into_iter();
    let mistakes: Vec<_> = mistakes
        .filter(|it| !it.ends_with("failed to read stream"))
        .collect();
    assert_eq!(mistakes, [""; 0]);
}

async fn worker(place: &Place, url: &str) -> Child {
    start(place, url, json!({"Deliver": {"lease_millis": 500}})).await
}

async fn arrivals(sandbox: &Sandbox, wanted: usize) {
    while sandbox.inbox().len() < wanted {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
