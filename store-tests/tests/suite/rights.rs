//! Databases whose user may not make tables, and what is said when they are missing.

use digime::error::StoreError;
use digime::store::{PostgresStore, conformance};
use digime::{Error, store};
use digime_outbox::{Enqueued, Entry, Filter, Item, Outbox};
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

use crate::set_up::postgres;

/// The SQL of the section of docs/databases.md that says which grants there have to be.
fn grants() -> &'static str {
    let page = include_str!("../../../docs/databases.md");
    let (_, section) = page.split_once("## Rights").expect("the section");
    let (_, sql) = section.split_once("```sql\n").expect("its SQL");
    sql.split_once("```").expect("its end").0
}

/// A pool whose tables are in a new schema.
async fn new_schema(url: &str, name: &'static str) -> PgPool {
    let options: PgConnectOptions = url.parse().expect("a URL");
    let pool = PgPoolOptions::new()
        .connect_with(options.options([("search_path", name)]))
        .await
        .expect("PostgreSQL");
    let schema = format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name};");
    pool.execute(AssertSqlSafe(schema)).await.expect("a schema");
    pool
}

#[tokio::test]
async fn a_user_with_the_documented_grants_can_use_the_store_and_make_no_tables() {
    let Some(shared) = postgres() else {
        return;
    };
    let mut admin = PgConnection::connect(&shared.url).await.expect("a server");
    for statement in [
        "DROP DATABASE IF EXISTS grants",
        "DROP ROLE IF EXISTS shop",
        "DROP ROLE IF EXISTS shop_owner",
        "CREATE DATABASE grants",
    ] {
        admin.execute(statement).await.expect(statement);
    }
    let database = shared.url.replace("/postgres", "/grants");
    let mut admin = PgConnection::connect(&database).await.expect("a database");
    admin.execute(grants()).await.expect("the grants");

    let url = |user: &str| database.replace("digime@", &format!("{user}:secret@"));
    let missing = PostgresStore::connect(&url("shop")).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotMigrated(_)), "{missing}");
    let refused = PostgresStore::connect_and_migrate(&url("shop")).await;
    let refused = Error::from(refused.unwrap_err()).report().to_string();
    assert!(
        refused.contains("permission denied for schema digime"),
        "{refused}"
    );

    let owner = PostgresStore::connect_and_migrate(&url("shop_owner")).await;
    owner.expect("the owner may make tables");
    let store = PostgresStore::connect(&url("shop")).await;
    let store = store.expect("the tables are there");
    conformance::flow_store(&store).await;
    conformance::token_store(&store).await;
    store.migrate().await.expect("there is nothing to do");

    let pool = async |user| PgPool::connect(&url(user)).await.expect("a user");
    let of_shop = Outbox::postgres(pool("shop").await);
    of_shop.migrate().await.expect_err("a user without rights");
    let of_owner = Outbox::postgres(pool("shop_owner").await);
    of_owner.migrate().await.expect("the owner may make tables");
    of_shop.migrate().await.expect("there is nothing to do");
    let entry = Entry::new("customer", "contract", Item::bytes("a.txt", "1 coffee"));
    let added = of_shop.enqueue(&entry).await.expect("the rights");
    assert_eq!(added, Enqueued::Added);
    let entries = of_shop.list(&Filter::all(), None, 1).await;
    let id = entries.expect("the rights")[0].id;
    assert!(of_shop.discard(id).await.expect("the rights"));

    let mut user = PgConnection::connect(&url("shop")).await.expect("a user");
    for forbidden in [
        "CREATE TABLE more (key TEXT)",
        "TRUNCATE digime_tokens",
        "ALTER TABLE digime_tokens ADD COLUMN more TEXT",
        "DROP TABLE digime_flows",
    ] {
        let error = user.execute(forbidden).await.expect_err(forbidden);
        let error = error.to_string();
        assert!(
            error.contains("permission denied") || error.contains("must be owner"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn tables_and_columns_that_are_missing_are_named() {
    let Some(shared) = postgres() else {
        return;
    };
    let pool = new_schema(&shared.url, "missing").await;
    let store = PostgresStore::new(pool.clone());
    let named = async || store.check().await.unwrap_err().to_string();
    let both = "the database has no table `digime_flows` and no table `digime_tokens`, or";
    assert!(named().await.starts_with(both), "{}", named().await);

    store.migrate().await.expect("tables");
    store.check().await.expect("they are there");
    for (change, what) in [
        (
            "ALTER TABLE digime_flows DROP COLUMN note",
            "no column `digime_flows.note`, or",
        ),
        (
            "DROP TABLE digime_tokens",
            "no column `digime_flows.note` and no table `digime_tokens`, or",
        ),
    ] {
        pool.execute(change).await.expect(change);
        assert!(named().await.contains(what), "{}", named().await);
    }
    store.migrate().await.expect("it makes what is missing");
    store.check().await.expect("it is there");

    // A database without an index is slow, and not refused.
    pool.execute("DROP INDEX digime_tokens_by_key")
        .await
        .expect("an index");
    store.check().await.expect("the tables are there");
    store.migrate().await.expect("it makes what is missing");
    let index = pool.execute("DROP INDEX digime_tokens_by_key").await;
    index.expect("it was made again");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_made_by_many_at_once() {
    let Some(shared) = postgres() else {
        return;
    };
    let pool = new_schema(&shared.url, "at_once").await;
    let stores = (0..8).map(|_| store::SqlStore::new(pool.clone()));
    let made = stores.map(|store| tokio::spawn(async move { store.migrate().await }));
    for made in join_all(made).await {
        made.expect("no panic").expect("tables");
    }
}
