//! Deliveries per second of an outbox with two worker processes, beside plain pushes of two processes, in one run.
//!
//! `cargo bench -p digime-store-tests --bench outbox`, or with a real PostgreSQL
//! `store-tests/with-servers cargo bench -p digime-store-tests --bench outbox`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use digime::store::SharedTokens;
use digime::{Callback, Contract};
use digime_outbox::{Entry, Item, Outbox};
use digime_sandbox::Sandbox;
use digime_store_tests::{Place, outbox, with_store};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

const ENTRIES: usize = 2000;
const USERS: usize = 40;
const PROCESSES: usize = 2;
const AT_A_TIME: usize = 8;
const RUNS: usize = 3;

#[tokio::main]
async fn main() {
    println!(
        "{PROCESSES} processes, {AT_A_TIME} at a time in each, {ENTRIES} items of 4 KiB for {USERS} users, median of {RUNS} runs\n"
    );
    println!("| database | deliveries/s | plain pushes/s | ratio | enqueued/s |");
    println!("| --- | --- | --- | --- | --- |");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    compare("SQLite", &url).await;
    if let Ok(url) = std::env::var("DIGIME_TEST_POSTGRES") {
        compare("PostgreSQL", &url).await;
    }
}

async fn compare(name: &str, url: &str) {
    let sandbox = Sandbox::start().await.expect("a free port");
    let place = Place::of(&sandbox);
    with_store!(url, store => {
        let tokens = SharedTokens::new(store);
        for user in 0..USERS {
            let flow = place.receipts().flow(&place.client());
            let session = flow.establish_session().await.expect("a session");
            let awaiting = flow.create_postbox(session).await.expect("a link");
            let callback = sandbox.consent(awaiting.url()).await.expect("a callback");
            let callback = Callback::from_url(callback).expect("a callback");
            let flow = awaiting.exchange_code(callback).await.expect("tokens");
            tokens.keep(&user.to_string(), flow).await.expect("kept");
        }
    });
    let outbox = outbox(url).await;
    let (mut deliveries, mut pushes, mut enqueued) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        pushes.push(pushes_per_second(&place, url).await);
        enqueued.push(enqueued_per_second(&outbox, &place, run).await);
        deliveries.push(deliveries_per_second(&outbox, &place, url).await);
    }
    let [deliveries, pushes, enqueued] = [deliveries, pushes, enqueued].map(median);
    let ratio = deliveries / pushes;
    println!("| {name} | {deliveries:.0} | {pushes:.0} | {ratio:.2} | {enqueued:.0} |");
}

fn content() -> String {
    "1 coffee".repeat(512)
}

async fn pushes_per_second(place: &Place, url: &str) -> f64 {
    let work = json!({"PushToEach": {
        "users": USERS, "items": ENTRIES / PROCESSES, "at_a_time": AT_A_TIME, "content": content(),
    }});
    let begun = Instant::now();
    let processes = (0..PROCESSES).map(|_| async {
        let mut process = start(place, url, &work).await;
        let status = process.wait().await.expect("it ends");
        assert!(status.success(), "{status}");
    });
    join_all(processes).await;
    per_second(begun)
}

async fn enqueued_per_second(outbox: &Outbox, place: &Place, run: usize) -> f64 {
    let begun = Instant::now();
    let tasks = (0..AT_A_TIME).map(|task| async move {
        for number in (task..ENTRIES).step_by(AT_A_TIME) {
            let item = Item::bytes("receipt.txt", content());
            let user = (number % USERS).to_string();
            let entry = Entry::new(user, place.receipts().contract_id(), item);
            let entry = entry.reference(format!("receipt {run}/{number}"));
            outbox.enqueue(&entry).await.expect("added");
        }
    });
    join_all(tasks).await;
    per_second(begun)
}

async fn deliveries_per_second(outbox: &Outbox, place: &Place, url: &str) -> f64 {
    let work = json!({"Deliver": {"lease_millis": 60_000}});
    let begun = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..PROCESSES {
        workers.push(start(place, url, &work).await);
    }
    loop {
        let counts = outbox.counts().await.expect("the database works");
        if counts.waiting + counts.sending == 0 {
            assert_eq!(counts.given_up + counts.awaiting_consent, 0);
            return per_second(begun);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// It is killed when its handle is dropped.
async fn start(place: &Place, store: &str, work: &Value) -> Child {
    let job = json!({"place": place, "store": store, "work": work}).to_string();
    let mut process = Command::new(env!("CARGO_BIN_EXE_worker"))
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut input = process.stdin.take().expect("its input");
    input.write_all(job.as_bytes()).await.expect("it reads");
    process
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
fn per_second(begun: Instant) -> f64 {
    ENTRIES as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
