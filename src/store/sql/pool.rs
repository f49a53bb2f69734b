//! The pools of `sqlx`.

use std::io;
use std::time::Duration;

use sqlx::{
    ColumnIndex, ConnectOptions, Connection, Database, Decode, Encode, Error, Executor,
    IntoArguments, Pool, Row, Type,
};

use super::{SqlArgument, SqlError, SqlRow};
use crate::store::place::FailedAt;

/// How long one connection attempt may look for the cause of a fault.
const DIAGNOSIS: Duration = Duration::from_secs(2);

/// Executes a statement. `place` says which database it is, for errors.
pub(in crate::store) async fn execute<DB>(
    pool: &Pool<DB>,
    sql: &'static str,
    arguments: &[SqlArgument<'_>],
    place: impl Fn() -> String + Send,
) -> Result<Vec<SqlRow>, SqlError>
where
    DB: Database<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'r> Option<String>: Decode<'r, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    match rows(pool, sql, arguments).await {
        Ok(rows) => Ok(rows),
        Err(Error::PoolTimedOut) => {
            let why = why_timed_out(pool).await;
            Err(SqlError::statement(FailedAt::new(place(), why)))
        }
        Err(error) if is_of_connection(&error) => {
            Err(SqlError::connection(FailedAt::new(place(), error)))
        }
        Err(error) => Err(SqlError::statement(FailedAt::new(place(), error))),
    }
}

async fn rows<DB>(
    pool: &Pool<DB>,
    sql: &'static str,
    arguments: &[SqlArgument<'_>],
) -> Result<Vec<SqlRow>, Error>
where
    DB: Database<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'r> Option<String>: Decode<'r, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    let mut query = sqlx::query(sql);
    for argument in arguments {
        query = match *argument {
            SqlArgument::Text(text) => query.bind(text),
            SqlArgument::Number(number) => query.bind(number),
        };
    }
    // `fetch_optional` would not wait for the commit, and not see it fail.
    let rows = query.fetch_all(pool).await?;
    let columns = |row: &DB::Row| (0..row.len()).map(|column| row.try_get(column)).collect();
    rows.iter().map(columns).collect()
}

/// Whether the connection failed, and the statement may or may not have been executed.
fn is_of_connection(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::WorkerCrashed => true,
        // PostgreSQL's classes of connection exceptions, and of shutting down and starting up.
        Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
        _ => false,
    }
}

/// The pool does not say why it has no connection, so one is tried.
async fn why_timed_out<DB: Database>(pool: &Pool<DB>) -> Error {
    let options = pool.connect_options();
    let attempt = async { options.connect().await?.close().await };
    match tokio::time::timeout(DIAGNOSIS, attempt).await {
        Ok(Ok(())) => Error::PoolTimedOut,
        Ok(Err(error)) => error,
        Err(_) => io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer to a connection attempt in {DIAGNOSIS:?}"),
        )
        .into(),
    }
}
