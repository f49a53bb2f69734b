use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::random;

/// Keeps the tokens of users who have consented, and grants the right to refresh them to one machine at a time.
///
/// Applications do not call it: [`SharedTokens`](super::SharedTokens) does. A store of your own has these six methods. It
/// passes the tests of the feature `conformance`, and is `dyn` compatible: an `Arc` of a store is a store.
///
/// Each user has one record, whose version never comes back. Every call is one atomic step.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// The record of a user.
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError>;

    /// Grants the lease on a version to `holder` for the given time, measured by the store's own clock. True if the record
    /// has that version and nobody else holds a lease that has not ended. A holder that asks again gets the lease again.
    /// Any duration is valid: a lease of zero ends at once, and one that the store's clock can't represent is as long as
    /// possible.
    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError>;

    /// Ends the lease if `holder` has it; otherwise nothing changes.
    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError>;

    /// Keeps a record in place of the one with the given version, and ends any lease. True if the record had that version.
    /// Without a version the record is kept only if the user has none.
    ///
    /// Also true if the record already has the new version: then the call is a repetition, and changes nothing. A lease on
    /// the new version stays.
    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        tokens: &TokenRecord,
    ) -> Result<bool, StoreError>;

    /// Removes the record of a user if it has that version: true if it did. False if nothing is there, so a call that is
    /// repeated after its answer was lost may say false although it has removed the record itself.
    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError>;

    /// At most `limit` records, each with its user, in the order of the bytes of the users' keys: those whose keys begin with
    /// `prefix` and come after `after`, if that is given. Users that come or go meanwhile may be missing.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError>;
}

/// What a token store keeps of a user.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Identifies this record. No two are the same, and none is empty.
    pub version: String,
    /// The text to keep. It is secret.
    pub record: String,
}

impl TokenRecord {
    /// A record under a version that no other has.
    pub(super) fn new(record: String) -> Self {
        let version = random::url_safe_256();
        Self { version, record }
    }
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        (**self).load(user).await
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        (**self).lease(user, version, holder, duration).await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        (**self).release(user, holder).await
    }

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        tokens: &TokenRecord,
    ) -> Result<bool, StoreError> {
        (**self).replace(user, version, tokens).await
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        (**self).remove(user, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        (**self).list(prefix, after, limit).await
    }
}
