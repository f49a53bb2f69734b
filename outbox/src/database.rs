//! The databases that an outbox can be in. The statements are the same for all, except for what [`Dialect`] has.

use std::fmt;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};

use crate::Error;

/// How long a statement is repeated after faults of the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tables and indexes in PostgreSQL.
#[cfg(feature = "postgres")]
const PARTS: [&str; 6] = [
    "digime_outbox",
    "digime_outbox_due",
    "digime_outbox_removal",
    "digime_outbox_sending",
    "digime_outbox_by_state",
    "digime_outbox_held_back",
];

#[cfg(feature = "postgres")]
const IS_COMPLETE: &str = "SELECT bool_and(to_regclass(part) IS NOT NULL) FROM unnest($1) AS part";

#[derive(Clone)]
pub(crate) enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
    None(std::convert::Infallible),
}

/// What differs from one database to another.
pub(crate) struct Dialect {
    pub(crate) schema: &'static str,
    /// The present, in Unix milliseconds.
    pub(crate) now: &'static str,
    /// Added to a query for rows to change: leaves out the rows that another connection is changing.
    pub(crate) skip_locked: &'static str,
}

impl Database {
    pub(crate) fn dialect(&self) -> Dialect {
        match *self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect {
                schema: include_str!("sqlite.sql"),
                now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
                skip_locked: "",
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect {
                schema: include_str!("postgres.sql"),
                now: "CAST(extract(epoch FROM now()) * 1000 AS BIGINT)",
                skip_locked: "FOR UPDATE SKIP LOCKED",
            },
            #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
            Self::None(never) => match never {},
        }
    }

    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        let schema = self.dialect().schema;
        repeated(|| async {
            match *self {
                #[cfg(feature = "sqlite")]
                Self::Sqlite(ref pool) => sqlx::raw_sql(schema).execute(pool).await.map(drop),
                #[cfg(feature = "postgres")]
                Self::Postgres(ref pool) => {
                    // For what exists, PostgreSQL would send a notice, and ask for the right to make it.
                    if sqlx::query_scalar(IS_COMPLETE)
                        .bind(PARTS)
                        .fetch_one(pool)
                        .await?
                    {
                        return Ok(());
                    }
                    sqlx::raw_sql(schema).execute(pool).await.map(drop)
                }
                #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
                Self::None(never) => match never {},
            }
        })
        .await
    }
}

/// A connection of the application, which may be in a transaction: `&mut *transaction`.
#[non_exhaustive]
pub enum Connection<'c> {
    /// A connection to SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(&'c mut sqlx::SqliteConnection),
    /// A connection to PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(&'c mut sqlx::PgConnection),
    /// There is none without a database's feature.
    #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
    #[doc(hidden)]
    None(std::convert::Infallible, std::marker::PhantomData<&'c ()>),
}

#[cfg(feature = "sqlite")]
impl<'c> From<&'c mut sqlx::SqliteConnection> for Connection<'c> {
    fn from(connection: &'c mut sqlx::SqliteConnection) -> Self {
        Self::Sqlite(connection)
    }
}

#[cfg(feature = "postgres")]
impl<'c> From<&'c mut sqlx::PgConnection> for Connection<'c> {
    fn from(connection: &'c mut sqlx::PgConnection) -> Self {
        Self::Postgres(connection)
    }
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// Executes a statement, waits until it is committed, and returns its rows.
macro_rules! rows_once {
    ($database:expr, $sql:expr $(, $argument:expr)* $(,)?) => {{
        let sql = $sql.clone();
        // `fetch_optional` would not wait for the commit, and not see it fail.
        match *$database {
            #[cfg(feature = "sqlite")]
            $crate::database::Database::Sqlite(ref pool) => {
                sqlx::query_as(sql)$(.bind($argument))*.fetch_all(pool).await
            }
            #[cfg(feature = "postgres")]
            $crate::database::Database::Postgres(ref pool) => {
                sqlx::query_as(sql)$(.bind($argument))*.fetch_all(pool).await
            }
            #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
            $crate::database::Database::None(never) => match never {},
        }
    }};
}

/// Executes a statement as [`rows_once`] does, and again after faults of the connection. So it must do nothing twice.
macro_rules! rows {
    ($($statement:tt)*) => {
        $crate::database::repeated(|| async { $crate::database::rows_once!($($statement)*) })
    };
}

pub(crate) use {rows, rows_once};

/// Makes a call, and again after faults of the connection.
pub(crate) async fn repeated<T, F>(call: impl FnMut() -> F + Send) -> Result<T, Error>
where
    F: Future<Output = Result<T, sqlx::Error>> + Send,
{
    let begun = Instant::now();
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(8)
        .with_jitter();
    let done = call
        .retry(pauses)
        .when(|error| is_of_connection(error) && begun.elapsed() < PATIENCE)
        .await;
    done.map_err(Error::from)
}

/// Whether the database was away for the moment.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    // The pool has waited long enough, so the statement is not repeated.
    is_of_connection(error) || matches!(error, sqlx::Error::PoolTimedOut)
}

/// Whether the connection failed, and the statement may or may not have been executed.
pub(crate) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
        // PostgreSQL's classes of connection exceptions, and of shutting down and starting up; SQLite's locks.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08")
                || code.starts_with("57P")
                || matches!(&*code, "5" | "261" | "517")
        }),
        _ => false,
    }
}

/// As the tables count time.
pub(crate) fn millis(duration: Duration) -> i64 {
    // Far enough from the end of the range that the present can be added to it.
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 4)
}

pub(crate) fn duration(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_those_of_the_schema() {
        let schema = include_str!("postgres.sql");
        let made = schema.split("IF NOT EXISTS ").skip(1);
        let made: Vec<_> = made
            .filter_map(|rest| rest.split_whitespace().next())
            .collect();
        assert_eq!(made, PARTS);
    }
}
