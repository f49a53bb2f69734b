use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};
use crate::flow::suspended::{Purpose, SealingKeys, SuspendedError};

/// What a sealed record begins with: what it is, and in which format.
const PREFIX: &str = "digime-record1";

/// A store whose records are sealed with the application's keys, over another store that sees only sealed text.
///
/// Records and notes are encrypted and protected from changes (AES-256-GCM-SIV, RFC 8452), each for its own row, so that
/// whoever can write to the database can't move one to another row. Keys of rows, versions and times are not encrypted:
/// a row's key has the contract's ids, and the `state` of a flow or the application's name for a user. An earlier row that
/// is put back as a whole still opens.
///
/// To change keys, [accept](SealingKeys::accept) the old key for as long as records are kept that it has sealed. Records
/// are sealed again when they change.
///
/// ```
/// use digime::SealingKeys;
/// use digime::store::{MemoryStore, ParkedFlows, SealedStore, SharedTokens};
///
/// # fn from_vault(_: &str) -> [u8; 32] { [7; 32] }
/// let keys = SealingKeys::new("2026-11", from_vault("2026-11"));
/// let store = SealedStore::new(MemoryStore::new(), keys);
/// let flows = ParkedFlows::new(store.clone());
/// let tokens = SharedTokens::new(store);
/// ```
#[derive(Clone)]
pub struct SealedStore<S> {
    store: S,
    keys: Arc<SealingKeys>,
    accepts_unsealed: bool,
}

/// The row that a record is sealed for.
#[derive(Clone, Copy)]
enum Row<'a> {
    Flow { key: &'a str },
    Note { key: &'a str },
    Tokens { user: &'a str, version: &'a str },
}

impl Row<'_> {
    fn place(self) -> String {
        match self {
            Self::Flow { key } => format!("flow {key}"),
            Self::Note { key } => format!("note {key}"),
            Self::Tokens { user, version } => format!("tokens {version} {user}"),
        }
    }
}

impl<S> SealedStore<S> {
    /// Seals what `store` keeps.
    pub fn new(store: S, keys: SealingKeys) -> Self {
        Self {
            store,
            keys: Arc::new(keys),
            accepts_unsealed: false,
        }
    }

    /// Also reads records that are not sealed, for the time in which a store that was used without a seal changes over.
    ///
    /// While this is on, whoever can write to the database can replace a sealed record by one that is not.
    #[must_use]
    pub fn accept_unsealed(mut self) -> Self {
        self.accepts_unsealed = true;
        self
    }

    fn seal(&self, row: Row<'_>, record: &str) -> Result<String, StoreError> {
        let purpose = Purpose {
            prefix: PREFIX,
            place: &row.place(),
        };
        let sealed = self.keys.seal(purpose, record.into());
        sealed.map_err(StoreError::failed)
    }

    fn open(&self, row: Row<'_>, record: String) -> Result<String, StoreError> {
        if self.accepts_unsealed && !record.starts_with(PREFIX) {
            return Ok(record);
        }
        let purpose = Purpose {
            prefix: PREFIX,
            place: &row.place(),
        };
        let opened = self
            .keys
            .open(purpose, &record)
            .map_err(StoreError::Sealed)?;
        let text = std::str::from_utf8(&opened).map_err(|_| SuspendedError::Damaged);
        Ok(text.map_err(StoreError::Sealed)?.to_owned())
    }

    fn open_some(
        &self,
        row: Row<'_>,
        record: Option<String>,
    ) -> Result<Option<String>, StoreError> {
        record.map(|record| self.open(row, record)).transpose()
    }
}

#[async_trait]
impl<S: FlowStore> FlowStore for SealedStore<S> {
    async fn put(&self, key: &str, flow: &FlowRecord) -> Result<(), StoreError> {
        let sealed = FlowRecord {
            record: self.seal(Row::Flow { key }, &flow.record)?,
            ..flow.clone()
        };
        self.store.put(key, &sealed).await
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let found = match self.store.peek(key).await? {
            None => return Ok(None),
            Some(Found::Waiting(record)) => Found::Waiting(self.open(Row::Flow { key }, record)?),
            Some(Found::Taken(note)) => Found::Taken(self.open_some(Row::Note { key }, note)?),
        };
        Ok(Some(found))
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        let record = self.store.take(key, claim).await?;
        self.open_some(Row::Flow { key }, record)
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        self.store.put_back(key, claim).await
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        let note = self.seal(Row::Note { key }, note)?;
        self.store.leave_note(key, claim, &note).await
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for SealedStore<S> {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        let Some(TokenRecord { version, record }) = self.store.load(user).await? else {
            return Ok(None);
        };
        let row = Row::Tokens {
            user,
            version: &version,
        };
        let record = self.open(row, record)?;
        Ok(Some(TokenRecord { version, record }))
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        self.store.lease(user, version, holder, duration).await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.store.release(user, holder).await
    }

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        tokens: &TokenRecord,
    ) -> Result<bool, StoreError> {
        let row = Row::Tokens {
            user,
            version: &tokens.version,
        };
        let sealed = TokenRecord {
            version: tokens.version.clone(),
            record: self.seal(row, &tokens.record)?,
        };
        self.store.replace(user, version, &sealed).await
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        self.store.remove(user, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        let mut listed = self.store.list(prefix, after, limit).await?;
        for (user, tokens) in &mut listed {
            let row = Row::Tokens {
                user,
                version: &tokens.version,
            };
            tokens.record = self.open(row, std::mem::take(&mut tokens.record))?;
        }
        Ok(listed)
    }
}

impl<S: fmt::Debug> fmt::Debug for SealedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore")
            .field("store", &self.store)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn keys(id: &str) -> SealingKeys {
        SealingKeys::new(id, [id.len().try_into().expect("a short id"); 32])
    }

