//! A store whose calls end.

use std::sync::Arc;
use std::time::Duration;

use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};

/// The default limit of one call of a store. It is longer than the built-in stores repeat a call.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A store whose calls fail when they take too long, as on a dead connection that was never closed. What such a call does
/// later is harmless: the callers treat it as one whose answer was lost.
pub(super) struct Bounded<S> {
    store: Arc<S>,
    timeout: Duration,
}

impl<S> Bounded<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            timeout: TIMEOUT,
        }
    }

    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(self.timeout, call)
            .await
            .unwrap_or(Err(StoreError::TimedOut(self.timeout)))
    }
}

impl<S: FlowStore> Bounded<S> {
    pub(super) async fn put(&self, key: &str, flow: &FlowRecord) -> Result<(), StoreError> {
        self.in_time(self.store.put(key, flow)).await
    }

    pub(super) async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        self.in_time(self.store.peek(key)).await
    }

    /// Has no limit here: a record that is taken late has to be put back, which the caller does.
    pub(super) async fn take_in_any_time(
        &self,
        key: &str,
        claim: &str,
    ) -> Result<Option<String>, StoreError> {
        self.store.take(key, claim).await
    }

    pub(super) async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        self.in_time(self.store.put_back(key, claim)).await
    }

    pub(super) async fn leave_note(
        &self,
        key: &str,
        claim: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        self.in_time(self.store.leave_note(key, claim, note)).await
    }
}

impl<S: TokenStore> Bounded<S> {
    pub(super) async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        self.in_time(self.store.load(user)).await
    }

    pub(super) async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        self.in_time(self.store.lease(user, version, holder, duration))
            .await
    }

    pub(super) async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.in_time(self.store.release(user, holder)).await
    }

    pub(super) async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        tokens: &TokenRecord,
    ) -> Result<bool, StoreError> {
        self.in_time(self.store.replace(user, version, tokens))
            .await
    }

    pub(super) async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        self.in_time(self.store.remove(user, version)).await
    }

    /// Removes whatever a user has, within the time that one call may take.
    pub(super) async fn forget(&self, user: &str) -> Result<(), StoreError> {
        // A removal that the store executes late must not remove a record that was kept since then.
        let forgetting = async {
            while let Some(found) = self.store.load(user).await? {
                if self.store.remove(user, &found.version).await? {
                    break;
                }
            }
            Ok(())
        };
        self.in_time(forgetting).await
    }

    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        self.in_time(self.store.list(prefix, after, limit)).await
    }
}

impl<S> Clone for Bounded<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            timeout: self.timeout,
        }
    }
}
