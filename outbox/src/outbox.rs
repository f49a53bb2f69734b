use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::admin::{self, Counts, Filter, Listed, State};
use crate::database::{Connection, Database, rows};
use crate::statements::Statements;
use crate::{Deliver, Entry, Error, Worker};

/// The longest item in bytes, unless the application sets another limit.
const MAX_CONTENT: usize = 16 * 1024 * 1024;

const RETENTION: Duration = Duration::from_hours(30 * 24);

/// Items that wait until they are delivered, in a database of the application. A clone is the same outbox.
///
/// ```
/// # #[cfg(feature = "postgres")]
/// # async fn run(pool: sqlx::PgPool) -> Result<(), digime_outbox::Error> {
/// use digime_outbox::Outbox;
///
/// let outbox = Outbox::postgres(pool); // or `Outbox::sqlite(pool)`
/// outbox.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Outbox {
    pub(crate) database: Database,
    pub(crate) statements: Arc<Statements>,
    /// Wakes the workers of this process.
    pub(crate) added: Arc<Notify>,
    pub(crate) retention: Duration,
    max_content: usize,
}

/// Whether an entry was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It was added.
    Added,
    /// The outbox has an entry of the same user, contract and reference, and nothing was changed. This is also the answer if
    /// the connection failed after the entry was added, and the statement was repeated.
    AlreadyThere,
}

