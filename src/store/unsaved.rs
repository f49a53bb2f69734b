//! Tokens that only this process has, because their store has not taken them yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{oneshot, watch};

use super::bounded::Bounded;
use super::user_record::{Kept, RecordFormat, attached, is_none, no_data};
use super::{StoreError, TokenRecord, TokenStore};
use crate::chain::Chain;
use crate::flow::received_consent::ReceivedConsent;
use crate::observe::{self, in_millis, numbers};

/// The pauses between two tries to save.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// How long a call waits for the store. After that, the store is asked in the background.
const PATIENCE: Duration = Duration::from_secs(5);

/// The new records of users, by the users' keys, until they are saved.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsaved(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    records: Mutex<HashMap<String, UnsavedRecord>>,
    count: watch::Sender<usize>,
    /// How many changes of each user's record are being undone.
    changes_back: Mutex<HashMap<String, usize>>,
}

/// A record that is not saved yet.
#[derive(Debug)]
struct UnsavedRecord {
    kept: TokenRecord,
    format: RecordFormat,
    place: Place,
    /// Lives as long as the task that saves it.
    task: Weak<()>,
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
    pub(super) fn get(&self, user: &str) -> Option<TokenRecord> {
        self.lock().get(user).map(|record| record.kept.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(super) async fn none_left(&self) {
        let mut count = self.0.count.subscribe();
        // The sender is `self`, which is borrowed meanwhile.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    /// Forgets the record of a user, which is not saved then.
    pub(super) fn forget(&self, user: &str) {
        self.change(|records| {
            records.remove(user);
        });
    }

    /// Tries to save a new record while the process lives, unless the user is forgotten or there is a newer one. The future
    /// waits until the store has taken it, has failed for the first time, or does not answer.
    pub(super) fn save<S: TokenStore>(
        &self,
        save: Save<S>,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let task = Arc::new(());
        let is_newer = self.take_in(&save, &task);
        let saving = is_newer.then(|| self.saving(save, task));
        async {
            if let Some(saving) = saving {
                saving.await;
            }
        }
    }

    /// Notes a record that a task will save. False if there is a newer one of the user.
    fn take_in<S: TokenStore>(&self, save: &Save<S>, task: &Arc<()>) -> bool {
        let record = UnsavedRecord {
            kept: save.record.clone(),
            format: save.format,
            place: save.place.clone(),
            task: Arc::downgrade(task),
        };
        let mut is_newer = true;
        self.change(|records| {
            is_newer = records
                .get(&save.user)
                .is_none_or(|known| save.age_of(&known.kept) == Age::Earlier);
            if is_newer {
                records.insert(save.user.clone(), record);
            }
        });
        is_newer
    }

    fn saving<S: TokenStore>(
        &self,
        save: Save<S>,
        task: Arc<()>,
    ) -> impl Future<Output = ()> + Send + use<S> {
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
            drop(task);
        })
    }

    /// Saves what a task has left behind that ended with its runtime.
    pub(super) fn resume<S: TokenStore>(&self, store: &Bounded<S>) {
        let task = Arc::new(());
        let mut left_behind = Vec::new();
        for (user, record) in self.lock().iter_mut() {
            if record.task.strong_count() == 0 {
                record.task = Arc::downgrade(&task);
                left_behind.push(Save {
                    store: store.clone(),
                    user: user.clone(),
                    record: record.kept.clone(),
                    format: record.format,
                    place: record.place.clone(),
                });
            }
        }
        for save in left_behind {
            // It continues in the background.
            drop(self.saving(save, task.clone()));
        }
    }

    /// Tries to change a record back while the process lives. The future waits as that of [`Self::save`] does.
    pub(super) fn change_back<S: TokenStore>(
        &self,
        save: Save<S>,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let changing_back = self.changing_back(&save.user);
        in_a_task(async move |failed| {
            save.until_decided(|| true, failed).await;
            drop(changing_back);
        })
    }

    /// Notes that a user's record is being changed back, until the guard is dropped.
    fn changing_back(&self, user: &str) -> ChangingBack {
        let mut changing_back = self.changes_back();
        *changing_back.entry(user.to_owned()).or_default() += 1;
        ChangingBack {
            unsaved: self.clone(),
            user: user.to_owned(),
        }
    }

    /// Whether the store has not taken an earlier change of the user's record yet.
    pub(super) fn is_changing_back(&self, user: &str) -> bool {
        self.changes_back().contains_key(user)
    }

    fn wants(&self, user: &str, version: &str) -> bool {
        self.lock()
            .get(user)
            .is_some_and(|record| record.kept.version == version)
    }

    pub(super) fn saved(&self, user: &str, version: &str) {
        self.change(|records| {
            if records
                .get(user)
                .is_some_and(|record| record.kept.version == version)
            {
                records.remove(user);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, UnsavedRecord>)) {
        let mut records = self.lock();
        let before = records.len();
        change(&mut records);
        numbers::unsaved_changed(before, records.len());
        self.0.count.send_replace(records.len());
    }

    fn changes_back(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Nothing panics while it is held.
        self.0
            .changes_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, UnsavedRecord>> {
        // Nothing panics while it is held.
        self.0
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does work in a task. The future waits until the work has ended, has dropped the sender, or takes too long.
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
pub(super) struct Save<S> {
    pub store: Bounded<S>,
    pub user: String,
    pub record: TokenRecord,
    /// How the user's records are read.
    pub format: RecordFormat,
    pub place: Place,
}

/// Which record of the store a record may replace.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The consent that was there when this one was received, and any other except newer tokens of the same consent and
    /// tokens of a later one.
    Consent { earlier: Option<ReceivedConsent> },
    /// The first of these versions that the store has, and no other.
    Versions(Vec<String>),
    /// The record of this version, or any that still holds the refresh token that was spent.
    Spent {
        version: String,
        refresh_token: SecretString,
    },
}

impl<S: TokenStore> Save<S> {
    /// Tries until the store has decided, while the record is wanted. Drops `failed` when the store fails.
    async fn until_decided(&self, is_wanted: impl Fn() -> bool, failed: oneshot::Sender<()>) {
        let mut failed = Some(failed);
        let (mut pause, longest) = PAUSES;
        while is_wanted()
            && let Err(error) = self.once().await
        {
            if matches!(error, StoreError::LaterConsent) {
                tracing::info!(target: observe::STORE, error = %Chain(&error), "a user's tokens are not saved");
                return;
            }
            let pause_ms = in_millis(pause);
            tracing::error!(target: observe::STORE, error = %Chain(&error), pause_ms, "the store did not take a user's tokens: trying again");
            failed.take();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Tries once, and leaves a failure to the caller. If the caller was dropped in between, it keeps trying.
    pub(super) async fn or_hand_back(self, unsaved: Unsaved) -> Result<(), StoreError> {
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

    /// How old a known record of the user is. One that can't be read counts as earlier. A consent that was there when this one
    /// was received is earlier, whatever the clocks say. Refreshed tokens replace only those of their own consent.
    pub(super) fn age_of(&self, known: &TokenRecord) -> Age {
        let (Some(known), Some(new)) = (self.read(known), self.read(&self.record)) else {
            return Age::Earlier;
        };
        let consent = known.consent();
        match &self.place {
            Place::Consent {
                earlier: Some(earlier),
            } if consent == *earlier => Age::Earlier,
            Place::Spent { .. } if consent != new.consent() => Age::LaterConsent,
            _ => Age::of(&known, &new),
        }
    }

    /// The content of a record, if it can be read.
    fn read(&self, kept: &TokenRecord) -> Option<Kept> {
        (self.format.read)(&kept.record)
    }

    /// Whether a record holds a refresh token, sent or not.
    fn holds(&self, found: &TokenRecord, refresh_token: &SecretString) -> bool {
        self.read(found).is_some_and(|found| {
            found.tokens.refresh_token.expose_secret() == refresh_token.expose_secret()
        })
    }

    /// A record that was found, with the new tokens in place of its own.
    fn with_new_tokens(&self, found: &TokenRecord) -> TokenRecord {
        let new = self.read(&self.record);
        let record = new.and_then(|new| (self.format.with_tokens)(&found.record, new.tokens));
        TokenRecord {
            version: self.record.version.clone(),
            record: record.unwrap_or_else(|| self.record.record.clone()),
        }
    }

    /// The new record. It has the data of the one that it replaces if it has none. A record that can't be read has none.
    fn with_data_of(&self, replaced: &TokenRecord) -> TokenRecord {
        let data = [&self.record, replaced]
            .into_iter()
            .filter_map(|record| attached(&record.record))
            .find(|data| !is_none(data));
        let combined = (self.format.with_data)(&self.record.record, data.unwrap_or_else(no_data));
        TokenRecord {
            version: self.record.version.clone(),
            record: combined.unwrap_or_else(|| self.record.record.clone()),
        }
    }

    /// Asks the store once for each version that it may replace.
    async fn once(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::Consent { .. } => self.replace_earlier_consent().await,
            Place::Versions(versions) => self.replace_first(versions).await,
            Place::Spent {
                version,
                refresh_token,
            } => self.replace_spent(version.clone(), refresh_token).await,
        }
    }

    /// Removes the record, if the store has it.
    async fn undo(&self) {
        let removing = || self.store.remove(&self.user, &self.record.version);
        let (pause, longest) = PAUSES;
        let pauses = ExponentialBuilder::default()
            .with_min_delay(pause)
            .with_max_delay(longest)
            .without_max_times();
        // It ends when the store has decided.
        let _ = removing
            .retry(pauses)
            .notify(|error, _| tracing::error!(target: observe::STORE, error = %Chain(error), "a user who was forgotten may still have tokens in the store: trying again"))
            .await;
    }

    async fn replace(&self, version: Option<&str>) -> Result<bool, StoreError> {
        self.store.replace(&self.user, version, &self.record).await
    }

    /// Replaces the record of an earlier consent, whose data stays if the new one has none.
    async fn replace_found(&self, found: &TokenRecord) -> Result<bool, StoreError> {
        let record = self.with_data_of(found);
        let version = Some(found.version.as_str());
        self.store.replace(&self.user, version, &record).await
    }

    async fn load(&self) -> Result<Option<TokenRecord>, StoreError> {
        self.store.load(&self.user).await
    }

    async fn replace_earlier_consent(&self) -> Result<(), StoreError> {
        loop {
            let is_replaced = match self.load().await? {
                None => self.replace(None).await?,
                Some(found) => match self.age_of(&found) {
                    Age::Earlier => self.replace_found(&found).await?,
                    Age::Same => return Ok(()),
                    Age::LaterConsent => return Err(StoreError::LaterConsent),
                },
            };
            if is_replaced {
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
        let mut record = self.record.clone();
        loop {
            let replaced = self
                .store
                .replace(&self.user, Some(&version), &record)
                .await;
            if matches!(replaced, Ok(true)) {
                return Ok(());
            }
            match self.load().await? {
                // An attempt has saved it although the store reported an error.
                Some(found) if found.version == self.record.version => return Ok(()),
                Some(found) if found.version == version => return replaced.map(drop),
                Some(found) if self.holds(&found, refresh_token) => {
                    // Somebody has changed something else of it meanwhile.
                    record = self.with_new_tokens(&found);
                    version = found.version;
                }
                // It was replaced by others, or the user is forgotten.
                _ => return Ok(()),
            }
        }
    }
}

/// The age of a known record, compared to one that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Earlier,
    /// It has the same tokens, or later ones of the same consent.
    Same,
    /// It is of a consent that was received later.
    LaterConsent,
}

impl Age {
    fn of(found: &Kept, new: &Kept) -> Self {
        let [received, of_new] = [found, new].map(|record| record.tokens.consented_at());
        // Records that an earlier version of this library wrote do not say when consent was received.
        let may_be_same = received == of_new || received == 0 || of_new == 0;
        if may_be_same && new.consent == found.consent {
            if new.tokens.are_refreshed_from(&found.tokens) {
                Self::Earlier
            } else {
                Self::Same
            }
        } else if of_new < received {
            Self::LaterConsent
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
