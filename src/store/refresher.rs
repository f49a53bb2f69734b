//! One refresh for many machines.
//!
//! A refresh token works once, so only one machine may send it. The store decides which one. Before a machine sends the
//! token, it replaces the user's record by one that says that the token is *sent*, and by whom. The replacement succeeds for
//! only one machine, since a version never comes back. From then on nobody else sends this token, even if the sender dies.
//! ARCHITECTURE.md has the whole protocol, and `refresh-model` checks it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::unsaved::{Place, Save};
use super::user_record::{RecordFormat, UserRecord, token_record};
use super::{SharedTokens, StoreError, TokenRecord, TokenStore};
use crate::chain::Chain;
use crate::error::Error;
use crate::flow::grant::HoldsTokens;
use crate::flow::{self, Demand, Refresher, Renewable, Sent};
use crate::observe;
use crate::platform::{Platform, RefreshToken, Tokens};
use crate::random;

/// How long a sender may take to show that it is alive, after it has marked the record.
const GRACE: Duration = Duration::from_secs(2);

/// The pauses between two looks at a record that another machine is refreshing.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// How long a refresh waits for a store that has not taken an earlier change of the record.
const PATIENCE: Duration = Duration::from_secs(5);

const UNCHANGED: &str = "it has not taken an earlier change of the user's record yet";

/// Refreshes the tokens of one user, whose flow is in the state `G`, through the store.
pub(super) struct StoreRefresher<S, G> {
    pub tokens: SharedTokens<S>,
    pub user: String,
    pub state: PhantomData<fn() -> G>,
}

impl<S: TokenStore, G: HoldsTokens> Refresher for StoreRefresher<S, G> {
    fn refresh(
        &self,
        platform: Platform,
        held: Arc<Renewable<Tokens>>,
        demand: Demand,
    ) -> BoxFuture<'static, Result<Tokens, Error>> {
        let refresh = Refresh::<S, G> {
            tokens: self.tokens.clone(),
            user: self.user.clone(),
            stale: held.get(),
            platform,
            held,
            demand,
            state: PhantomData,
        };
        refresh.run().boxed()
    }
}

/// One refresh.
struct Refresh<S, G> {
    tokens: SharedTokens<S>,
    user: String,
    platform: Platform,
    /// The tokens of the flow that asks.
    held: Arc<Renewable<Tokens>>,
    stale: Tokens,
    demand: Demand,
    state: PhantomData<fn() -> G>,
}

/// A record that this machine has marked as sent.
struct Marked<G: HoldsTokens> {
    version: String,
    /// What the record was before.
    before: UserRecord<G>,
    sender: String,
}

impl<G: HoldsTokens> Marked<G> {
    /// The tokens before the mark.
    fn tokens(&self) -> &Tokens {
        G::tokens(&self.before.payload)
    }

    /// Whether somebody else may have sent the token too.
    fn was_in_doubt(&self) -> bool {
        matches!(self.tokens().refresh, RefreshToken::Sent { .. })
    }
}

