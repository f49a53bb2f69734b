use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use backon::Retryable;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Error, SqlitePool};

use super::StoreError;
use super::place::failed_at;
use super::repeated::pauses;
use super::sql::pool::execute;
use super::sql::{SqlArgument, SqlDatabase, SqlDialect, SqlError, SqlRow, SqlStore};
use crate::observe;

/// A store in a SQLite file, for the processes of one machine.
///
/// Tokens that were removed or replaced are overwritten in the file and in its log (`-wal`) before the call returns; while
/// another connection reads the log, with the next change of tokens. With a pool of your own, switch on `secure_delete`
/// for that.
pub type SqliteStore = SqlStore<SqlitePool>;

impl SqlStore<SqlitePool> {
    /// Opens a file with its tables, and makes what does not exist yet. Whoever may write to the file may make its tables too,
    /// so there is no way to open it without.
    ///
    /// On Unix only its user can read and write a new file (mode 0600), its `-wal` and its `-shm`. A file that exists keeps
    /// its permissions, since whoever widened them may share it with a group.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the file can't be opened, or is no SQLite file.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        // SQLite has another meaning for the relative names `:memory:` and "".
        let path = std::path::absolute(path).map_err(StoreError::failed)?;
        #[cfg(unix)]
        create_private(&path).map_err(StoreError::failed)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was committed must outlive a crash of the machine: a refresh token that is lost is a consent lost.
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(30));
        let place = place(&options);
        let pool = SqlitePool::connect_with(options).await;
        let store = Self::new(pool.map_err(|error| failed_at(place, error))?);
        store.migrate().await?;
        store.sweep().await?;
        Ok(store)
    }
}

#[async_trait]
impl SqlDatabase for SqlitePool {
    const DIALECT: SqlDialect = SqlDialect::Sqlite;

    async fn execute(
        &self,
        sql: &'static str,
        arguments: &[SqlArgument<'_>],
    ) -> Result<Vec<SqlRow>, SqlError> {
        execute(self, sql, arguments, || place(&self.connect_options())).await
    }

    /// Moves the log into the file and empties it, since the log keeps what was overwritten in the file.
    async fn wipe(&self) {
        // What was asked for is done, so nothing fails here. A log that is in use is emptied after the next change of tokens.
        let attempts = pauses().with_max_times(4);
        if let Err(error) = (|| empty_log(self)).retry(attempts).await {
            tracing::warn!(target: observe::STORE, %error, "replaced or removed tokens are still in SQLite's log");
        }
    }
}

fn place(options: &SqliteConnectOptions) -> String {
    format!("SQLite in {}", options.get_filename().display())
}

/// Makes the file for its user only if it does not exist, even if the path is a link to it. SQLite gives its other files
/// the same permissions.
#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::fs::OpenOptions;
    use std::io::Error;
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::{Mutex, PoisonError};

    // Closing a file ends every lock that this process has on it, even those of an open database.
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
