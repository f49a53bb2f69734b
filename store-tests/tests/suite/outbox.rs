//! The outbox: each entry is delivered at least once, whatever happens to the workers.

mod consent;
mod entries;
mod failures;
mod killed;
mod lost;
mod telemetry;
mod workers;

use std::fmt::Display;
use std::time::{Duration, Instant};

use digime::Contract;
use digime_outbox::{Counts, Deliver, Entry, Filter, Item, Listed, Outbox, State, Worker};
use digime_store_tests::Place;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An entry with a reference, for a user. Nobody looks its contract up.
fn entry(user: &str, reference: &str) -> Entry {
    entry_under(CONTRACT, user, reference)
}

/// An entry under the sandbox's contract, whose id differs from sandbox to sandbox.
fn entry_of(place: &Place, user: &str, reference: &str) -> Entry {
    entry_under(place.receipts().contract_id(), user, reference)
}

fn entry_under(contract: impl Display, user: &str, reference: &str) -> Entry {
    let item = Item::bytes("receipt.txt", "1 coffee")
        .tag("receipt")
        .account(user);
    Entry::new(user, contract, item).reference(reference)
}

/// The contract of entries that are not pushed to the sandbox.
const CONTRACT: &str = "corner-shop-receipts";

/// A worker that loses no time.
fn quick<D: Deliver>(outbox: &Outbox, deliver: D) -> Worker<D> {
    outbox
        .worker(deliver)
        .poll_interval(Duration::from_millis(5))
        .retry_delays(Duration::from_millis(2), Duration::from_millis(10))
        .config_delay(Duration::from_millis(2))
}

/// A worker that runs.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn run<D: Deliver>(worker: Worker<D>) -> Running {
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(worker.run_until(shutdown));
    Running { stop, task }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("it does not panic");
    }
}

/// Waits until the counts are as wanted.
async fn counts(outbox: &Outbox, is_wanted: impl Fn(&Counts) -> bool) -> Counts {
    let begun = Instant::now();
    loop {
        let counts = outbox.counts().await.expect("the database works");
        if is_wanted(&counts) {
            return counts;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {counts:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How long a condition is waited for. A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_mins(5);

async fn listed(outbox: &Outbox, state: State) -> Vec<Listed> {
    let filter = Filter::all().state(state);
    let listed = outbox.list(&filter, None, 10_000).await;
    listed.expect("the database works")
}

/// Changes the outbox's tables behind its back.
async fn execute(url: &str, sql: &str) {
    let sql = AssertSqlSafe(sql);
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.expect("a file");
        connection.execute(sql).await.expect("it works");
    } else {
        let mut connection = PgConnection::connect(url).await.expect("a server");
        connection.execute(sql).await.expect("it works");
    }
}

/// The only entry of the outbox.
async fn only(outbox: &Outbox) -> Listed {
    let listed = outbox.list(&Filter::all(), None, 10).await;
    let mut listed = listed.expect("the database works");
    assert_eq!(listed.len(), 1, "{listed:?}");
    listed.remove(0)
}
