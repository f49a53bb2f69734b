use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use backon::Retryable;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Error, SqlitePool};

use super::sql::{SWEEP_EVERY, failed, millis, pauses, repeated, sql_store};
use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};

/// A store in a SQLite file, for the processes of one machine. A clone is the same store.
///
/// Its tables are in [`SqliteStore::SCHEMA`], each with `digime_` before its name. A flow that was claimed stays in its
/// row, under its claim, until it expires.
///
/// Tokens that were removed or replaced are overwritten in the file and in its log (`-wal`) before the call returns; while
/// another connection reads the log, with the next change of tokens. With a pool of your own, switch on `secure_delete`
/// for that.
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
    /// On Unix a new file can be read and written by its user only (mode 0600), and so can its `-wal` and `-shm`. A file
    /// that exists keeps its permissions, since whoever widened them may share it with a group.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the file can't be opened, or is no SQLite file.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        // SQLite takes the relative names `:memory:` and "" for something else than a file.
        let path = std::path::absolute(path).map_err(|error| failed(error.into()))?;
        #[cfg(unix)]
        create_private(&path).map_err(|error| failed(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was committed must outlive a crash of the machine: a refresh token that is lost is a consent lost.
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
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
            "digime_flows ADD COLUMN put_id TEXT",
            "digime_flows ADD COLUMN claim TEXT",
            "digime_flows ADD COLUMN note TEXT",
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

/// Makes the file where it is not there, for its user only, also where a link leads to it. SQLite gives its other files the
/// same permissions.
#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::fs::OpenOptions;
    use std::io::Error;
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::{Mutex, PoisonError};

    // Closing a file ends every lock that this process has on it, those of a database that is open too.
    static CREATING: Mutex<()> = Mutex::new(());
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    if path.exists() {
        return Ok(());
    }
    let created = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    created.map(drop).map_err(|error| {
        Error::new(
            error.kind(),
            format!("can't create {}: {error}", path.display()),
        )
    })
}

/// Moves the log into the file and empties it, since the log keeps what was overwritten in the file.
async fn wipe(pool: &SqlitePool) {
    // What was asked for is done, so nothing fails here. A log that is in use is emptied after the next change of tokens.
    let attempts = pauses().with_max_times(4);
    if let Err(error) = (|| empty_log(pool)).retry(attempts).await {
        tracing::warn!(%error, "replaced or removed tokens are still in SQLite's log");
    }
}

/// Waits for a moment only, on a connection of its own: emptying the log keeps others from writing while it waits.
async fn empty_log(pool: &SqlitePool) -> Result<(), Error> {
    let options = SqliteConnectOptions::clone(&pool.connect_options());
    let mut connection = options
        .busy_timeout(Duration::from_millis(100))
        .connect()
        .await?;
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    if busy == 0 {
        Ok(())
    } else {
        Err(std::io::Error::from(std::io::ErrorKind::ResourceBusy).into())
    }
}

sql_store!(
    SqliteStore,
    pool: SqlitePool,
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    lock: "",
    bytewise: ""
);
