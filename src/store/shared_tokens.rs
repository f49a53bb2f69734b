//! One refresh for many machines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use futures_util::future::BoxFuture;

use super::{Kept, StoreError, TokenStore, key};
use crate::client::Client;
use crate::contract::{Contract, Credentials};
use crate::error::{Error, Operation, RequestError};
use crate::flow::{Authorized, Flow, Refresher, Rejected};
use crate::platform::{Platform, Tokens};
use crate::random;
use crate::suspended::{Ids, Reaches, Suspended, Written};

/// The tokens of users who have consented, kept in a [`TokenStore`] under the application's own name for the user.
///
/// A flow that comes from here refreshes its tokens through the store: however many machines push for a user while the
/// token expires, one asks the platform, under a lease, and the others go on with the token that it gets. A machine that
/// dies meanwhile blocks the others until its lease ends.
///
/// A refresh token is good once. Where a machine dies after the platform's answer and before it is saved, the tokens are
/// lost; the next refresh finds that out, and the user has to consent again ([`Error::ConsentEnded`]). When consent has
/// ended, the tokens are removed from the store.
///
/// ```
/// use digime::store::MemoryStore;
/// use digime::{Client, Error, OngoingContract, PostboxItem, SharedTokens};
///
/// async fn push<C: OngoingContract + 'static>(
///     tokens: &SharedTokens<MemoryStore>,
///     contract: &C,
///     client: &Client,
///     receipt: PostboxItem,
/// ) -> Result<bool, Error> {
///     let Some(authorized) = tokens.find("customer-42", contract, client).await? else {
///         return Ok(false); // never consented, or consent has ended: begin a flow
///     };
///     authorized.push(receipt).await?;
///     Ok(true)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SharedTokens<S> {
    store: S,
    lease: Duration,
}

impl<S: TokenStore> SharedTokens<S> {
    /// Keeps tokens in `store`.
    pub fn new(store: S) -> Self {
        Self {
            store,
            lease: Duration::from_mins(1),
        }
    }

    /// For how long a machine has the right to refresh. A machine that dies with it blocks the others for no longer, and
    /// a refresh is given up before it ends. Default: one minute.
    #[must_use]
    pub fn lease(mut self, duration: Duration) -> Self {
        self.lease = duration;
        self
    }

    /// Keeps the flow's tokens for a user, in place of any others, and gives the flow back, which from now on refreshes
    /// them through the store.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed. The flow comes back.
    pub async fn keep<C: Contract + 'static>(
        &self,
        user: &str,
        flow: Flow<C, Authorized>,
    ) -> Result<Flow<C, Authorized>, Rejected<Flow<C, Authorized>>> {
        let suspended = flow.suspend();
        let user = key(&suspended.written().contract, user);
        match self.save(&user, suspended.written()).await {
            Ok(()) => Ok(flow.refreshed_by(self.refresher(user))),
            Err(error) => Err(Rejected::new(flow, error)),
        }
    }

    /// The flow of a user whose tokens are kept; nothing for one who has not consented, or whose consent has ended.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed, [`Error::Suspended`] when what it holds can't be read.
    // The future is boxed: with a named type a contract of the wrong kind is one error, and not one for each use of it.
    pub fn find<C: Reaches<Authorized> + 'static>(
        &self,
        user: &str,
        contract: &C,
        client: &Client,
    ) -> BoxFuture<'_, Result<Option<Flow<C, Authorized>>, Error>> {
        let platform = Platform::new(contract, client);
        let user = key(&Ids::of(&platform.credentials), user);
        Box::pin(async move {
            let Some(kept) = self.store.load(&user).await? else {
                return Ok(None);
            };
            let suspended = Suspended::of(Written::from_json(&kept.record)?);
            let flow = suspended.go_on(platform)?;
            Ok(Some(flow.refreshed_by(self.refresher(user))))
        })
    }

    /// Forgets a user's tokens, as when the user leaves the application. The consent itself ends in digi.me.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed.
    pub fn forget<C: Contract>(
        &self,
        user: &str,
        contract: &C,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let user = key(&Ids::of(&Credentials::of(contract)), user);
        async move {
            self.store.remove(&user, None).await?;
            Ok(())
        }
    }

    async fn save(&self, user: &str, written: &Written<Authorized>) -> Result<(), Error> {
        Ok(self.store.save(user, &kept(written)?).await?)
    }

    fn refresher(&self, user: String) -> Arc<dyn Refresher> {
        Arc::new(OfUser {
            tokens: self.clone(),
            user,
        })
    }
}

