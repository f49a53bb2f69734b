//! Claims per second of each store, beside its database's own get-and-delete, in one run.
//!
//! `cargo bench -p digime-store-tests`, or with real servers `store-tests/with-servers cargo bench -p digime-store-tests`.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use digime::store::{FlowStore, MemoryStore, ParkedFlows, PostgresStore, RedisStore, SqliteStore};
use digime::{AwaitingCallback, Callback, Client, Error, Flow, NoVerifier};
use digime_sandbox::Sandbox;
use digime_store_tests::{Place, Welcome};
use futures_util::future::join_all;
use redis::AsyncCommands;

const FLOWS: usize = 4000;
const TASKS: usize = 8;
const RUNS: usize = 5;

/// A database's own get-and-delete.
trait Raw {
    async fn put(&self, key: &str, record: String);
    async fn get_and_delete(&self, key: &str) -> Option<String>;
}

impl Raw for Mutex<HashMap<String, String>> {
    async fn put(&self, key: &str, record: String) {
        self.lock()
            .expect("no panic")
            .insert(key.to_owned(), record);
    }

    async fn get_and_delete(&self, key: &str) -> Option<String> {
        self.lock().expect("no panic").remove(key)
    }
}

impl Raw for redis::aio::ConnectionManager {
    async fn put(&self, key: &str, record: String) {
        let put: Result<(), _> = self.clone().set(key, record).await;
        put.expect("Redis works");
    }

    async fn get_and_delete(&self, key: &str) -> Option<String> {
        self.clone().get_del(key).await.expect("Redis works")
    }
}

macro_rules! raw_sql {
    ($pool:ty) => {
        impl Raw for $pool {
            async fn put(&self, key: &str, record: String) {
                sqlx::query("INSERT INTO raw (key, record) VALUES ($1, $2)")
                    .bind(key)
                    .bind(record)
                    .execute(self)
                    .await
                    .expect("the database works");
            }

            async fn get_and_delete(&self, key: &str) -> Option<String> {
                // All rows are fetched, since only then the statement has ended and is committed.
                sqlx::query_scalar("DELETE FROM raw WHERE key = $1 RETURNING record")
                    .bind(key)
                    .fetch_all(self)
                    .await
                    .expect("the database works")
                    .pop()
            }
        }
    };
}

raw_sql!(sqlx::SqlitePool);
raw_sql!(sqlx::PgPool);

const RAW_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS raw (key TEXT PRIMARY KEY, record TEXT NOT NULL)";

#[tokio::main]
async fn main() {
    let sandbox = Sandbox::start().await.expect("a free port");
    let place = Place::of(&sandbox);
    println!("{TASKS} tasks, {FLOWS} flows, median of {RUNS} runs\n");
    println!("| store | claims/s | raw get-and-delete/s | ratio |");
    println!("| --- | --- | --- | --- |");
    let raw = Mutex::new(HashMap::new());
    compare("memory", &place, MemoryStore::new(), &raw).await;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("store.db");
    let store = SqliteStore::open(&file).await.expect("a file");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30));
    let pool = sqlx::SqlitePool::connect_with(options)
        .await
        .expect("a file");
    sqlx::query(RAW_TABLE)
        .execute(&pool)
        .await
        .expect("a table");
    compare("SQLite", &place, store, &pool).await;

    if let Ok(url) = std::env::var("DIGIME_TEST_POSTGRES") {
        let store = PostgresStore::connect_and_migrate(&url)
            .await
            .expect("PostgreSQL");
        let pool = sqlx::PgPool::connect(&url).await.expect("PostgreSQL");
        sqlx::query(RAW_TABLE)
            .execute(&pool)
            .await
            .expect("a table");
        compare("PostgreSQL", &place, store, &pool).await;
    }
    if let Ok(url) = std::env::var("DIGIME_TEST_REDIS") {
        let store = RedisStore::connect(&url).await.expect("Redis");
        let client = redis::Client::open(url).expect("a URL");
        let raw = redis::aio::ConnectionManager::new(client).await;
        compare("Redis", &place, store, &raw.expect("Redis")).await;
    }
}

async fn compare(name: &str, place: &Place, store: impl FlowStore, raw: &impl Raw) {
    let flows = ParkedFlows::new(store);
    let (mut claims, mut raws) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let run = format!("{}-{run}", std::process::id());
        claims.push(claims_per_second(&run, place, &flows).await);
        raws.push(raw_per_second(&run, place, raw).await);
    }
    let (claims, raws) = (median(claims), median(raws));
    println!(
        "| {name} | {claims:.0} | {raws:.0} | {:.2} |",
        claims / raws
    );
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn keys(run: &str) -> Vec<String> {
    (0..FLOWS).map(|number| format!("{run}-{number}")).collect()
}

/// Does something for every key, with all tasks at a time.
async fn for_each_key<'a, F: Future<Output = ()>>(keys: &'a [String], work: impl Fn(&'a str) -> F) {
    let work = &work;
    let tasks = keys.chunks(FLOWS / TASKS).map(|keys| async move {
        for key in keys {
            work(key).await;
        }
    });
    join_all(tasks).await;
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
fn per_second(begun: Instant) -> f64 {
    FLOWS as f64 / begun.elapsed().as_secs_f64()
}

async fn claims_per_second(run: &str, place: &Place, flows: &ParkedFlows<impl FlowStore>) -> f64 {
    let keys = keys(run);
    for_each_key(&keys, async |state| {
        flows
            .park(place.waiting(state, 0))
            .await
            .expect("it is parked");
    })
    .await;
    let (welcome, client) = (place.welcome(), place.client());
    let begun = Instant::now();
    for_each_key(&keys, async |state| {
        claim(flows, &welcome, &client, state).await;
    })
    .await;
    per_second(begun)
}

async fn claim(
    flows: &ParkedFlows<impl FlowStore>,
    welcome: &Welcome,
    client: &Client,
    state: &str,
) {
    let callback = Callback::from_query(&format!("result=SUCCESS&state={state}"));
    let claimed: Result<(Flow<Welcome, AwaitingCallback<NoVerifier>>, usize), Error> = flows
        .claim(&callback.expect("a callback"), welcome, client)
        .await;
    let (flow, _) = claimed.expect("the flow");
    std::hint::black_box(flow.state());
}

async fn raw_per_second(run: &str, place: &Place, raw: &impl Raw) -> f64 {
    let keys = keys(run);
    let record = serde_json::to_string(&place.waiting("a state", 0)).expect("JSON");
    for_each_key(&keys, async |key| raw.put(key, record.clone()).await).await;
    let begun = Instant::now();
    for_each_key(&keys, async |key| {
        std::hint::black_box(raw.get_and_delete(key).await.expect("the record"));
    })
    .await;
    per_second(begun)
}
