use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};

/// A store in memory, for one process. Its content is lost when the process ends. A clone is the same store.
///
/// It holds a bounded number of flows that wait, and as many that were taken. Expired flows are removed.
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
    flows: HashMap<String, Entry>,
    /// The keys of flows that wait, the first to expire first.
    waiting: BTreeSet<(Instant, String)>,
    /// The keys of flows that were taken, likewise.
    taken: BTreeSet<(Instant, String)>,
    kept: BTreeMap<String, Tokens>,
}

struct Entry {
    put_id: String,
    record: String,
    expires: Instant,
    claim: Option<Claim>,
}

struct Claim {
    id: String,
    note: Option<String>,
}

struct Tokens {
    kept: TokenRecord,
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

    /// A store of at most `capacity` flows that wait.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            capacity,
            flows: HashMap::new(),
            waiting: BTreeSet::new(),
            taken: BTreeSet::new(),
            kept: BTreeMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time after now. Unrepresentable times become a year from now.
fn after(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration)
        .unwrap_or(now + Duration::from_secs(365 * 24 * 60 * 60))
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn drop_expired(&mut self, now: Instant) {
        for keys in [&mut self.waiting, &mut self.taken] {
            while let Some((expires, _)) = keys.first()
                && *expires <= now
            {
                if let Some((_, key)) = keys.pop_first() {
                    self.flows.remove(&key);
                }
            }
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.flows.remove(key) {
            let place = (entry.expires, key.to_owned());
            self.waiting.remove(&place);
            self.taken.remove(&place);
        }
    }

    /// The flow that a claim has taken.
    fn claimed(&mut self, key: &str, claim: &str) -> Option<&mut Entry> {
        let has_it = |entry: &&mut Entry| entry.claim.as_ref().is_some_and(|it| it.id == claim);
        self.flows.get_mut(key).filter(has_it)
    }

    /// Makes room for one more flow that was taken, by removing the one that expires first.
    fn bound_taken(&mut self) {
        if self.taken.len() >= self.capacity
            && let Some((_, key)) = self.taken.pop_first()
        {
            self.flows.remove(&key);
        }
    }
}

#[async_trait]
impl FlowStore for MemoryStore {
    async fn put(&self, key: &str, parked: &FlowRecord) -> Result<(), StoreError> {
        let now = Instant::now();
        let expires = after(now, parked.expires_in);
        let mut inner = self.lock();
        inner.drop_expired(now);
        if inner
            .flows
            .get(key)
            .is_some_and(|it| it.put_id == parked.id)
        {
            return Ok(());
        }
        inner.remove(key);
        if inner.waiting.len() >= inner.capacity {
            return Err(StoreError::Full(inner.waiting.len()));
        }
        inner.waiting.insert((expires, key.to_owned()));
        let entry = Entry {
            put_id: parked.id.clone(),
            record: parked.record.clone(),
            expires,
            claim: None,
        };
        inner.flows.insert(key.to_owned(), entry);
        Ok(())
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let mut inner = self.lock();
        inner.drop_expired(Instant::now());
        Ok(inner.flows.get(key).map(|entry| match &entry.claim {
            None => Found::Waiting(entry.record.clone()),
            Some(claim) => Found::Taken(claim.note.clone()),
        }))
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        let mut inner = self.lock();
        inner.drop_expired(Instant::now());
        if let Some(entry) = inner.claimed(key, claim) {
            return Ok(Some(entry.record.clone()));
        }
        let Some(entry) = inner.flows.get_mut(key) else {
            return Ok(None);
        };
        if entry.claim.is_some() {
            return Ok(None);
        }
        entry.claim = Some(Claim {
            id: claim.to_owned(),
            note: None,
        });
        let record = entry.record.clone();
        let place = (entry.expires, key.to_owned());
        inner.waiting.remove(&place);
        inner.bound_taken();
        inner.taken.insert(place);
        Ok(Some(record))
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let has_no_note =
            |entry: &&mut Entry| entry.claim.as_ref().is_some_and(|it| it.note.is_none());
        if let Some(entry) = inner.claimed(key, claim).filter(has_no_note) {
            entry.claim = None;
            let place = (entry.expires, key.to_owned());
            inner.taken.remove(&place);
            inner.waiting.insert(place);
        }
        Ok(())
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        if let Some(entry) = self.lock().claimed(key, claim) {
            entry.record.clear();
            entry.claim = Some(Claim {
                id: claim.to_owned(),
                note: Some(note.to_owned()),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        Ok(self.lock().kept.get(user).map(|entry| entry.kept.clone()))
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

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        kept: &TokenRecord,
    ) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let found = inner.kept.get(user).map(|tokens| &tokens.kept.version);
        if found == Some(&kept.version) {
            return Ok(true);
        }
        let fits = found.map(String::as_str) == version;
        if fits {
            let tokens = Tokens {
                kept: kept.clone(),
                lease: None,
            };
            inner.kept.insert(user.to_owned(), tokens);
        }
        Ok(fits)
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let found = inner.kept.get(user);
        let fits = found.is_some_and(|tokens| tokens.kept.version == version);
        if fits {
            inner.kept.remove(user);
        }
        Ok(fits)
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        let begin = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let inner = self.lock();
        let listed = inner
            .kept
            .range::<str, _>((begin, Bound::Unbounded))
            .take_while(|(user, _)| user.starts_with(prefix))
            .take(limit)
            .map(|(user, tokens)| (user.clone(), tokens.kept.clone()));
        Ok(listed.collect())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("MemoryStore")
            .field("waiting", &inner.waiting.len())
            .field("kept", &inner.kept.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(store: &MemoryStore, key: &str, id: &str) -> Result<(), StoreError> {
        let parked = FlowRecord {
            id: id.to_owned(),
            record: id.to_owned(),
            expires_in: Duration::from_mins(1),
        };
        store.put(key, &parked).await
    }

    async fn take(store: &MemoryStore, key: &str) -> Option<String> {
        store.take(key, "claim").await.expect("it works")
    }

    #[tokio::test]
    async fn a_full_store_still_replaces_what_it_holds() {
        let store = MemoryStore::with_capacity(1);
        for id in ["first", "second"] {
            put(&store, "key", id).await.expect("there is room");
        }
        assert_eq!(take(&store, "key").await.as_deref(), Some("second"));
        assert_eq!(store.lock().waiting.len(), 0, "no key is left behind");
    }

    #[tokio::test]
    async fn flows_that_were_taken_leave_room_and_are_bounded_too() {
        let store = MemoryStore::with_capacity(1);
        for key in ["one", "two", "three"] {
            put(&store, key, key).await.expect("there is room");
            assert_eq!(take(&store, key).await.as_deref(), Some(key));
        }
        assert!(put(&store, "four", "four").await.is_ok());
        let full = put(&store, "five", "five").await;
        assert!(matches!(full, Err(StoreError::Full(1))));
        assert_eq!(store.lock().flows.len(), 2, "one waits and one was taken");
    }
}