fn kept(written: &Written<Authorized>) -> Result<Kept, Error> {
    Ok(Kept {
        version: random::url_safe_256(),
        record: written.to_json()?,
    })
}

/// The tokens of one user.
struct OfUser<S> {
    tokens: SharedTokens<S>,
    user: String,
}

impl<S: TokenStore> Refresher for OfUser<S> {
    fn refresh<'a>(
        &'a self,
        platform: &'a Platform,
        stale: Tokens,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        Box::pin(async move { self.replace(platform, &stale).await })
    }
}

/// What a look at the store, or a turn at refreshing, has come to.
enum Turn {
    /// These are the tokens to go on with.
    Done(Tokens),
    /// Somebody else refreshes, or has been quicker: look again.
    Again,
}

impl<S: TokenStore> OfUser<S> {
    async fn replace(&self, platform: &Platform, stale: &Tokens) -> Result<Tokens, Error> {
        // Long enough for a holder that dies and for the one after it.
        let give_up = Instant::now() + self.tokens.lease * 2;
        let mut pause = Duration::from_millis(20);
        while Instant::now() < give_up {
            if let Turn::Done(tokens) = self.turn(platform, stale).await? {
                return Ok(tokens);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        Err(StoreError::Busy.into())
    }

    async fn turn(&self, platform: &Platform, stale: &Tokens) -> Result<Turn, Error> {
        let store = &self.tokens.store;
        let Some(loaded) = store.load(&self.user).await? else {
            // Somebody else has learned that consent has ended, or the application forgot the user.
            return Err(Error::ConsentEnded {
                code: "no tokens are kept".into(),
            });
        };
        let written = Written::<Authorized>::from_json(&loaded.record)?;
        if written.payload.tokens.access_token() != stale.access_token() {
            return Ok(Turn::Done(written.payload.tokens));
        }
        let holder = random::url_safe_256();
        let granted = store
            .lease(&self.user, &loaded.version, &holder, self.tokens.lease)
            .await?;
        if !granted {
            return Ok(Turn::Again);
        }
        match self.ask(platform, &written.payload.tokens).await {
            Ok(tokens) => self.save(&loaded.version, written, tokens).await,
            Err(error @ Error::ConsentEnded { .. }) => {
                // Nobody has saved others meanwhile, so these are good for nothing.
                if store.remove(&self.user, Some(&loaded.version)).await? {
                    Err(error)
                } else {
                    Ok(Turn::Again)
                }
            }
            Err(error) => {
                // The lease ends by itself where this fails.
                let _ = store.release(&self.user, &holder).await;
                Err(error)
            }
        }
    }

    /// Asks the platform, and gives up in time to save what it says.
    async fn ask(&self, platform: &Platform, tokens: &Tokens) -> Result<Tokens, Error> {
        let refresh = platform.refresh(&tokens.refresh_token);
        tokio::time::timeout(self.tokens.lease * 3 / 4, refresh)
            .await
            .unwrap_or_else(|_| {
                Err(RequestError::AnswerLost {
                    operation: Operation::RefreshToken,
                    cause: "the lease on it was about to end".into(),
                }
                .into())
            })
    }

    /// Saves new tokens: from the platform's answer to here they are in this process alone. So a store that fails is
    /// asked again, for as long as nobody else may refresh.
    async fn save(
        &self,
        version: &str,
        mut written: Written<Authorized>,
        tokens: Tokens,
    ) -> Result<Turn, Error> {
        written.payload.tokens = tokens.clone();
        let kept = kept(&written)?;
        let attempts = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(10))
            .with_max_times(8);
        let saved = (|| self.tokens.store.replace(&self.user, version, &kept))
            .retry(attempts)
            .await?;
        Ok(if saved {
            Turn::Done(tokens)
        } else {
            Turn::Again
        })
    }
}
