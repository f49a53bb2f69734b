//! Where a store's database is, for errors.

use std::error::Error;

use super::StoreError;

/// The failure of a database, and which database it is. Its source is the database's own error.
#[derive(Debug, thiserror::Error)]
#[error("{place}")]
struct FailedAt<E: Error + 'static> {
    place: String,
    source: E,
}

/// The error of a store whose database is at a place, which has no password in it.
pub(super) fn failed_at(
    place: impl Into<String>,
    source: impl Error + Send + Sync + 'static,
) -> StoreError {
    let place = place.into();
    StoreError::failed(FailedAt { place, source })
}
