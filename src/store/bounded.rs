//! A store whose calls end.

use std::time::Duration;

use super::{FlowStore, Found, Kept, Parked, StoreError, TokenStore};

/// How long one call of a store may take, where the application says nothing else. It is longer than the built-in stores
/// repeat a call.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// A store whose calls fail when they take too long, as on a connection that is dead and not closed. What such a call
/// does later is harmless: the callers treat it as one whose answer was lost.
#[derive(Clone, Debug)]
pub struct Bounded<S> {
    store: S,
    timeout: Duration,
}

impl<S> Bounded<S> {
    pub fn new(store: S) -> Self {
        Self {
            store,
            timeout: TIMEOUT,
        }
    }

    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub fn timeout(&self) -> Duration {
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

impl<S: FlowStore> FlowStore for Bounded<S> {
    async fn put(&self, key: &str, parked: &Parked) -> Result<(), StoreError> {
        self.in_time(self.store.put(key, parked)).await
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        self.in_time(self.store.peek(key)).await
    }

    /// Not bounded here: a record that is taken late has to be put back, which the caller does.
    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        self.store.take(key, claim).await
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        self.in_time(self.store.put_back(key, claim)).await
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        self.in_time(self.store.leave_note(key, claim, note)).await
    }
}

impl<S: TokenStore> TokenStore for Bounded<S> {
    async fn load(&self, user: &str) -> Result<Option<Kept>, StoreError> {
        self.in_time(self.store.load(user)).await
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        self.in_time(self.store.lease(user, version, holder, duration))
            .await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.in_time(self.store.release(user, holder)).await
    }

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        kept: &Kept,
    ) -> Result<bool, StoreError> {
        self.in_time(self.store.replace(user, version, kept)).await
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        self.in_time(self.store.remove(user, version)).await
    }
}
