//! The tokens of users who have consented, for all machines of an application.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::bounded::Bounded;
use super::refresher::{StoreRefresher, kept};
use super::unsaved::{Age, Place, Save, Unsaved};
use super::{Kept, StoreError, TokenStore, key};
use crate::client::Client;
use crate::contract::{Contract, Credentials};
use crate::error::Error;
use crate::flow::{Authorized, Flow, Refresher, Rejected};
use crate::platform::Platform;
use crate::suspended::{Ids, Reaches, Suspended, Written};

/// The tokens of users who have consented, kept in a [`TokenStore`] under the application's own name for the user.
///
/// A flow that comes from here refreshes its tokens through the store. However many machines push for a user while the
/// token expires, one sends the refresh token, and the others go on with the tokens that it gets. Make one of these and
/// clone it: the clones know of new tokens that the store has not taken yet.
///
/// New tokens are saved for as long as the process lives, also while the store is away. A process that dies between
/// sending the refresh token and saving what it got loses the user's consent: it is the one case in which the library
/// loses one. Then pushes fail with [`Error::RefreshInDoubt`], until the user consents again or
/// [`refresh`](Flow::refresh) shows what became of the token. When the platform says that consent has ended, the tokens
/// are removed from the store.
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
    pub(super) store: Bounded<S>,
    pub(super) lease: Duration,
    pub(super) unsaved: Unsaved,
}

impl<S: TokenStore> SharedTokens<S> {
    /// Keeps tokens in `store`.
    pub fn new(store: S) -> Self {
        Self {
            store: Bounded::new(store),
            lease: Duration::from_secs(60),
            unsaved: Unsaved::default(),
        }
    }

    /// How long other machines wait for one that refreshes before they take it for dead. Their calls fail then with
    /// [`Error::RefreshInDoubt`], and nothing is removed: a machine that only paused still saves what it got. Default: one
    /// minute.
    #[must_use]
    pub fn lease(mut self, duration: Duration) -> Self {
        self.lease = duration;
        self
    }

    /// How long one call of the store may take. Default: 20 seconds. A call that takes longer fails with
    /// [`StoreError::TimedOut`](crate::StoreError::TimedOut), and new tokens are saved by the next try.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store = self.store.with_timeout(timeout);
        self
    }

    /// Keeps the flow's tokens for a user, in place of those of an earlier consent, and gives the flow back, which from now
    /// on refreshes them through the store. Where the store has tokens that this consent has brought since, they stay.
    ///
    /// A refresh that is running is waited for, as long as a call may take. When this is dropped while the store works on
    /// it, the tokens are kept all the same.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed, a refresh does not end, or the store has tokens of a later consent
    /// ([`StoreError::LaterConsent`]); [`Error::ConsentEnded`] when the flow's consent is known to have ended. The flow comes
    /// back.
    pub async fn keep<C: Contract + 'static>(
        &self,
        user: &str,
        flow: Flow<C, Authorized>,
    ) -> Result<Flow<C, Authorized>, Rejected<Flow<C, Authorized>>> {
        if !flow.settled().await {
            return Err(Rejected::new(flow, StoreError::Busy.into()));
        }
        if let Some(code) = flow.ended() {
            return Err(Rejected::new(flow, Error::ConsentEnded { code }));
        }
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
        Box::pin(self.find_by_key(user, platform))
    }

    pub(super) async fn find_by_key<C: Reaches<Authorized> + 'static>(
        &self,
        user: String,
        platform: Platform,
    ) -> Result<Option<Flow<C, Authorized>>, Error> {
        let Some(kept) = self.newest(&user).await? else {
            return Ok(None);
        };
        let flow = Suspended::of(Written::from_json(&kept.record)?).go_on(platform)?;
        Ok(Some(flow.refreshed_by(self.refresher(user))))
    }

    /// Forgets a user's tokens, as when the user leaves the application. The consent itself ends in digi.me.
    ///
    /// A consent that another process has received and its store has not taken yet is kept when the store takes it.
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
            self.unsaved.forget(&user);
            // A removal that the store executes late must not remove what was kept since then.
            let forgetting = async {
                while let Some(found) = self.store.load(&user).await? {
                    if self.store.remove(&user, &found.version).await? {
                        break;
                    }
                }
                Ok(())
            };
            let timeout = self.store.timeout();
            tokio::time::timeout(timeout, forgetting)
                .await
                .unwrap_or(Err(StoreError::TimedOut(timeout).into()))
        }
    }

    async fn save(&self, user: &str, written: &Written<Authorized>) -> Result<(), Error> {
        let save = Save {
            store: self.store.clone(),
            user: user.to_owned(),
            record: kept(written)?,
            place: Place::Consent { earlier: None },
        };
        let unsaved = self.newer_than_store(user);
        match unsaved.as_ref().map(|known| save.age_of(known)) {
            None | Some(Age::Earlier) => {}
            Some(Age::Same) => return Ok(()),
            Some(Age::LaterConsent) => return Err(StoreError::LaterConsent.into()),
        }
        save.or_hand_back(self.unsaved.clone()).await?;
        if let Some(earlier) = unsaved {
            self.unsaved.saved(user, &earlier.version);
        }
        Ok(())
    }

    /// The newest record of a user, whether the store has taken it or not.
    pub(super) async fn newest(&self, user: &str) -> Result<Option<Kept>, StoreError> {
        match self.newer_than_store(user) {
            Some(newer) => Ok(Some(newer)),
            None => self.store.load(user).await,
        }
    }

    /// The record of a user that the store has not taken yet.
    pub(super) fn newer_than_store(&self, user: &str) -> Option<Kept> {
        self.unsaved.resume(&self.store);
        self.unsaved.get(user)
    }

    /// How many users' new tokens are in this process alone, because the store has not taken them yet.
    #[must_use]
    pub fn unsaved(&self) -> usize {
        self.unsaved.count()
    }

    /// Waits until the store has taken all new tokens. A program calls it before it ends, with a time limit of its own:
    /// what is not saved then is lost, and its users have to consent again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use digime::SharedTokens;
    /// use digime::store::MemoryStore;
    ///
    /// # async fn stop(tokens: SharedTokens<MemoryStore>) {
    /// if tokio::time::timeout(Duration::from_secs(30), tokens.flush()).await.is_err() {
    ///     eprintln!("{} users have to consent again", tokens.unsaved());
    /// }
    /// # }
    /// ```
    pub async fn flush(&self) {
        self.unsaved.resume(&self.store);
        self.unsaved.none_left().await;
    }

    pub(super) fn refresher(&self, user: String) -> Arc<dyn Refresher> {
        Arc::new(StoreRefresher {
            tokens: self.clone(),
            user,
        })
    }
}
