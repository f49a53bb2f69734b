//! How many bytes each store needs for a flow that waits and for a user who has consented.
//!
//! `cargo bench -p digime-store-tests --bench sizes`, or with real servers
//! `store-tests/with-servers cargo bench -p digime-store-tests --bench sizes`.

use std::time::Duration;

use digime::Callback;
use digime::store::{
    FlowRecord, MemoryStore, PostgresStore, RedisStore, SharedTokens, SqliteStore, Store,
    TokenRecord, TokenStore,
};
use digime_sandbox::Sandbox;
use digime_store_tests::Place;

const ROWS: usize = 2_000;

/// Each user's tokens are refreshed so often, as a day of pushes might.
const REFRESHES: usize = 3;

/// What a store keeps, from a real flow. Its key has the length of a real one.
struct Records {
    flow: String,
    key: String,
    tokens: String,
}

impl Records {
    async fn get() -> Self {
        let sandbox = Sandbox::start().await.expect("a free port");
        let place = Place::of(&sandbox);
        let flow = place.receipts().flow(&place.client());
        let session = flow.establish_session().await.expect("a session");
        let awaiting = flow.create_postbox(session).await.expect("a link");
        let callback = sandbox.consent(awaiting.url()).await.expect("a callback");
        let suspended = awaiting.suspend().with("customer-00042");
        let flow = serde_json::to_string(&suspended).expect("JSON");
        let resumed = suspended
            .into_parts()
            .0
            .resume(place.receipts(), &place.client());
        let awaiting = resumed.expect("a flow");
        let callback = Callback::from_url(callback).expect("a callback");
        let authorized = awaiting.exchange_code(callback).await.expect("tokens");
        let memory = MemoryStore::new();
        let tokens = SharedTokens::new(memory.clone());
        tokens
            .keep("customer-00042", authorized)
            .await
            .expect("kept");
        let mut users = memory.list("", None, 1).await.expect("it works");
        let (key, kept) = users.pop().expect("a user");
        Self {
            flow,
            key,
            tokens: kept.record,
        }
    }

    fn key(&self, number: usize) -> String {
        format!("{number:05}{}", &self.key[5..])
    }
}

#[tokio::main]
async fn main() {
    let records = Records::get().await;
    let (flow, tokens) = (records.flow.len(), records.tokens.len());
    println!(
        "{ROWS} flows of {flow} bytes, and {ROWS} users with {tokens} bytes, refreshed {REFRESHES} times\n"
    );
    println!("| store | bytes for each flow | bytes for each user | after {REFRESHES} refreshes |");
    println!("| --- | --- | --- | --- |");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("store.db");
    let store = SqliteStore::open(&file).await.expect("a file");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display())).await;
    let pool = pool.expect("a file");
    let size = async || {
        // What is still in the log counts too.
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        sqlx::query_scalar(size)
            .fetch_one(&pool)
            .await
            .expect("a number")
    };
    measure("SQLite", &records, &store, size).await;

    if let Ok(url) = std::env::var("DIGIME_TEST_POSTGRES") {
        let store = PostgresStore::connect_and_migrate(&url)
            .await
            .expect("PostgreSQL");
        let pool = sqlx::PgPool::connect(&url).await.expect("PostgreSQL");
        let size = async || {
            sqlx::raw_sql("VACUUM")
                .execute(&pool)
                .await
                .expect("it works");
            let size = "SELECT pg_total_relation_size('digime_flows') + pg_total_relation_size('digime_tokens')";
            sqlx::query_scalar(size)
                .fetch_one(&pool)
                .await
                .expect("a number")
        };
        measure("PostgreSQL", &records, &store, size).await;
    }
    if let Ok(url) = std::env::var("DIGIME_TEST_REDIS") {
        let store = RedisStore::connect(&url).await.expect("Redis");
        let client = redis::Client::open(url).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await;
        let connection = connection.expect("Redis");
        let size = async || {
            let mut connection = connection.clone();
            let info: String = redis::cmd("INFO")
                .arg("memory")
                .query_async(&mut connection)
                .await
                .expect("it works");
            let used = info
                .lines()
                .find_map(|line| line.strip_prefix("used_memory:"));
            used.expect("a line").trim().parse().expect("a number")
        };
        measure("Redis", &records, &store, size).await;
    }
}

async fn measure(name: &str, records: &Records, store: &impl Store, size: impl AsyncFn() -> i64) {
    let empty = size().await;
    for number in 0..ROWS {
        let parked = FlowRecord {
            id: "0123456789abcdef0123456789abcdef".into(),
            record: records.flow.clone(),
            expires_in: Duration::from_hours(1),
        };
        store.put(&records.key(number), &parked).await.expect("put");
    }
    let flows = size().await;
    replace_all(records, store, None).await;
    let users = size().await;
    for refresh in 0..REFRESHES {
        replace_all(records, store, Some(refresh)).await;
    }
    let refreshed = size().await;
    let each = |bytes: i64| bytes / i64::try_from(ROWS).expect("it fits");
    println!(
        "| {name} | {} | {} | {} |",
        each(flows - empty),
        each(users - flows),
        each(refreshed - flows)
    );
}

/// Saves every user's tokens in place of those of a refresh, or of none.
async fn replace_all(records: &Records, store: &impl TokenStore, refresh: Option<usize>) {
    let version = |refresh: usize| format!("0123456789abcdef0123456789abc{refresh:03}");
    let wanted = refresh.map(version);
    let tokens = TokenRecord {
        version: version(refresh.map_or(0, |refresh| refresh + 1)),
        record: records.tokens.clone(),
    };
    for number in 0..ROWS {
        let replaced = store
            .replace(&records.key(number), wanted.as_deref(), &tokens)
            .await;
        assert!(replaced.expect("it works"));
    }
}