impl Outbox {
    /// An outbox in a PostgreSQL database, for many machines.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(pool: sqlx::PgPool) -> Self {
        Self::new(Database::Postgres(pool))
    }

    /// An outbox in a SQLite file, for the processes of one machine.
    ///
    /// The pool should wait for locks (`busy_timeout`), use a write-ahead log, sync each commit (`synchronous = FULL`), so that no
    /// entry is lost with the machine, and overwrite what is removed (`PRAGMA secure_delete`).
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(pool: sqlx::SqlitePool) -> Self {
        Self::new(Database::Sqlite(pool))
    }

    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "there is no database")
    )]
    fn new(database: Database) -> Self {
        Self {
            statements: Arc::new(Statements::of(&database.dialect())),
            database,
            added: Arc::default(),
            retention: RETENTION,
            max_content: MAX_CONTENT,
        }
    }

    /// Sets how many bytes an item may have. Default: 16 MiB. A worker holds as many items in memory as it pushes at a time.
    #[must_use]
    pub fn max_content(mut self, bytes: usize) -> Self {
        self.max_content = bytes;
        self
    }

    /// Sets how long a delivered entry is kept, without its content. Default: 30 days. For this time, its reference is known.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The tables, in SQL that can be run again, for those who make tables by other means than [`migrate`](Self::migrate).
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.database.dialect().schema
    }

    /// Makes the tables `digime_outbox` and `digime_outbox_held_back`, if they do not exist. Later the application needs only to
    /// read, insert, update and delete rows of these tables.
    ///
    /// # Errors
    /// [`Error::Database`] if the database can't be reached, or does not let the tables be made.
    pub async fn migrate(&self) -> Result<(), Error> {
        self.database.migrate().await
    }

    /// Adds an entry. If it fails, nobody knows whether the entry was added, and the application may repeat the call.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Invalid`] if the entry can't be stored, [`Error::Database`] if the database failed.
    pub async fn enqueue(&self, entry: &Entry) -> Result<Enqueued, Error> {
        entry.check(self.max_content)?;
        let labels = entry.labels();
        let content = &entry.item.content[..];
        let added: Vec<(i64,)> = rows!(
            &self.database,
            self.statements.enqueue,
            &*entry.recipient.contract,
            &*entry.recipient.user,
            &*entry.reference,
            &*entry.item.name,
            &*labels,
            size(content),
            content,
        )
        .await?;
        self.wake();
        Ok(Enqueued::of(&added))
    }

    /// Adds an entry in a transaction of the application: `outbox.enqueue_in(&mut *tx, &entry)`. The entry is there when the
    /// transaction is committed, and a worker finds it within its [poll interval](Worker::poll_interval), or at once if the
    /// application calls [`wake`](Self::wake) after the commit.
    ///
    /// ```
    /// # #[cfg(feature = "postgres")]
    /// # async fn run(pool: sqlx::PgPool, outbox: digime_outbox::Outbox, entry: digime_outbox::Entry) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = pool.begin().await?;
    /// sqlx::query("INSERT INTO orders (id) VALUES (1001)").execute(&mut *tx).await?;
    /// outbox.enqueue_in(&mut *tx, &entry).await?;
    /// tx.commit().await?;
    /// outbox.wake();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), and [`Error::AnotherDatabase`].
    pub async fn enqueue_in<'c>(
        &self,
        connection: impl Into<Connection<'c>>,
        entry: &Entry,
    ) -> Result<Enqueued, Error> {
        entry.check(self.max_content)?;
        let labels = entry.labels();
        let content = &entry.item.content[..];
        macro_rules! added {
            ($connection:expr) => {
                sqlx::query_as(self.statements.enqueue.clone())
                    .bind(&*entry.recipient.contract)
                    .bind(&*entry.recipient.user)
                    .bind(&*entry.reference)
                    .bind(&*entry.item.name)
                    .bind(&*labels)
                    .bind(size(content))
                    .bind(content)
                    .fetch_all($connection)
                    .await?
            };
        }
        let added: Vec<(i64,)> = match (connection.into(), &self.database) {
            #[cfg(feature = "sqlite")]
            (Connection::Sqlite(connection), Database::Sqlite(_)) => added!(connection),
            #[cfg(feature = "postgres")]
            (Connection::Postgres(connection), Database::Postgres(_)) => added!(connection),
            #[allow(unreachable_patterns, reason = "with one database there is no other")]
            _ => return Err(Error::AnotherDatabase),
        };
        Ok(Enqueued::of(&added))
    }

    /// Wakes a worker of this process, so that it looks for entries at once.
    pub fn wake(&self) {
        self.added.notify_one();
    }

    /// Releases the entries that wait for the user's consent, since the user has connected. Returns how many there were. Call it
    /// after `receive_callback` has returned; it may be called again. If nobody calls it, a worker looks again
    /// [from time to time](Worker::consent_interval).
    ///
    /// # Errors
    /// [`Error::Database`] if the database failed.
    pub async fn connected(&self, user: &str, contract: impl fmt::Display) -> Result<usize, Error> {
        let contract = contract.to_string();
        let sql = &self.statements.connected;
        let states: Vec<(String,)> = rows!(&self.database, sql, &*contract, user).await?;
        self.wake();
        Ok(states.iter().filter(|(state,)| state == "waiting").count())
    }

    /// How many entries there are in each state.
    ///
    /// # Errors
    /// [`Error::Database`] if the database failed.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let by_state = rows!(&self.database, self.statements.count).await?;
        let oldest: Vec<(Option<i64>,)> = rows!(&self.database, self.statements.oldest).await?;
        let counts = Counts::of(by_state, oldest);
        crate::telemetry::entries(&counts);
        Ok(counts)
    }

    /// Entries without their content, the newest first: those before the entry `after`, which is the last one of the page before.
    ///
    /// ```
    /// use digime_outbox::{Filter, Outbox, State};
    ///
    /// async fn show(outbox: &Outbox) -> Result<(), digime_outbox::Error> {
    ///     let failed = Filter::all().state(State::GivenUp);
    ///     for entry in outbox.list(&failed, None, 50).await? {
    ///         println!("{} {}: {}", entry.id, entry.reference, entry.last_error.unwrap_or_default());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Database`] if the database failed.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Listed>, Error> {
        let listed: Vec<admin::Columns> = rows!(
            &self.database,
            self.statements.list,
            filter.state.map(State::as_str),
            filter.contract.as_deref(),
            filter.user.as_deref(),
            after.unwrap_or(i64::MAX),
            i64::try_from(limit).unwrap_or(i64::MAX),
        )
        .await?;
        Ok(listed.into_iter().map(Listed::of).collect())
    }

    /// Makes an entry due now: one that was given up, or that waits. False if there is none.
    ///
    /// # Errors
    /// [`Error::Database`] if the database failed.
    pub async fn retry(&self, id: i64) -> Result<bool, Error> {
        let found: Vec<(i64,)> = rows!(&self.database, self.statements.retry, id).await?;
        self.wake();
        Ok(!found.is_empty())
    }

    /// Removes an entry with its content, unless it is being sent. False if there is none.
    ///
    /// # Errors
    /// [`Error::Database`] if the database failed.
    pub async fn discard(&self, id: i64) -> Result<bool, Error> {
        let found: Vec<(i64,)> = rows!(&self.database, self.statements.discard, id).await?;
        Ok(!found.is_empty())
    }

    /// Removes all entries of a user under a contract, as when the user leaves the application, and returns how many there were.
    /// An entry that is being sent may still arrive.
    ///
    /// # Errors
    /// [`Error::Database`] if the database failed.
    pub async fn forget(&self, user: &str, contract: impl fmt::Display) -> Result<usize, Error> {
        let contract = contract.to_string();
        let sql = &self.statements.forget;
        let removed: Vec<(i64,)> = rows!(&self.database, sql, &*contract, user).await?;
        Ok(removed.len())
    }

    /// A background job that delivers what is due. Nothing happens before [`Worker::run_until`].
    pub fn worker<D: Deliver>(&self, deliver: D) -> Worker<D> {
        Worker::new(self.clone(), deliver)
    }
}

impl Enqueued {
    fn of(added: &[(i64,)]) -> Self {
        if added.is_empty() {
            Self::AlreadyThere
        } else {
            Self::Added
        }
    }
}

fn size(content: &[u8]) -> i64 {
    i64::try_from(content.len()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("max_content", &self.max_content)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
