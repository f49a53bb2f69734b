use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;

/// Keeps flows that wait for their callback, and gives each out once.
///
/// Applications do not call it: [`ParkedFlows`](super::ParkedFlows) and
/// [`SharedTokens`](super::SharedTokens) do. A store of your own has these five methods. It passes the tests of the
/// feature `conformance`, and is `dyn` compatible: an `Arc` of a store is a store.
///
/// Every call is one atomic step, and the caller may repeat it when its answer was lost. A record that was taken stays
/// until it expires, under the claim that has taken it, so that a repetition finds what the first call did.
///
/// Keys and records are text. A record is secret, and must come back unchanged.
///
/// ```
/// use digime::error::StoreError;
/// use digime::store::{FlowRecord, FlowStore, Found, async_trait};
///
/// /// Logs which flows are parked.
/// struct Logged<S>(S);
///
/// #[async_trait]
/// impl<S: FlowStore> FlowStore for Logged<S> {
///     async fn put(&self, key: &str, flow: &FlowRecord) -> Result<(), StoreError> {
///         println!("parking {flow:?}");
///         self.0.put(key, flow).await
///     }
///
///     async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
///         self.0.peek(key).await
///     }
///
///     async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
///         self.0.take(key, claim).await
///     }
///
///     async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
///         self.0.put_back(key, claim).await
///     }
///
///     async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
///         self.0.leave_note(key, claim, note).await
///     }
/// }
/// ```
#[async_trait]
pub trait FlowStore: Send + Sync + 'static {
    /// Keeps a record under a key until it expires, and replaces an earlier one. A put with the same id again changes
    /// nothing, even if the record was taken in between.
    async fn put(&self, key: &str, flow: &FlowRecord) -> Result<(), StoreError>;

    /// Reads what is under a key and changes nothing. `None` if there is no record, or it has expired.
    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError>;

    /// Takes the record for a claim, and returns it. Of many claims, one gets it. The same claim gets it again when it
    /// asks again. `None` if there is no record, another claim has taken it, or it has expired.
    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError>;

    /// Makes the record wait again, until it expires, if this claim has taken it and has left no note. Otherwise nothing
    /// changes.
    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError>;

    /// Replaces the record by a note, until the record would have expired, if this claim has taken it. Otherwise nothing
    /// changes. The note is secret, and text.
    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError>;
}

/// A flow to be parked.
#[derive(Clone, PartialEq, Eq)]
pub struct FlowRecord {
    /// Identifies this parking. No two are the same; a call that is repeated has the same id again.
    pub id: String,
    /// The text to keep. It is secret.
    pub record: String,
    /// For how long it is useful.
    pub expires_in: Duration,
}

impl fmt::Debug for FlowRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowRecord")
            .field("id", &self.id)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// What [`FlowStore::peek`] finds under a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Found {
    /// A record that waits.
    Waiting(String),
    /// A record that was taken, and the note that its claim has left.
    Taken(Option<String>),
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting(..)",
            Self::Taken(None) => "Taken(None)",
            Self::Taken(Some(_)) => "Taken(Some(..))",
        })
    }
}

#[async_trait]
impl<S: FlowStore + ?Sized> FlowStore for Arc<S> {
    async fn put(&self, key: &str, flow: &FlowRecord) -> Result<(), StoreError> {
        (**self).put(key, flow).await
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        (**self).peek(key).await
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        (**self).take(key, claim).await
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        (**self).put_back(key, claim).await
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        (**self).leave_note(key, claim, note).await
    }
}
