//! Tables that an earlier version has made.

use std::time::Duration;

use digime::store::{FlowRecord, FlowStore, PostgresStore, SqliteStore, TokenRecord, TokenStore};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, SqlitePool};

use crate::set_up::postgres;

const TABLES: &str = "
    CREATE TABLE digime_flows (key TEXT PRIMARY KEY, record TEXT NOT NULL, expires_at BIGINT NOT NULL);
    CREATE TABLE digime_tokens (
        key TEXT PRIMARY KEY, version TEXT NOT NULL, record TEXT NOT NULL, holder TEXT,
        leased_until BIGINT NOT NULL DEFAULT 0
    );
    INSERT INTO digime_flows VALUES ('key', 'the record', 4000000000000);
    INSERT INTO digime_tokens VALUES ('user', '1', 'the tokens', NULL, 0);
";

async fn keeps_what_an_earlier_version_kept(store: impl FlowStore + TokenStore) {
    let taken = store.take("key", "a").await.expect("it works");
    assert_eq!(taken.as_deref(), Some("the record"));
    assert_eq!(store.take("key", "b").await.expect("it works"), None);
    let again = FlowRecord {
        id: "again".into(),
        record: "again".into(),
        expires_in: Duration::from_mins(1),
    };
    store.put("key", &again).await.expect("it is put");
    assert!(store.take("key", "b").await.expect("it works").is_some());
    let noted = store.leave_note("key", "b", "a note").await;
    noted.expect("it works");

    let new = TokenRecord {
        version: "2".into(),
        record: "new tokens".into(),
    };
    let replaced = store.replace("user", Some("1"), &new).await;
    assert!(replaced.expect("it works"));
    assert_eq!(store.load("user").await.expect("it works"), Some(new));
}

#[tokio::test]
async fn sqlite_tables_of_an_earlier_version_get_the_new_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("store.db");
    std::fs::write(&database, "").expect("a file");
    let pool = SqlitePool::connect(&format!("sqlite:{}", database.display())).await;
    let pool = pool.expect("a database");
    pool.execute(TABLES).await.expect("tables");
    pool.close().await;
    keeps_what_an_earlier_version_kept(SqliteStore::open(&database).await.expect("a store")).await;
    drop(SqliteStore::open(&database).await.expect("once more"));
}

#[tokio::test]
async fn postgres_tables_of_an_earlier_version_get_the_new_columns() {
    let Some(shared) = postgres() else {
        return;
    };
    let options: PgConnectOptions = shared.url.parse().expect("a URL");
    // Other tests use the tables of the default schema.
    let pool = PgPoolOptions::new()
        .connect_with(options.options([("search_path", "earlier")]))
        .await
        .expect("PostgreSQL");
    pool.execute("DROP SCHEMA IF EXISTS earlier CASCADE; CREATE SCHEMA earlier;")
        .await
        .expect("a schema");
    pool.execute(TABLES).await.expect("tables");
    let store = PostgresStore::new(pool);
    for _ in 0..2 {
        store.migrate().await.expect("it can be run again");
    }
    keeps_what_an_earlier_version_kept(store).await;
}