    fn tokens(version: &str) -> TokenRecord {
        TokenRecord {
            version: version.into(),
            record: "a refresh token".into(),
        }
    }

    fn flow(record: &str) -> FlowRecord {
        FlowRecord {
            id: "a parking".into(),
            record: record.into(),
            expires_in: Duration::from_mins(1),
        }
    }

    /// A store with sealed tokens of the user `u`, and the store below it.
    async fn with_tokens() -> (SealedStore<MemoryStore>, MemoryStore) {
        let below = MemoryStore::new();
        let store = SealedStore::new(below.clone(), keys("one"));
        assert!(store.replace("u", None, &tokens("v1")).await.expect("kept"));
        (store, below)
    }

    #[cfg(feature = "conformance")]
    #[tokio::test]
    async fn a_sealed_store_conforms() {
        use crate::store::conformance;

        let store: Arc<MemoryStore> = Arc::new(MemoryStore::new());
        let store = SealedStore::new(store, keys("one"));
        conformance::flow_store(&store).await;
        conformance::token_store(&store).await;
    }

    #[tokio::test]
    async fn the_store_below_sees_no_record() {
        let (store, below) = with_tokens().await;
        store.put("key", &flow("a verifier")).await.expect("parked");
        let Found::Waiting(record) = below.peek("key").await.expect("found").expect("it") else {
            panic!("nothing waits");
        };
        assert!(!record.contains("verifier"), "{record}");
        store.take("key", "claim").await.expect("taken");
        store
            .leave_note("key", "claim", "a customer")
            .await
            .expect("noted");
        let found = below.peek("key").await.expect("found");
        assert!(!matches!(&found, Some(Found::Taken(Some(note))) if note.contains("customer")));
        let kept = below.load("u").await.expect("loaded").expect("tokens");
        assert!(!kept.record.contains("token"), "{}", kept.record);
        assert_eq!(store.load("u").await.expect("opened"), Some(tokens("v1")));
    }

    #[tokio::test]
    async fn a_record_in_another_row_or_of_another_version_does_not_open() {
        let (store, below) = with_tokens().await;
        let sealed = below.load("u").await.expect("loaded").expect("tokens");
        let moved = TokenRecord {
            version: "v2".into(),
            ..sealed.clone()
        };
        for (user, record) in [("another", &sealed), ("yet another", &moved)] {
            below.replace(user, None, record).await.expect("moved");
            let error = store.load(user).await.expect_err("of another row");
            assert!(
                matches!(error, StoreError::Sealed(SuspendedError::Damaged)),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn records_of_an_accepted_key_open_and_those_of_an_unknown_key_are_named() {
        let (_, below) = with_tokens().await;
        let changed = SealedStore::new(below.clone(), keys("two").accept("one", [3; 32]));
        assert_eq!(changed.load("u").await.expect("opened"), Some(tokens("v1")));
        let without = SealedStore::new(below, keys("three"));
        let error = without.load("u").await.expect_err("no key");
        let is_named =
            matches!(&error, StoreError::Sealed(SuspendedError::UnknownKey(id)) if id == "one");
        assert!(is_named, "{error}");
    }

    #[tokio::test]
    async fn records_without_a_seal_are_read_only_if_the_application_asks_for_it() {
        let below = MemoryStore::new();
        below.replace("u", None, &tokens("v1")).await.expect("kept");
        let store = SealedStore::new(below, keys("one"));
        let error = store.load("u").await.expect_err("not sealed");
        assert!(matches!(error, StoreError::Sealed(SuspendedError::Damaged)));
        let store = store.accept_unsealed();
        assert_eq!(store.load("u").await.expect("read"), Some(tokens("v1")));
    }
}
