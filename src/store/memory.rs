use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{FlowStore, Kept, Parked, StoreError, TokenStore};

/// A store in memory, for one process: what it holds ends with the process. A clone is the same store.
///
/// It holds a bounded number of flows; those that have expired leave by themselves.
///
/// ```
/// use digime::store::MemoryStore;
///
/// let store = MemoryStore::with_capacity(50_000);
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Mutex<Inner>>);

struct Inner {
    capacity: usize,
    parked: HashMap<String, (Instant, String)>,
    /// The keys of what is parked, the first to expire first.
    by_expiry: BTreeSet<(Instant, String)>,
    kept: HashMap<String, Entry>,
}

struct Entry {
    kept: Kept,
    lease: Option<Lease>,
}

struct Lease {
    holder: String,
    until: Instant,
}

impl MemoryStore {
    /// A store of at most 100,000 flows that wait.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(100_000)
    }

    /// A store of at most so many flows that wait.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            capacity,
            parked: HashMap::new(),
            by_expiry: BTreeSet::new(),
            kept: HashMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So long after now; a time that no clock can show is as good as a year.
fn after(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration)
        .unwrap_or(now + Duration::from_hours(365 * 24))
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn drop_expired(&mut self, now: Instant) {
        while let Some((expires, _)) = self.by_expiry.first()
            && *expires <= now
        {
            if let Some((_, key)) = self.by_expiry.pop_first() {
                self.parked.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &str) -> Option<(Instant, String)> {
        let (expires, record) = self.parked.remove(key)?;
        self.by_expiry.remove(&(expires, key.to_owned()));
        Some((expires, record))
    }
}

impl FlowStore for MemoryStore {
    async fn put(&self, key: &str, parked: Parked) -> Result<(), StoreError> {
        let now = Instant::now();
        let expires = after(now, parked.expires_in);
        let mut inner = self.lock();
        inner.drop_expired(now);
        inner.remove(key);
        if inner.parked.len() >= inner.capacity {
            return Err(StoreError::Full(inner.parked.len()));
        }
        inner.by_expiry.insert((expires, key.to_owned()));
        inner
            .parked
            .insert(key.to_owned(), (expires, parked.record));
        Ok(())
    }

    async fn peek(&self, key: &str) -> Result<Option<String>, StoreError> {
        let mut inner = self.lock();
        inner.drop_expired(Instant::now());
        Ok(inner.parked.get(key).map(|(_, record)| record.clone()))
    }

    async fn take(&self, key: &str) -> Result<Option<Parked>, StoreError> {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.drop_expired(now);
        Ok(inner.remove(key).map(|(expires, record)| Parked {
            record,
            expires_in: expires.saturating_duration_since(now),
        }))
    }
}

impl TokenStore for MemoryStore {
    async fn load(&self, user: &str) -> Result<Option<Kept>, StoreError> {
        Ok(self.lock().kept.get(user).map(|entry| entry.kept.clone()))
    }

    async fn save(&self, user: &str, kept: &Kept) -> Result<(), StoreError> {
        let entry = Entry {
            kept: kept.clone(),
            lease: None,
        };
        self.lock().kept.insert(user.to_owned(), entry);
        Ok(())
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        let now = Instant::now();
        let mut inner = self.lock();
        let Some(entry) = inner.kept.get_mut(user) else {
            return Ok(false);
        };
        let held = |lease: &Lease| lease.until > now && lease.holder != holder;
        if entry.lease.as_ref().is_some_and(held) || entry.kept.version != version {
            return Ok(false);
        }
        entry.lease = Some(Lease {
            holder: holder.to_owned(),
            until: after(now, duration),
        });
        Ok(true)
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        if let Some(entry) = self.lock().kept.get_mut(user) {
            entry.lease.take_if(|lease| lease.holder == holder);
        }
        Ok(())
    }

    async fn replace(&self, user: &str, version: &str, kept: &Kept) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let Some(entry) = inner.kept.get_mut(user) else {
            return Ok(false);
        };
        if entry.kept.version == version {
            *entry = Entry {
                kept: kept.clone(),
                lease: None,
            };
        }
        Ok(entry.kept.version == kept.version)
    }

    async fn remove(&self, user: &str, version: Option<&str>) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let fits = inner
            .kept
            .get(user)
            .is_some_and(|entry| version.is_none_or(|version| entry.kept.version == version));
        if fits {
            inner.kept.remove(user);
        }
        Ok(fits)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("MemoryStore")
            .field("parked", &inner.parked.len())
            .field("kept", &inner.kept.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_store_still_replaces_what_it_holds() {
        let store = MemoryStore::with_capacity(1);
        for record in ["first", "second"] {
            let parked = Parked {
                record: record.to_owned(),
                expires_in: Duration::from_mins(1),
            };
            store.put("key", parked).await.expect("there is room");
        }
        let taken = store.take("key").await.expect("it works");
        assert_eq!(taken.expect("a record").record, "second");
        assert_eq!(store.lock().by_expiry.len(), 0, "no key is left behind");
    }
}
