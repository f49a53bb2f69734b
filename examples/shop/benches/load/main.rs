//! People who connect all at once, and their receipts, on two machines of which one is killed again and again:
//! `store-tests/with-servers cargo bench -p shop --bench load`.
//!
//! All people have connections at the same time, so it needs `ulimit -n 8192`. `LOAD_PEOPLE=50` makes it smaller. It panics if
//! somebody is not connected, a receipt did not arrive, or a token was lost.

#![allow(unreachable_pub, reason = "a program has no interface")]

mod town;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use town::{Run, Seen, Stage, Usage};

/// Of each person, while a machine is killed.
const ORDERS: usize = 5;

#[tokio::main]
async fn main() {
    let people = std::env::var("LOAD_PEOPLE");
    let people = people.map_or(2000, |it| it.parse().expect("`LOAD_PEOPLE` is a number"));
    let Some(run) = Run::start(people).await else {
        return eprintln!("SKIPPED: there is no PostgreSQL: run with `store-tests/with-servers`");
    };
    let seen = &run.town.seen;

    run.connect_first().await;
    line("one after another: a consent", spread(&seen.consents));
    line("one after another: a callback", spread(&seen.callbacks));

    stage("a link for all others at once", &run.ask(1).await);
    stage("consents in the sandbox", &run.consent().await);
    stage("callbacks of all at once", &run.call_back(2).await);
    line("a callback", spread(&seen.callbacks));

    let pushing = run.push(ORDERS, 2).await;
    let receipts = people * ORDERS;
    line("orders", per_second(receipts, pushing.ordered));
    line(
        "95 % of their receipts",
        per_second(receipts * 95 / 100, pushing.most_arrived),
    );
    line(
        "the last receipt",
        format!("after {:.1?}", pushing.all_arrived),
    );
    line(
        "killed after so many pushes",
        format!("{:?}", pushing.kills),
    );
    said(seen);

    // A token that was lost would show now.
    let refreshes = run.town.sandbox.refreshes();
    run.town.sandbox.expire_access_tokens();
    let last = run.push(1, 0).await;
    line(
        "receipts with a refresh each",
        per_second(people, last.all_arrived),
    );
    line("refreshes", run.town.sandbox.refreshes() - refreshes);

    let usage = run.usage().await;
    let orders = run.check().await;
    let arrived = run.town.sandbox.inbox().len();
    line("people connected", people);
    line(
        "orders booked, receipts arrived",
        format!("{orders}, {arrived}: {} twice", arrived - orders),
    );
    used("the machine that stays", usage[0]);
    used("the machine that is killed", usage[1]);
    used("the sandbox and all people", Usage::of(std::process::id()));
    list("violations in the sandbox", run.town.sandbox.violations());
    let complaints = run.complaints().await;
    list(
        "warnings and errors in the logs",
        complaints.iter().map(|line| message(line)),
    );
}

/// What people have seen of the kills.
fn said(seen: &Seen) {
    line(
        "connections lost before the answer",
        seen.lost.load(Relaxed),
    );
    line("connections refused", seen.refused.load(Relaxed));
    line("answers with 5xx", seen.failed.load(Relaxed));
    line("forms sent again", seen.forms_again.load(Relaxed));
    line(
        "connected, but the callback did not say so",
        seen.healed.load(Relaxed),
    );
    let again = seen.consents_again.lock().expect("no panic").clone();
    list("people who consented once more", again);
}

fn stage(name: &str, stage: &Stage) {
    let most = stage.people * 95 / 100;
    line(&format!("95 %: {name}"), per_second(most, stage.most));
    line("the last one", format!("after {:.1?}", stage.all));
    if !stage.kills.is_empty() {
        line("killed after", format!("{:?}", stage.kills));
    }
}

fn line(name: &str, value: impl std::fmt::Display) {
    println!("{name:45} {value}");
}

fn list(name: &str, texts: impl IntoIterator<Item = String>) {
    let mut counted = BTreeMap::<String, usize>::new();
    for text in texts {
        *counted.entry(text).or_default() += 1;
    }
    line(name, counted.values().sum::<usize>());
    for (text, times) in counted {
        println!("    {times} × {text}");
    }
}

fn used(name: &str, usage: Usage) {
    line(
        name,
        format!(
            "{:.0?} of CPU, {} MiB at most",
            usage.cpu,
            usage.peak_kib / 1024
        ),
    );
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn per_second(count: usize, time: Duration) -> String {
    format!(
        "{count} in {time:.1?}, {:.0}/s",
        count as f64 / time.as_secs_f64()
    )
}

/// The median and the 99th percentile of what was measured since the last time.
fn spread(times: &Mutex<Vec<Duration>>) -> String {
    let mut times = std::mem::take(&mut *times.lock().expect("no panic"));
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    format!("p50 {:.1?}, p99 {:.1?}", at(50), at(99))
}

/// The message of a line of the log, and its error.
fn message(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {}: {}", text("level"), text("message"), text("error"))
}
