//! What is in SQLite's files, and who can read them.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use digime::store::{FlowRecord, FlowStore, SqliteStore, TokenRecord, TokenStore};
use futures_util::future::join_all;
use sqlx::{Executor, SqlitePool};

fn files(database: &Path) -> Vec<PathBuf> {
    let named = |ending| PathBuf::from(format!("{}{ending}", database.display()));
    ["", "-wal", "-shm"].into_iter().map(named).collect()
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("a file").permissions().mode() & 0o777
}

fn kept(number: usize, user: usize) -> TokenRecord {
    TokenRecord {
        version: format!("version-{number}-{user}"),
        record: format!("marker-{number}-{user} ").repeat(100 + (number * 31 + user * 17) % 150),
    }
}

/// Keeps a record of a user who has none.
async fn save(store: &SqliteStore, user: &str, kept: &TokenRecord) {
    let saved = store.replace(user, None, kept).await;
    assert!(saved.expect("it is saved"));
}

#[tokio::test]
async fn the_files_can_be_read_by_their_user_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("store.db");
    let store = SqliteStore::open(&database).await.expect("a store");
    save(&store, "user", &kept(1, 1)).await;
    let parked = FlowRecord {
        id: "a put".into(),
        record: "a record".into(),
        expires_in: Duration::from_mins(1),
    };
    store.put("key", &parked).await.expect("it is put");
    for file in files(&database) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_file_that_is_made_behind_a_link_can_be_read_by_its_user_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("link.db");
    let database = folder.path().join("store.db");
    std::os::unix::fs::symlink(&database, &link).expect("a link");
    let store = SqliteStore::open(&link).await.expect("a store");
    save(&store, "user", &kept(1, 1)).await;
    for file in files(&database) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_file_that_is_there_keeps_its_permissions() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("store.db");
    drop(SqliteStore::open(&database).await.expect("a store"));
    fs::set_permissions(&database, fs::Permissions::from_mode(0o640)).expect("a file");
    let store = SqliteStore::open(&database).await.expect("a store");
    save(&store, "user", &kept(1, 1)).await;
    assert_eq!(mode(&database), 0o640);
}

#[tokio::test]
async fn removed_and_replaced_tokens_are_in_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("store.db");
    let store = SqliteStore::open(&database).await.expect("a store");
    // Enough users that SQLite splits and joins pages, all at a time.
    let users = 0..60;
    let save = async |user: usize| save(&store, &user.to_string(), &kept(1, user)).await;
    join_all(users.clone().map(save)).await;
    assert!(holds(&database, "marker-1-7 "), "the test can see tokens");

    let replace = async |user: usize| {
        let (name, old) = (user.to_string(), kept(1, user).version);
        let replaced = store.replace(&name, Some(&old), &kept(2, user)).await;
        assert!(replaced.expect("it works"));
    };
    join_all(users.clone().map(replace)).await;
    assert!(!holds(&database, "marker-1-"), "replaced");
    assert!(holds(&database, "marker-2-7 "), "the new ones are there");

    let remove = async |user: usize| {
        let new = kept(2, user).version;
        let removed = store.remove(&user.to_string(), &new).await;
        assert!(removed.expect("it works"));
    };
    join_all(users.map(remove)).await;
    assert!(!holds(&database, "marker-"), "removed");
}

#[tokio::test]
async fn a_log_that_somebody_reads_is_emptied_by_the_next_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("store.db");
    let store = SqliteStore::open(&database).await.expect("a store");
    save(&store, "one", &kept(1, 1)).await;

    let reader = SqlitePool::connect(&format!("sqlite:{}", database.display())).await;
    let mut reading = reader.expect("a reader").begin().await.expect("it reads");
    let read = reading.fetch_all("SELECT record FROM digime_tokens").await;
    assert_eq!(read.expect("rows").len(), 1);
    let (old, new) = (kept(1, 1).version, kept(2, 1));
    let replaced = store.replace("one", Some(&old), &new).await;
    assert!(replaced.expect("it works"));
    assert!(
        holds(&database, "marker-1-"),
        "the reader can still read it"
    );

    reading.commit().await.expect("it has read");
    save(&store, "two", &kept(3, 2)).await;
    assert!(!holds(&database, "marker-1-"), "it is overwritten");
}

fn holds(database: &Path, marker: &str) -> bool {
    files(database).iter().any(|file| {
        let bytes = fs::read(file).expect("a file");
        let mut parts = bytes.windows(marker.len());
        parts.any(|part| part == marker.as_bytes())
    })
}
