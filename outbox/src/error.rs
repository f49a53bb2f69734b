use std::sync::Arc;

use thiserror::Error as ThisError;

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

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}
