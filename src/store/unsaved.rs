//! Tokens that are in this process alone, because their store has not taken them yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{oneshot, watch};

use super::bounded::Bounded;
use super::{Kept, StoreError, TokenStore};
use crate::flow::Authorized;
use crate::suspended::Written;

/// The pauses between two tries to save.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// How long a call waits for the store before it goes on while the store is still asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// The new records of users, by the users' keys, until they are saved.
#[derive(Clone, Debug, Default)]
pub struct Unsaved(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    records: Mutex<HashMap<String, Kept>>,
    count: watch::Sender<usize>,
}

impl Unsaved {
    pub fn get(&self, user: &str) -> Option<Kept> {
        self.lock().get(user).cloned()
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    pub async fn none_left(&self) {
        let mut count = self.0.count.subscribe();
        // The sender is `self`, which is borrowed meanwhile.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    /// Forgets the record of a user, which is not saved then.
    pub fn forget(&self, user: &str) {
        self.change(|records| {
            records.remove(user);
        });
    }

    /// Saves a new record for as long as the process lives, unless it is forgotten. Returns when the store has taken it,
    /// has failed for the first time, or does not answer.
    pub async fn save<S: TokenStore>(&self, save: Save<S>) {
        self.change(|records| {
            records.insert(save.user.clone(), save.record.clone());
        });
        save.persistently(Some(self.clone())).await;
    }

    fn wants(&self, user: &str, version: &str) -> bool {
        self.lock()
            .get(user)
            .is_some_and(|record| record.version == version)
    }

    fn saved(&self, user: &str, version: &str) {
        self.change(|records| {
            if records
                .get(user)
                .is_some_and(|record| record.version == version)
            {
                records.remove(user);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, Kept>)) {
        let mut records = self.lock();
        change(&mut records);
        self.0.count.send_replace(records.len());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        // Nothing panics while it is held.
        self.0
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that has to get into the store.
pub struct Save<S> {
    pub store: Bounded<S>,
    pub user: String,
    pub record: Kept,
    pub place: Place,
}

/// Where a record belongs.
pub enum Place {
    /// In the place of whatever there is but newer tokens of the same consent: the user has consented.
    Consent,
    /// In the place of the record that has the first of these versions which is there, and of no other.
    Versions(Vec<String>),
    /// In the place of the record of this version, or of any that still holds the refresh token that was spent.
    Spent {
        version: String,
        refresh_token: SecretString,
    },
}

impl<S: TokenStore> Save<S> {
    /// Tries until the store has decided, in a task of its own, and for as long as `unsaved` wants the record. Returns when
    /// the store has decided, when it has failed for the first time, or when it does not answer.
    pub async fn persistently(self, unsaved: Option<Unsaved>) {
        let (failed, has_failed) = oneshot::channel::<()>();
        let mut failed = Some(failed);
        tokio::spawn(async move {
            let (user, version) = (&self.user, &self.record.version);
            let is_wanted = || {
                unsaved
                    .as_ref()
                    .is_none_or(|unsaved| unsaved.wants(user, version))
            };
            let (mut pause, longest) = PAUSES;
            while is_wanted()
                && let Err(error) = self.once().await
            {
                tracing::error!(%error, ?pause, "the store did not take a user's tokens: trying again");
                failed.take();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            if let Some(unsaved) = &unsaved {
                unsaved.saved(user, version);
            }
        });
        let _ = tokio::time::timeout(PATIENCE, has_failed).await;
    }

    /// Tries once. A failure is the caller's to handle; for a caller that was dropped meanwhile, it is tried on.
    pub async fn or_hand_back(self) -> Result<(), StoreError> {
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let tried = self.once().await;
            if let Err(Err(_)) = tell.send(tried) {
                self.persistently(None).await;
            }
        });
        told.await
            .unwrap_or_else(|ended| Err(StoreError::failed(ended)))
    }

    /// Asks the store once for each version that it may replace.
    async fn once(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::Consent => self.replace_other_consent().await,
            Place::Versions(versions) => self.replace_first(versions).await,
            Place::Spent {
                version,
                refresh_token,
            } => self.replace_spent(version.clone(), refresh_token).await,
        }
    }

    async fn replace(&self, version: &str) -> Result<bool, StoreError> {
        self.store.replace(&self.user, version, &self.record).await
    }

    async fn load(&self) -> Result<Option<Kept>, StoreError> {
        self.store.load(&self.user).await
    }

    async fn replace_other_consent(&self) -> Result<(), StoreError> {
        loop {
            let Some(found) = self.load().await? else {
                return self.store.save(&self.user, &self.record).await;
            };
            if found.version == self.record.version
                || is_as_new(&found, &self.record)
                || self.replace(&found.version).await?
            {
                return Ok(());
            }
        }
    }

    async fn replace_first(&self, versions: &[String]) -> Result<(), StoreError> {
        for version in versions {
            if self.replace(version).await? {
                break;
            }
        }
        Ok(())
    }

    async fn replace_spent(
        &self,
        mut version: String,
        refresh_token: &SecretString,
    ) -> Result<(), StoreError> {
        loop {
            let replaced = self.replace(&version).await;
            if matches!(replaced, Ok(true)) {
                return Ok(());
            }
            match self.load().await? {
                // A try has saved it although the store said otherwise.
                Some(found) if found.version == self.record.version => return Ok(()),
                Some(found) if found.version == version => return replaced.map(drop),
                Some(found) if holds(&found, refresh_token) => version = found.version,
                // Others have come to its place, or the user is forgotten.
                _ => return Ok(()),
            }
        }
    }
}

/// Whether a record holds a refresh token, in whatever state.
fn holds(found: &Kept, refresh_token: &SecretString) -> bool {
    Written::<Authorized>::from_json(&found.record).is_ok_and(|written| {
        let held = &written.payload.tokens.refresh_token;
        held.expose_secret() == refresh_token.expose_secret()
    })
}

/// Whether a stored record has tokens of the same consent as `record`, and as new ones: a record that is kept again after
/// an error may have been refreshed meanwhile. Every consent has a postbox of its own.
fn is_as_new(found: &Kept, record: &Kept) -> bool {
    let read =
        |kept: &Kept| Written::<Authorized>::from_json(&kept.record).map(|read| read.payload);
    match (read(found), read(record)) {
        (Ok(found), Ok(new)) => {
            found.postbox_id() == new.postbox_id()
                && found.tokens.expires_at() >= new.tokens.expires_at()
        }
        _ => false,
    }
}
