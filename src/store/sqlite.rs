use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::sql::{SWEEP_EVERY, failed, millis, sql_store};
use super::{FlowStore, Kept, Parked, StoreError, TokenStore};

/// A store in a SQLite file, for the processes of one machine. A clone is the same store.
///
/// Its tables are in [`SqliteStore::SCHEMA`], each with `digime_` before its name.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    parked: Arc<AtomicUsize>,
}

impl SqliteStore {
    /// The tables, in SQL that can be run again. A later version only adds to it.
    pub const SCHEMA: &str = include_str!("sqlite.sql");

    /// Opens a file, made where it is not there, with its tables.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the file can't be opened, or is no SQLite file.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was committed must outlive a crash of the machine: a refresh token that is lost is a consent lost.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePool::connect_with(options).await.map_err(failed)?;
        let store = Self::new(pool);
        store.migrate().await?;
        Ok(store)
    }
}

sql_store!(
    SqliteStore,
    pool: SqlitePool,
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    lock: ""
);
