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
}
