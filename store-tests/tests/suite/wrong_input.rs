//! What no database can do is an error, and never a panic.

use std::time::Duration;

use digime::error::StoreError;
use digime::store::{
    FlowRecord, FlowStore, PostgresStore, RedisStore, SqliteStore, TokenRecord, TokenStore,
};
use digime_store_tests::with_store;

use crate::set_up::{on_each_store, user};

on_each_store! { a_key_with_a_nul_is_kept_or_refused }

async fn a_key_with_a_nul_is_kept_or_refused(url: &str) {
    let key = format!("{}\0", user());
    let parked = FlowRecord {
        id: "a put".into(),
        record: "the record".into(),
        expires_in: Duration::from_mins(1),
    };
    let kept = TokenRecord {
        version: "1".into(),
        record: "the record".into(),
    };
    with_store!(url, store => {
        match store.put(&key, &parked).await {
            Ok(()) => {
                let taken = store.take(&key, "a").await.expect("what was put can be taken");
                assert_eq!(taken, Some(parked.record));
            }
            Err(error) => assert_refused_for_its_nul(error),
        }
        match store.replace(&key, None, &kept).await {
            Ok(saved) => {
                assert!(saved);
                let loaded = store.load(&key).await.expect("what was saved can be loaded");
                assert_eq!(loaded, Some(kept));
            }
            Err(error) => assert_refused_for_its_nul(error),
        }
    });
}

fn assert_refused_for_its_nul(error: StoreError) {
    let report = digime::Error::from(error).report().to_string();
    assert!(report.contains("0x00"), "{report}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for url in [
        "",
        "nonsense",
        "mysql://localhost",
        "\0",
        "postgres://[",
        "redis://[",
    ] {
        PostgresStore::connect(url).await.expect_err(url);
        RedisStore::connect(url).await.expect_err(url);
    }
    for path in ["", "/", "/there/is/no/such/folder", "\0", "a\0b"] {
        SqliteStore::open(path).await.expect_err(path);
    }
}
