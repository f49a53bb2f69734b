use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::flow::suspended::error::SuspendedError;

/// Why a call of a store failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No flow waits for this callback.
    #[error(
        "no flow waits for this callback: it was claimed before, its session has ended, or it is of another contract; begin a new flow"
    )]
    NothingParked,
    /// Another request has claimed the callback. It is exchanging its code, or died while it did.
    #[error(
        "another request has claimed this callback and is exchanging its code, or died while it did: try again in a moment, and begin a new flow if this error stays"
    )]
    InProgress,
    /// The store has no room for another flow.
    #[error(
        "the store is full ({0} flows wait): raise its bound, or try again when some have ended"
    )]
    Full(usize),
    /// Another machine is refreshing the user's tokens, or the store and the contract's signer do not answer, for longer than
    /// a call may take.
    #[error(
        "the user's tokens are being refreshed by another machine, or the store or the contract's signer does not answer: nothing was sent so far; try again"
    )]
    Busy,
    /// The store has tokens of a later consent of the user.
    #[error(
        "the store has tokens of a later consent of the user, which are not replaced: use `find`, or `forget` the user first"
    )]
    LaterConsent,
    /// The store did not answer.
    #[error(
        "the store did not answer within {0:?}: check that its database can be reached, then try again"
    )]
    TimedOut(Duration),
    /// A [`SealedStore`](crate::store::SealedStore) can't open a record.
    #[error(
        "a sealed record of the store can't be opened: accept the key that it was sealed under, or remove the record if somebody else has changed it"
    )]
    Sealed(#[source] SuspendedError),
    /// The store's database lacks tables or columns, which are named.
    #[error(
        "the database has no {0}, or its user may not use the schema that has it: call `connect_and_migrate` or `migrate` as a user who may make tables"
    )]
    NotMigrated(String),
    /// The store's database failed.
    #[error(
        "the store failed: check that its database can be reached and has digime's tables, then try again"
    )]
    Failed(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The failure of a store's database, with its own error as the source.
    pub fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(Arc::from(cause.into()))
    }

    /// Whether the database has no tables for digime, does not let this application in, or can't be the right one. No time
    /// changes that. Of an error that is not of a built-in store this is not known.
    pub(crate) fn is_of_set_up(&self) -> bool {
        match self {
            // The database's own error may be below one that says which database it is.
            Self::Failed(cause) => {
                let cause: &(dyn std::error::Error + 'static) = &**cause;
                successors(Some(cause), |&error| error.source()).any(is_of_set_up)
            }
            _ => false,
        }
    }
}

fn is_of_set_up(cause: &(dyn std::error::Error + 'static)) -> bool {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
        return sql_is_of_set_up(error);
    }
    #[cfg(feature = "redis")]
    if let Some(error) = cause.downcast_ref::<redis::RedisError>() {
        return redis_is_of_set_up(error);
    }
    let _ = cause;
    false
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn sql_is_of_set_up(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return matches!(error, sqlx::Error::Configuration(_) | sqlx::Error::Tls(_));
    };
    #[cfg(feature = "postgres")]
    if error
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some()
    {
        // Classes of SQLSTATE: no such database, no such schema, not let in, no such table, and not permitted.
        let classes = ["28", "3D", "3F", "42"];
        return error
            .code()
            .is_some_and(|code| classes.iter().any(|class| code.starts_with(class)));
    }
    // SQLite's primary result codes for: no such table, not permitted, read only, can't be opened, and no database. The
    // extended code has the primary one in its lowest byte.
    error
        .code()
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| matches!(code & 0xff, 1 | 3 | 8 | 14 | 26))
}

#[cfg(feature = "redis")]
fn redis_is_of_set_up(error: &redis::RedisError) -> bool {
    matches!(
        error.kind(),
        redis::ErrorKind::AuthenticationFailed | redis::ErrorKind::InvalidClientConfig
    ) || error.code() == Some("NOPERM")
}
