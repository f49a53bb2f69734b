//! Repeats what a fault of the connection may have interrupted.

use std::io;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use sqlx::{ConnectOptions, Connection, Database, Error, Pool};

use super::Dialect;
use crate::observe::{self, in_millis};
use crate::store::StoreError;
use crate::store::place::failed_at;

/// How long a call is repeated after faults of the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one connection attempt may look for the cause of a fault.
const DIAGNOSIS: Duration = Duration::from_secs(2);

pub(crate) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(8)
        .with_jitter()
}

/// Makes a call, and again after faults of the connection.
pub(crate) async fn repeated<DB, T, F>(
    pool: &Pool<DB>,
    call: impl FnMut() -> F + Send,
) -> Result<T, StoreError>
where
    DB: Dialect,
    F: Future<Output = Result<T, Error>> + Send,
{
    let begun = Instant::now();
    let done = call
        .retry(pauses())
        .when(|error| is_of_connection(error) && begun.elapsed() < PATIENCE)
        .notify(|error, pause| {
            let pause_ms = in_millis(pause);
            tracing::debug!(target: observe::STORE, pause_ms, %error, "asking the database again");
        })
        .await;
    match done {
        Err(Error::PoolTimedOut) => Err(failed_at(DB::place(pool), why_timed_out(pool).await)),
        done => done.map_err(|error| failed_at(DB::place(pool), error)),
    }
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
