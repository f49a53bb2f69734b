//! Where a store's database is, for errors.

use std::error::Error;

#[cfg(any(feature = "sqlite", feature = "redis"))]
use super::StoreError;

/// The failure of a database, and which database it is. Its source is the database's own error.
#[derive(Debug, thiserror::Error)]
#[error("{place}")]
pub(super) struct FailedAt<E: Error + 'static> {
    place: String,
    source: E,
}

impl<E: Error + 'static> FailedAt<E> {
    pub(super) fn new(place: impl Into<String>, source: E) -> Self {
        let place = place.into();
        Self { place, source }
    }
}

/// The error of a store whose database is at a place, which has no password in it.
#[cfg(any(feature = "sqlite", feature = "redis"))]
pub(super) fn failed_at(
    place: impl Into<String>,
    source: impl Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::failed(FailedAt::new(place, source))
}
