//! The tokens of users who have consented, for all machines of an application.

use std::fmt;
use std::future::ready;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::bounded::Bounded;
use super::connection::Connection;
use super::keys::{contract_ids, key, name, prefix};
use super::refresher::{StoreRefresher, WatchedSender};
use super::unsaved::{Age, Place, Save, Unsaved};
use super::user_record::{RecordFormat, UserRecord, no_data, to_data, token_record};
use super::{StoreError, TokenRecord, TokenStore};
use crate::error::Error;
use crate::flow::contract::{self, Contract};
use crate::flow::grant::{HoldsTokens, TokenContract};
use crate::flow::suspended::{ContractIds, Durable, Suspended};
use crate::flow::{Flow, Refresher, Rejected, Trace};
use crate::platform::client::Client;
use crate::platform::{Platform, RefreshToken};

/// How many users the store is asked for at a time.
const PAGE: usize = 100;

/// The pause between two looks at tokens that somebody is changing.
const CHANGE_PAUSE: Duration = Duration::from_millis(50);

/// The tokens of users who have consented, kept in a [`TokenStore`] under the application's own name for the user.
///
/// A flow that comes from here refreshes its tokens through the store. However many machines push for a user while the
/// token expires, one sends the refresh token, and the others use the tokens that it gets. Create one `SharedTokens` and clone
/// it: the clones know of new tokens that the store has not taken yet.
///
/// While the process lives it keeps trying to save new tokens, even if the store is away. A process that dies between
/// sending the refresh token and saving the new tokens loses the user's consent. This is the only case in which the library
/// loses one. Then pushes fail with [`Error::RefreshInDoubt`], until the user consents again or
/// [`refresh`](Flow::refresh) shows what became of the token. When the platform says that consent has ended, the tokens
/// are removed from the store.
///
/// ```
/// use digime::store::{MemoryStore, SharedTokens};
/// use digime::{Client, Error, OngoingContract, PostboxItem};
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
pub struct SharedTokens<S> {
    pub(super) store: Bounded<S>,
    pub(super) lease_duration: Duration,
    pub(super) unsaved: Unsaved,
}

// The futures are boxed: with an opaque type a contract of the wrong kind is an error for each use of it, and not one.
impl<S: TokenStore> SharedTokens<S> {
    /// Keeps tokens in `store`.
    pub fn new(store: S) -> Self {
        Self {
            store: Bounded::new(store),
            lease_duration: Duration::from_secs(60),
            unsaved: Unsaved::default(),
        }
    }

