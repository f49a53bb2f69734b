use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Error, SqlitePool};

use super::sql::{SWEEP_EVERY, failed, millis, repeated, sql_store};
use super::{FlowStore, Kept, Parked, StoreError, TokenStore};
use crate::random;

/// A store in a SQLite file, for the processes of one machine. A clone is the same store.
///
/// Its tables are in [`SqliteStore::SCHEMA`], each with `digime_` before its name. A flow that was claimed stays in its
/// row, marked, until it expires.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    parked: Arc<AtomicUsize>,
}

impl SqliteStore {
    /// The tables, in SQL that can be run again. A later version only adds to it; [`migrate`](SqliteStore::migrate) also
    /// adds the columns that the tables of an earlier version do not have.
    pub const SCHEMA: &str = include_str!("sqlite.sql");

    /// Opens a file, made where it is not there, with its tables.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the file can't be opened, or is no SQLite file.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        // SQLite takes the relative names `:memory:` and "" for something else than a file.
        let path = std::path::absolute(path).map_err(|error| failed(error.into()))?;
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

    /// Makes the tables where they are not there, and the columns that an earlier version did not have.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the database failed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        repeated(&self.pool, || {
            sqlx::raw_sql(Self::SCHEMA).execute(&self.pool)
        })
        .await?;
        for column in [
            "digime_flows ADD COLUMN claim TEXT",
            "digime_flows ADD COLUMN put_id TEXT",
            "digime_tokens ADD COLUMN saved_version TEXT",
        ] {
            self.add(column).await?;
        }
        Ok(())
    }

    /// SQLite has no `ADD COLUMN IF NOT EXISTS`.
    async fn add(&self, column: &'static str) -> Result<(), StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("ALTER TABLE {column}"));
        match sqlx::raw_sql(sql).execute(&self.pool).await {
            Err(Error::Database(error)) if error.message().starts_with("duplicate column") => {
                Ok(())
            }
            done => done.map(drop).map_err(failed),
        }
    }
}

sql_store!(
    SqliteStore,
    pool: SqlitePool,
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    lock: ""
);