impl<S: TokenStore, G: HoldsTokens> Refresh<S, G> {
    async fn run(self) -> Result<Tokens, Error> {
        // Long enough for a sender that dies, and for the next one.
        let begun = Instant::now();
        let give_up = begun.checked_add(self.tokens.lease_duration.saturating_mul(2));
        let mut sender = WatchedSender::default();
        let (mut pause, longest) = PAUSES;
        loop {
            if let Some(unsaved) = self.tokens.newer_than_store(&self.user) {
                // What the store has is older than this process's. Tokens that are not saved yet can't be marked.
                let unsaved = UserRecord::<G>::from_json(&unsaved.record)?;
                let unsaved = G::tokens(&unsaved.payload);
                if self.is_news(unsaved) {
                    return Ok(unsaved.clone());
                }
            } else if self.tokens.unsaved.is_changing_back(&self.user) {
                // One task for each user is enough to wait for a store that is away.
                if begun.elapsed() >= PATIENCE {
                    return Err(StoreError::failed(UNCHANGED).into());
                }
            } else if let Some(tokens) = self.use_record(&mut sender).await? {
                return Ok(tokens);
            }
            if give_up.is_some_and(|give_up| Instant::now() >= give_up) {
                return Err(StoreError::Busy.into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Reads the record, and uses its tokens if they are new. Otherwise sends the refresh token, if this machine may.
    /// `None` if the record has to be read again.
    async fn use_record(&self, sender: &mut WatchedSender) -> Result<Option<Tokens>, Error> {
        let (version, record) = self.load().await?;
        let stored = G::tokens(&record.payload);
        if self.is_news(stored) {
            return Ok(Some(stored.clone()));
        }
        match &stored.refresh {
            RefreshToken::Ended { code } => {
                let ended = stored.refresh.clone();
                self.held.change(|held| held.refresh = ended);
                return Err(Error::ConsentEnded { code: code.clone() });
            }
            RefreshToken::Sent { .. }
                if !sender.is_silent(&self.tokens, &self.user, &version).await? =>
            {
                return Ok(None);
            }
            RefreshToken::Sent { .. } if self.demand == Demand::Push => {
                return Err(Error::RefreshInDoubt);
            }
            RefreshToken::Unsent | RefreshToken::Sent { .. } => {}
        }
        match self.mark(&version, record).await? {
            Some(marked) => self.send(marked).await,
            None => Ok(None),
        }
    }

    /// Whether these are other tokens than the flow's.
    fn is_news(&self, tokens: &Tokens) -> bool {
        tokens.access_token() != self.stale.access_token()
    }

    async fn load(&self) -> Result<(String, UserRecord<G>), Error> {
        let TokenRecord { version, record } = self
            .tokens
            .store
            .load(&self.user)
            .await?
            .ok_or_else(|| Error::ConsentEnded {
                code: "the store has no tokens for the user".into(),
            })?;
        Ok((version, UserRecord::from_json(&record)?))
    }

    /// Marks the record of a version as sent. `None` if somebody else was quicker.
    async fn mark(&self, version: &str, before: UserRecord<G>) -> Result<Option<Marked<G>>, Error> {
        let sender = random::url_safe_256();
        let sent = RefreshToken::Sent { by: sender.clone() };
        let record = token_record(&with(&before, |tokens| tokens.refresh = sent))?;
        let retries = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(10))
            .with_max_times(3);
        let marking = || async {
            let store = &self.tokens.store;
            let replaced = store.replace(&self.user, Some(version), &record).await;
            if matches!(replaced, Ok(true)) {
                return Ok(true);
            }
            // An attempt may have marked the record although the store reported an error.
            let found = store.load(&self.user).await?;
            match found {
                Some(found) if found.version == record.version => Ok(true),
                _ => replaced,
            }
        };
        let marked = Marked {
            version: record.version.clone(),
            before,
            sender,
        };
        let is_marked: Result<bool, StoreError> = marking.retry(retries).await;
        match is_marked {
            Ok(is_marked) => Ok(is_marked.then_some(marked)),
            Err(error) => {
                // It may be marked, now or later, and nothing was sent.
                let versions = [version.to_owned(), marked.version.clone()];
                self.unmark(&marked, versions.into()).await?;
                Err(error.into())
            }
        }
    }

    /// Removes the mark, however long that takes: puts the earlier record in place of the first of `versions` that the
    /// store has.
    async fn unmark(&self, marked: &Marked<G>, versions: Vec<String>) -> Result<(), Error> {
        let save = Save {
            store: self.tokens.store.clone(),
            user: self.user.clone(),
            record: token_record(&marked.before)?,
            format: RecordFormat::of::<G>(),
            place: Place::Versions(versions),
        };
        self.tokens.unsaved.change_back(save).await;
        Ok(())
    }

    /// Sends the refresh token that this machine has marked. `None` if the record has changed in between and has to be read
    /// again.
    async fn send(&self, marked: Marked<G>) -> Result<Option<Tokens>, Error> {
        self.show_life(&marked);
        let (tokens, sender) = (marked.tokens(), &marked.sender);
        match flow::send::<G::Answer>(&self.platform, &self.held, tokens, sender).await {
            Sent::Exchanged(new) => {
                self.save(&marked, &new).await?;
                Ok(Some(new))
            }
            Sent::Unused(error) => {
                self.unmark(&marked, vec![marked.version.clone()]).await?;
                Err(error)
            }
            Sent::InDoubt(error) => {
                self.end_lease(&marked).await;
                Err(error)
            }
            Sent::Ended { code } => {
                let is_unchanged = if marked.was_in_doubt() {
                    // The first sender may have new tokens for it, and may still save them.
                    self.end_lease(&marked).await;
                    self.load().await?.0 == marked.version
                } else if G::IS_RENEWED {
                    self.note_end(&marked, &code).await?
                } else {
                    self.remove(&marked).await
                };
                if is_unchanged {
                    Err(Error::ConsentEnded { code })
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// Takes a lease on the marked record, which shows others that its sender is alive. The token is sent without waiting
    /// for it.
    fn show_life(&self, marked: &Marked<G>) {
        let SharedTokens {
            store,
            lease_duration,
            ..
        } = self.tokens.clone();
        let (user, version) = (self.user.clone(), marked.version.clone());
        let holder = marked.sender.clone();
        tokio::spawn(async move {
            if let Err(error) = store.lease(&user, &version, &holder, lease_duration).await {
                tracing::warn!(target: observe::STORE, error = %Chain(&error), "others can't see that a user's tokens are being refreshed");
            }
        });
    }

    async fn end_lease(&self, marked: &Marked<G>) {
        // If this fails, the lease ends by itself.
        let _ = self.tokens.store.release(&self.user, &marked.sender).await;
    }

    async fn save(&self, marked: &Marked<G>, new: &Tokens) -> Result<(), Error> {
        let save = Save {
            store: self.tokens.store.clone(),
            user: self.user.clone(),
            record: token_record(&with(&marked.before, |tokens| *tokens = new.clone()))?,
            format: RecordFormat::of::<G>(),
            place: Place::Spent {
                version: marked.version.clone(),
                refresh_token: marked.tokens().refresh_token.clone(),
            },
        };
        self.tokens.unsaved.save(save).await;
        Ok(())
    }

    /// Notes in the record that the consent has ended: only this machine has sent the tokens, and the platform refused. False if
    /// the store has others by now.
    async fn note_end(&self, marked: &Marked<G>, code: &str) -> Result<bool, Error> {
        let ended = RefreshToken::Ended {
            code: code.to_owned(),
        };
        let record = token_record(&with(&marked.before, |tokens| tokens.refresh = ended))?;
        let store = &self.tokens.store;
        let noting = || store.replace(&self.user, Some(&marked.version), &record);
        Ok(noting
            .retry(ExponentialBuilder::default())
            .await
            .unwrap_or_else(|error| {
                tracing::error!(target: observe::STORE, error = %Chain(&error), "a user's consent has ended and the store could not note it");
                true
            }))
    }

    /// Removes tokens that nobody can use: only this machine has sent them, and the platform refused. False if the store has
    /// others by now.
    async fn remove(&self, marked: &Marked<G>) -> bool {
        let removing = || self.tokens.store.remove(&self.user, &marked.version);
        removing
            .retry(ExponentialBuilder::default())
            .await
            .unwrap_or_else(|error| {
                tracing::error!(target: observe::STORE, error = %Chain(&error), "a user's consent has ended and the tokens could not be removed");
                true
            })
    }
}

/// The sender that a record names, and since when it has been seen.
#[derive(Default)]
pub(super) struct WatchedSender(Option<(String, Instant)>);

impl WatchedSender {
    /// Whether the machine that has marked a record shows no sign of life: its lease has ended.
    pub(super) async fn is_silent<S: TokenStore>(
        &mut self,
        tokens: &SharedTokens<S>,
        user: &str,
        version: &str,
    ) -> Result<bool, StoreError> {
        if self.watched_for(version) < GRACE.min(tokens.lease_duration) {
            return Ok(false);
        }
        let probe = random::url_safe_256();
        let store = &tokens.store;
        store.lease(user, version, &probe, Duration::ZERO).await
    }

    fn watched_for(&mut self, version: &str) -> Duration {
        match &self.0 {
            Some((known, since)) if known == version => since.elapsed(),
            _ => {
                self.0 = Some((version.to_owned(), Instant::now()));
                Duration::ZERO
            }
        }
    }
}

fn with<G: HoldsTokens>(
    written: &UserRecord<G>,
    change: impl FnOnce(&mut Tokens),
) -> UserRecord<G> {
    let mut written = written.clone();
    change(G::tokens_mut(&mut written.payload));
    written
}