    /// How long other machines wait for one that refreshes before they take it for dead. Then their calls fail with
    /// [`Error::RefreshInDoubt`], and nothing is removed: a machine that was only paused still saves its new tokens. Default:
    /// one minute.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        self.lease_duration = duration;
        self
    }

    /// How long one call of the store may take. Default: 20 seconds. A call that takes longer fails with
    /// [`StoreError::TimedOut`](crate::error::StoreError::TimedOut), and the next attempt saves new tokens.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store = self.store.with_timeout(timeout);
        self
    }

    /// Keeps the flow's tokens for a user, in place of those of an earlier consent. The flow comes back, and from now on
    /// refreshes its tokens through the store. If the store has newer tokens of the same consent, they stay.
    ///
    /// The call waits for a refresh that is running, as long as a call may take. If it is dropped while the store works on
    /// it, the tokens are kept nevertheless.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, a refresh does not end, or the store has tokens of a later consent
    /// ([`StoreError::LaterConsent`]); [`Error::ConsentEnded`] if the flow's consent is known to have ended. The flow comes
    /// back.
    // The future is boxed, so that a flow in another state is one error.
    #[allow(
        clippy::type_complexity,
        reason = "an alias would hide what comes back"
    )]
    pub fn keep<'a, C, G>(
        &'a self,
        user: &'a str,
        flow: Flow<C, G>,
    ) -> BoxFuture<'a, Result<Flow<C, G>, Rejected<Flow<C, G>>>>
    where
        C: Contract + 'static,
        G: HoldsTokens,
    {
        Box::pin(async move {
            let trace = Trace::of_flow(&flow, G::NAME, "keep");
            match trace.of(self.keep_tokens(user, &flow)).await {
                Ok(user) => Ok(flow.refreshed_by(self.refresher::<G>(user))),
                Err(error) => Err(Rejected::new(flow, error)),
            }
        })
    }

    /// Keeps the flow's tokens, and returns the user's key.
    async fn keep_tokens<C: Contract + 'static, G: HoldsTokens>(
        &self,
        user: &str,
        flow: &Flow<C, G>,
    ) -> Result<String, Error> {
        if !flow.settled().await {
            return Err(StoreError::Busy.into());
        }
        if let Some(code) = flow.ended() {
            return Err(Error::ConsentEnded { code });
        }
        let suspended = flow.suspended().with(no_data());
        let user = key(&suspended.record().contract, user);
        self.save(&user, suspended.record()).await?;
        Ok(user)
    }

    /// The flow of a user whose tokens are kept. `None` if the user has not consented, or the consent has ended.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Suspended`] if this machine can't read the record.
    #[allow(
        clippy::type_complexity,
        reason = "an alias would hide what comes back"
    )]
    pub fn find<C: TokenContract + 'static>(
        &self,
        user: &str,
        contract: &C,
        client: &Client,
    ) -> BoxFuture<'_, Result<Option<Flow<C, C::Granted>>, Error>> {
        let platform = contract::platform(contract, client);
        let user = key(&ContractIds::of(&platform.credentials), user);
        Box::pin(async move {
            let trace = Trace::new(&platform, C::Granted::NAME, "find");
            trace.of(self.find_by_key(user, platform)).await
        })
    }

    pub(super) async fn find_by_key<C: TokenContract + 'static>(
        &self,
        user: String,
        platform: Platform,
    ) -> Result<Option<Flow<C, C::Granted>>, Error> {
        let Some(kept) = self.newest(&user).await? else {
            return Ok(None);
        };
        let record = UserRecord::<C::Granted>::from_json(&kept.record)?;
        let (flow, _) = Suspended::of(record).into_parts();
        let flow = flow.resume_on(platform)?;
        Ok(Some(flow.refreshed_by(self.refresher::<C::Granted>(user))))
    }

    /// What the store knows of a user who is connected: since when, until when the access token lasts, and what the
    /// application has attached. `None` if the user has not consented or the consent has ended. Nothing is sent, and no
    /// flow is made.
    ///
    /// ```
    /// use digime::store::{SharedTokens, Store};
    /// use digime::{Error, OngoingContract};
    ///
    /// async fn is_connected<C: OngoingContract>(
    ///     tokens: &SharedTokens<impl Store>,
    ///     contract: &C,
    ///     customer: &str,
    /// ) -> Result<bool, Error> {
    ///     Ok(tokens.connection(customer, contract).await?.is_some())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Suspended`] if this machine can't read the record.
    pub fn connection<C: TokenContract>(
        &self,
        user: &str,
        contract: &C,
    ) -> BoxFuture<'_, Result<Option<Connection>, Error>> {
        let contract = contract_ids(contract);
        let user = key(&contract, user);
        Box::pin(async move {
            let trace = Trace::of_ids(&contract, C::Granted::NAME, "connection");
            let tokens = async {
                let tokens = self.newest(&user).await?;
                let read = Connection::read::<C::Granted>;
                Ok::<_, Error>(tokens.as_ref().map(read).transpose()?)
            };
            trace.of(tokens).await
        })
    }

    /// All users of a contract who are connected, in the order of their names' keys, each with what the store knows. The
    /// store is asked for a hundred at a time. Users who come or go meanwhile may be missing.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use digime::store::{SharedTokens, Store};
    /// use digime::{Error, OngoingContract};
    /// use futures_util::TryStreamExt;
    ///
    /// /// The customers whose consent is more than 23 days old.
    /// async fn to_remind<C: OngoingContract>(
    ///     tokens: &SharedTokens<impl Store>,
    ///     contract: &C,
    /// ) -> Result<Vec<String>, Error> {
    ///     let since = SystemTime::now() - Duration::from_secs(23 * 24 * 60 * 60);
    ///     let mut to_remind = Vec::new();
    ///     let mut connections = std::pin::pin!(tokens.connections(contract));
    ///     while let Some((customer, connection)) = connections.try_next().await? {
    ///         if connection.consented_at().is_some_and(|at| at < since) {
    ///             to_remind.push(customer);
    ///         }
    ///     }
    ///     Ok(to_remind)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`connection`](Self::connection). The stream ends with an error of the store.
    pub fn connections<C: TokenContract>(
        &self,
        contract: &C,
    ) -> BoxStream<'_, Result<(String, Connection), Error>> {
        let prefix = prefix(&contract_ids(contract));
        stream::try_unfold(Some(String::new()), move |after| {
            let prefix = prefix.clone();
            async move {
                let Some(after) = after else {
                    return Ok::<_, Error>(None);
                };
                let listed = self.store.list(&prefix, Some(&after), PAGE).await?;
                let next = listed.last().map(|(last, _)| last.clone());
                let page = listed.into_iter().filter_map(move |(user, tokens)| {
                    let name = name(&user, &prefix)?;
                    let connection = Connection::read::<C::Granted>(&tokens);
                    let connection = connection.map_err(Error::from);
                    Some(connection.map(|connection| (name, connection)))
                });
                Ok(Some((stream::iter(page.collect::<Vec<_>>()), next)))
            }
        })
        .try_flatten()
        .boxed()
    }

    /// The users of a contract whose consent ends before a time, or has ended: those to ask to renew it. As
    /// [`connections`](Self::connections) otherwise.
    ///
    /// It is for contracts whose platform says when a consent ends. A postbox's does not:
    /// [`Connection::consented_at`] shows what to do there.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use digime::store::{SharedTokens, Store};
    /// use digime::tokens::TokenContract;
    /// use digime::Error;
    /// use futures_util::TryStreamExt;
    ///
    /// /// The customers whose consent ends within seven days.
    /// async fn to_remind<C: TokenContract>(
    ///     tokens: &SharedTokens<impl Store>,
    ///     contract: &C,
    /// ) -> Result<Vec<String>, Error> {
    ///     let in_a_week = SystemTime::now() + Duration::from_secs(7 * 24 * 60 * 60);
    ///     let lapsing = tokens.lapsing(contract, in_a_week);
    ///     lapsing.map_ok(|(customer, _)| customer).try_collect().await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`connection`](Self::connection). The stream ends with an error of the store.
    pub fn lapsing<C: TokenContract>(
        &self,
        contract: &C,
        before: SystemTime,
    ) -> BoxStream<'_, Result<(String, Connection), Error>> {
        self.connections(contract)
            .try_filter(move |(_, connection)| {
                let ends = connection.consent_expires_at();
                ready(connection.ended().is_some() || ends.is_some_and(|ends| ends < before))
            })
            .boxed()
    }

    /// Attaches the application's own data to a user's tokens, in place of what was attached before. It stays with them
    /// through refreshes and later consents. False if the user has no tokens.
    ///
    /// ```
    /// use digime::store::{SharedTokens, Store};
    /// use digime::{Error, OngoingContract};
    ///
    /// async fn note_plan<C: OngoingContract>(tokens: &SharedTokens<impl Store>, contract: &C) -> Result<(), Error> {
    ///     tokens.attach("customer-42", contract, &"gold").await?;
    ///     let connection = tokens.connection("customer-42", contract).await?;
    ///     let plan: Option<String> = connection.map(|it| it.data()).transpose()?.flatten();
    ///     assert_eq!(plan.as_deref(), Some("gold"));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Suspended`] if the data can't be serialized or this machine can't read the record, [`Error::Store`] if the
    /// store failed, or another machine is refreshing the tokens for longer than a call of the store may take.
    pub fn attach<C: TokenContract, D: Serialize>(
        &self,
        user: &str,
        contract: &C,
        data: &D,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        let contract = contract_ids(contract);
        let user = key(&contract, user);
        let data = to_data(data);
        Box::pin(async move {
            let trace = Trace::of_ids(&contract, C::Granted::NAME, "attach");
            let attaching = async {
                let data = data?;
                self.change_by_key::<C::Granted>(&user, |record| record.attached.clone_from(&data))
                    .await
            };
            trace.of(attaching).await
        })
    }

    /// Changes what the store keeps of a user's state, for libraries whose states have more than tokens. Waits while another
    /// machine refreshes the tokens. False if the user has no tokens.
    ///
    /// `change` may be called more than once, each time with what the store has then. It must leave the tokens as they are.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn change_record<'a, C: TokenContract>(
        &'a self,
        user: &str,
        contract: &C,
        change: impl Fn(&mut <C::Granted as Durable>::Record) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        let contract = contract_ids(contract);
        let user = key(&contract, user);
        Box::pin(async move {
            let trace = Trace::of_ids(&contract, C::Granted::NAME, "change_record");
            let changing =
                self.change_by_key::<C::Granted>(&user, |record| change(&mut record.payload));
            trace.of(changing).await
        })
    }

    async fn change_by_key<G: HoldsTokens>(
        &self,
        user: &str,
        change: impl Fn(&mut UserRecord<G>) + Send + Sync,
    ) -> Result<bool, Error> {
        let timeout = self.store.timeout();
        tokio::time::timeout(timeout, self.change_without_limit(user, change))
            .await
            .unwrap_or(Err(StoreError::Busy.into()))
    }

    async fn change_without_limit<G: HoldsTokens>(
        &self,
        user: &str,
        change: impl Fn(&mut UserRecord<G>) + Send + Sync,
    ) -> Result<bool, Error> {
        let mut sender = WatchedSender::default();
        loop {
            let is_being_saved =
                self.newer_than_store(user).is_some() || self.unsaved.is_changing_back(user);
            if !is_being_saved {
                let Some(found) = self.store.load(user).await? else {
                    return Ok(false);
                };
                let mut record = UserRecord::<G>::from_json(&found.record)?;
                let is_free = match G::tokens(&record.payload).refresh {
                    RefreshToken::Sent { .. } => {
                        sender.is_silent(self, user, &found.version).await?
                    }
                    _ => true,
                };
                change(&mut record);
                if is_free
                    && self
                        .store
                        .replace(user, Some(&found.version), &token_record(&record)?)
                        .await?
                {
                    return Ok(true);
                }
            }
            tokio::time::sleep(CHANGE_PAUSE).await;
        }
    }

    /// Forgets a user's tokens, as when the user leaves the application. The consent itself ends in digi.me.
    ///
    /// A consent that another process has received and its store has not taken yet is kept when the store takes it.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed.
    pub fn forget<C: TokenContract>(
        &self,
        user: &str,
        contract: &C,
    ) -> BoxFuture<'_, Result<(), Error>> {
        let contract = contract_ids(contract);
        let user = key(&contract, user);
        Box::pin(async move {
            let trace = Trace::of_ids(&contract, C::Granted::NAME, "forget");
            self.unsaved.forget(&user);
            trace.of(self.store.forget(&user)).await
        })
    }

    async fn save<G: HoldsTokens>(&self, user: &str, written: &UserRecord<G>) -> Result<(), Error> {
        let save = Save {
            store: self.store.clone(),
            user: user.to_owned(),
            record: token_record(written)?,
            format: RecordFormat::of::<G>(),
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
    pub(super) async fn newest(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        match self.newer_than_store(user) {
            Some(newer) => Ok(Some(newer)),
            None => self.store.load(user).await,
        }
    }

    /// The record of a user that the store has not taken yet.
    pub(super) fn newer_than_store(&self, user: &str) -> Option<TokenRecord> {
        self.unsaved.resume(&self.store);
        self.unsaved.get(user)
    }

    /// The number of users whose new tokens only this process has, because the store has not taken them yet.
    #[must_use]
    pub fn unsaved(&self) -> usize {
        self.unsaved.count()
    }

    /// Waits until the store has taken all new tokens. Call it before the program ends, with a time limit of your own: tokens
    /// that are not saved then are lost, and their users have to consent again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use digime::store::{MemoryStore, SharedTokens};
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

    pub(super) fn refresher<G: HoldsTokens>(&self, user: String) -> Arc<dyn Refresher> {
        Arc::new(StoreRefresher::<S, G> {
            tokens: self.clone(),
            user,
            state: PhantomData,
        })
    }
}

impl<S> Clone for SharedTokens<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            lease_duration: self.lease_duration,
            unsaved: self.unsaved.clone(),
        }
    }
}

impl<S> fmt::Debug for SharedTokens<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTokens")
            .field("store_timeout", &self.store.timeout())
            .field("lease_duration", &self.lease_duration)
            .field("unsaved", &self.unsaved.count())
            .finish_non_exhaustive()
    }
}
