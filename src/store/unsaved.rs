//! Tokens that are in this process alone, because their store has not taken them yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
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
    /// How many changes of each user's record are being undone.
    changes_back: Mutex<HashMap<String, usize>>,
}

/// A change of a user's record that is being undone.
struct ChangingBack {
    unsaved: Unsaved,
    user: String,
}

impl Drop for ChangingBack {
    fn drop(&mut self) {
        let mut changes_back = self.unsaved.changes_back();
        if let Entry::Occupied(mut running) = changes_back.entry(std::mem::take(&mut self.user)) {
            *running.get_mut() -= 1;
            if *running.get() == 0 {
                running.remove();
            }
        }
    }
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

    /// Saves a new record for as long as the process lives, unless it is forgotten. The future waits until the store has
    /// taken it, has failed for the first time, or does not answer.
    pub fn save<S: TokenStore>(&self, save: Save<S>) -> impl Future<Output = ()> + Send + use<S> {
        self.change(|records| {
            records.insert(save.user.clone(), save.record.clone());
        });
        let unsaved = self.clone();
        in_a_task(async move |failed| {
            let (user, version) = (&save.user, &save.record.version);
            save.until_decided(|| unsaved.wants(user, version), failed)
                .await;
            if unsaved.get(user).is_none() {
                // The user was forgotten while the store was being asked.
                save.undo().await;
            }
            unsaved.saved(user, version);
        })
    }

    /// Changes a record back, for as long as the process lives. The future waits as that of [`Self::save`] does.
    pub fn change_back<S: TokenStore>(
        &self,
        save: Save<S>,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let changing_back = self.changing_back(&save.user);
        in_a_task(async move |failed| {
            save.until_decided(|| true, failed).await;
            drop(changing_back);
        })
    }

    /// Notes that a user's record is being changed back, until what this gives is dropped.
    fn changing_back(&self, user: &str) -> ChangingBack {
        let mut changing_back = self.changes_back();
        *changing_back.entry(user.to_owned()).or_default() += 1;
        ChangingBack {
            unsaved: self.clone(),
            user: user.to_owned(),
        }
    }

    /// Whether the store has not taken an earlier change of the user's record yet.
    pub fn is_changing_back(&self, user: &str) -> bool {
        self.changes_back().contains_key(user)
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

    fn changes_back(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Nothing panics while it is held.
        self.0
            .changes_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        // Nothing panics while it is held.
        self.0
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does work in a task. The future waits until the work has ended, has dropped what it was given, or takes too long.
fn in_a_task<F>(work: impl FnOnce(oneshot::Sender<()>) -> F) -> impl Future<Output = ()> + Send
where
    F: Future<Output = ()> + Send + 'static,
{
    let (failed, has_failed) = oneshot::channel();
    tokio::spawn(work(failed));
    async {
        let _ = tokio::time::timeout(PATIENCE, has_failed).await;
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
    /// In the place of whatever there is but newer tokens of the same consent, and tokens of a later consent.
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
    /// Tries until the store has decided, for as long as the record is wanted. Drops `failed` when the store fails.
    async fn until_decided(&self, is_wanted: impl Fn() -> bool, failed: oneshot::Sender<()>) {
        let mut failed = Some(failed);
        let (mut pause, longest) = PAUSES;
        while is_wanted()
            && let Err(error) = self.once().await
            && !matches!(error, StoreError::LaterConsent)
        {
            tracing::error!(%error, ?pause, "the store did not take a user's tokens: trying again");
            failed.take();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Tries once. A failure is the caller's to handle; for a caller that was dropped meanwhile, it is tried on.
    pub async fn or_hand_back(self, unsaved: Unsaved) -> Result<(), StoreError> {
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let tried = self.once().await;
            if let Err(Err(error)) = tell.send(tried)
                && !matches!(error, StoreError::LaterConsent)
            {
                unsaved.save(self).await;
            }
        });
        told.await
            .unwrap_or_else(|ended| Err(StoreError::failed(ended)))
    }

    /// Asks the store once for each version that it may replace.
    async fn once(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::Consent => self.replace_earlier_consent().await,
            Place::Versions(versions) => self.replace_first(versions).await,
            Place::Spent {
                version,
                refresh_token,
            } => self.replace_spent(version.clone(), refresh_token).await,
        }
    }

    /// Removes the record, where the store has it.
    async fn undo(&self) {
        let removing = || self.store.remove(&self.user, Some(&self.record.version));
        if let Err(error) = removing.retry(ExponentialBuilder::default()).await {
            tracing::error!(%error, "a user who was forgotten may still have tokens in the store");
        }
    }

    async fn replace(&self, version: Option<&str>) -> Result<bool, StoreError> {
        self.store.replace(&self.user, version, &self.record).await
    }

    async fn load(&self) -> Result<Option<Kept>, StoreError> {
        self.store.load(&self.user).await
    }

    async fn replace_earlier_consent(&self) -> Result<(), StoreError> {
        loop {
            let found = self.load().await?;
            if let Some(found) = &found {
                match Age::of(found, &self.record) {
                    Age::Earlier => {}
                    Age::Same => return Ok(()),
                    Age::LaterConsent => return Err(StoreError::LaterConsent),
                }
            }
            let version = found.as_ref().map(|found| found.version.as_str());
            if self.replace(version).await? {
                return Ok(());
            }
        }
    }

    async fn replace_first(&self, versions: &[String]) -> Result<(), StoreError> {
        for version in versions {
            if self.replace(Some(version)).await? {
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
            let replaced = self.replace(Some(&version)).await;
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

/// How old a stored record is, beside one that is to be kept.
enum Age {
    Earlier,
    /// It has the same tokens, or those that the same consent has brought since.
    Same,
    /// It is of a consent that was received later.
    LaterConsent,
}

impl Age {
    /// A stored record that can't be read counts as an earlier one.
    fn of(found: &Kept, new: &Kept) -> Self {
        let read =
            |kept: &Kept| Written::<Authorized>::from_json(&kept.record).map(|read| read.payload);
        let (Ok(found), Ok(new)) = (read(found), read(new)) else {
            return Self::Earlier;
        };
        // Records of an earlier version of this library do not say when consent was received.
        let is_same_consent = new.tokens.consented_at() == found.tokens.consented_at()
            && new.postbox_id() == found.postbox_id();
        if new.tokens.consented_at() < found.tokens.consented_at() {
            Self::LaterConsent
        } else if is_same_consent && !new.tokens.are_refreshed_from(&found.tokens) {
            Self::Same
        } else {
            Self::Earlier
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_back_is_noted_until_the_last_has_ended() {
        let unsaved = Unsaved::default();
        let changes = [unsaved.changing_back("user"), unsaved.changing_back("user")];
        for change in changes {
            assert!(unsaved.is_changing_back("user"));
            drop(change);
        }
        assert!(!unsaved.is_changing_back("user"));
    }
}
