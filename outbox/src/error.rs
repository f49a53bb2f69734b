use std::sync::Arc;

use thiserror::Error as ThisError;

use crate::database::is_transient;

/// Why a call of the outbox failed.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The item is larger than [`Outbox::max_content`](crate::Outbox::max_content) allows. Nothing was stored.
    #[error(
        "the item has {bytes} bytes and the outbox takes at most {limit}: push it without the outbox, or raise `max_content`"
    )]
    TooLarge {
        /// The item's length.
        bytes: usize,
        /// The longest item that the outbox takes.
        limit: usize,
    },
    /// A part of the entry can't be stored or sent. Nothing was stored.
    #[error(
        "the entry's {0} is empty, too long, or has a control character in it: use at most 512 bytes for a user, contract id or reference, and 4096 for the rest"
    )]
    Invalid(&'static str),
    /// The connection that `enqueue_in` was given is of another kind of database than the outbox.
    #[error(
        "the transaction is of another kind of database than the outbox: use a transaction of the database that the outbox is in"
    )]
    AnotherDatabase,
    /// The database failed.
    #[error(
        "the outbox's database failed: check that it can be reached and that `migrate` has made the tables, then try again"
    )]
    Database(#[source] Arc<sqlx::Error>),
}

impl Error {
    /// Whether the database was away for the moment, so that the same call can succeed later: a connection failed or its worker
    /// crashed, no connection was free in time, PostgreSQL was stopping or starting, or SQLite's file was locked. False if
    /// somebody has to change something first.
    ///
    /// The outbox has repeated the statement for some seconds before it returns such an error, except in
    /// [`enqueue_in`](crate::Outbox::enqueue_in). It does not repeat a statement for which no connection was free.
    ///
    /// ```
    /// use digime_outbox::Error;
    ///
    /// fn status(error: &Error) -> u16 {
    ///     if error.is_transient() { 503 } else { 500 }
    /// }
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => is_transient(error),
            Self::TooLarge { .. } | Self::Invalid(_) | Self::AnotherDatabase => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error as StdError;
    use std::io;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;
    use crate::database::is_of_connection;

    /// What a database answers, with its code.
    #[derive(Debug, ThisError)]
    #[error("a code of the database")]
    struct Coded(&'static str);

    impl DatabaseError for Coded {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn coded(code: &'static str) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Coded(code)))
    }

    #[test]
    fn what_passes_by_itself_is_transient() {
        let refused = || sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into());
        let repeated = [
            refused(),
            sqlx::Error::WorkerCrashed,
            // PostgreSQL: the connection failed; it stops; it starts.
            coded("08006"),
            coded("57P01"),
            coded("57P03"),
            // SQLite: locked; locked while it recovers; the snapshot is out of date.
            coded("5"),
            coded("261"),
            coded("517"),
        ];
        for error in repeated {
            assert!(is_of_connection(&error), "{error:?}");
            assert!(Error::from(error).is_transient());
        }
        let timed_out = sqlx::Error::PoolTimedOut;
        assert!(!is_of_connection(&timed_out));
        assert!(Error::from(timed_out).is_transient());
    }

    #[test]
    fn what_somebody_has_to_change_is_not_transient() {
        let errors = [
            sqlx::Error::PoolClosed,
            sqlx::Error::RowNotFound,
            // PostgreSQL: no table; no right. SQLite: read-only; full.
            coded("42P01"),
            coded("42501"),
            coded("8"),
            coded("13"),
        ];
        let others = [
            Error::TooLarge { bytes: 2, limit: 1 },
            Error::Invalid("user"),
            Error::AnotherDatabase,
        ];
        for error in errors.map(Error::from).into_iter().chain(others) {
            assert!(!error.is_transient(), "{error:?}");
        }
    }
}
