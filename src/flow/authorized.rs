use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::destination::{Destination, DestinationRecord};
use super::doubt::settle;
use super::refresh::{Demand, PlatformRefresher, Refresher};
use super::renewable::Renewable;
use super::trace::Trace;
use super::{Flow, PushMany};
use crate::error::Error;
use crate::flow::suspended::{Durable, Resumable, Suspended, SuspendedError};
use crate::platform::error::Operation;
use crate::platform::{AccessToken, Doubt, Platform, RefreshToken, Tokens};
use crate::postbox::{Delivery, DeliveryStatus, PostboxItem, PreparedItem};
use crate::store::error::StoreError;

/// How long before it expires a token is refreshed, in milliseconds. The platform checks the token after the upload, so an
/// upload whose token has expired by then is wasted.
const EXPIRES_SOON: u64 = 30_000;

/// The state of an ongoing contract's flow that has a postbox and an access token. Next: [`push`](Flow::push).
#[must_use = "the next step is `authorized.push(item).await?`"]
pub struct Authorized {
    destination: Destination,
    tokens: Arc<Renewable<Tokens>>,
    refresher: Arc<dyn Refresher>,
}

impl Authorized {
    pub(super) fn new(destination: Destination, tokens: Tokens) -> Self {
        Self {
            destination,
            tokens: Renewable::new(tokens, Operation::RefreshToken),
            refresher: Arc::new(PlatformRefresher),
        }
    }

    async fn push(&self, item: PostboxItem, platform: &Platform) -> Result<Delivery, Error> {
        let item = item.prepare()?;
        let doubt = Doubt::default();
        let delivery = self.push_with_doubt(&item, platform, &doubt).await;
        settle(&doubt, delivery)
    }

    async fn push_with_doubt(
        &self,
        item: &Arc<PreparedItem>,
        platform: &Platform,
        doubt: &Doubt,
    ) -> Result<Delivery, Error> {
        let soon = platform.client.platform_now().saturating_add(EXPIRES_SOON);
        let expires_soon = move |tokens: &Tokens| tokens.have_expired(soon);
        let token = self.refreshed(platform, Demand::Push, expires_soon).await?;
        let push = async |token: &AccessToken| {
            self.destination
                .push(platform, item, Some(token), doubt)
                .await
        };
        let delivery = push(&token).await?;
        if delivery.status() == DeliveryStatus::Delivered {
            return Ok(delivery);
        }
        // In answer to a request with an access token, pending means that the token had expired.
        item.check_readable()?;
        push(&self.replace(&token, platform, Demand::Push).await?).await
    }

    /// A token in place of a stale one: the one that another call has received meanwhile, or a new one.
    async fn replace(
        &self,
        stale: &AccessToken,
        platform: &Platform,
        demand: Demand,
    ) -> Result<AccessToken, Error> {
        self.refreshed(platform, demand, |tokens| tokens.access_token() == *stale)
            .await
    }

    /// The token. A stale one is refreshed first. The refresh continues if this future is dropped or times out, since the
    /// platform accepts a refresh token once, and the new tokens must not be lost.
    async fn refreshed(
        &self,
        platform: &Platform,
        demand: Demand,
        is_stale: impl Fn(&Tokens) -> bool,
    ) -> Result<AccessToken, Error> {
        let timeout = platform.client.call_timeout();
        let (refresher, held) = (self.refresher.clone(), self.tokens.clone());
        let platform = platform.clone();
        let refresh = move |_| refresher.refresh(platform, held, demand);
        let fresh = self.tokens.fresh(&is_stale, demand.insists(), refresh);
        let tokens = tokio::time::timeout(timeout, fresh)
            .await
            .unwrap_or_else(|_| Err(self.overdue()))
            .or_else(|error| {
                // A refresh has its tokens before it ends, and a store may hold it up after that.
                let held = self.tokens.get();
                if is_stale(&held) {
                    Err(error)
                } else {
                    Ok(held)
                }
            })?;
        Ok(tokens.access_token())
    }

    /// Why a refresh did not end in time.
    fn overdue(&self) -> Error {
        match self.tokens.get().refresh {
            RefreshToken::Unsent => StoreError::Busy.into(),
            _ => Error::answer_lost(Operation::RefreshToken, "timed out"),
        }
    }
}

impl<C> Flow<C, Authorized> {
    /// Pushes an item into the user's digi.me, encrypted so that only the user can read it. Pushes can run concurrently.
    /// An access token that has expired is refreshed, once for all of them.
    ///
    /// A transient failure is retried, and the item is read again for it. If an answer was lost, the item may arrive twice.
    ///
    /// ```
    /// use digime::{Authorized, Error, Flow, PostboxItem};
    ///
    /// async fn push_receipt<C>(authorized: &Flow<C, Authorized>) -> Result<(), Error> {
    ///     let receipt = PostboxItem::file("receipt.pdf").account("customer-42").tag("receipt");
    ///     match authorized.push(receipt).await {
    ///         Ok(delivery) => println!("{:?}", delivery.status()),
    ///         Err(error) if matches!(error.reason(), Error::ConsentEnded { .. }) => println!("ask the user again"),
    ///         Err(error) => return Err(error),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Item`] if the item can't be read.
    /// - [`Error::Request`] if the platform was not reached or refused. [`Error::may_have_taken_effect`] says whether the
    ///   item may have been delivered all the same.
    /// - [`Error::ConsentEnded`] if the user has to consent again.
    /// - [`Error::RefreshInDoubt`] if the answer to an earlier refresh was lost.
    #[doc(alias = "pushDataToPostbox")]
    pub async fn push(&self, item: PostboxItem) -> Result<Delivery, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "push");
        trace.of(self.state.push(item, &self.platform)).await
    }

    /// Pushes many items concurrently, and gives the results as they come. See [`PushMany`] for an example.
    pub fn push_many<'a>(
        &'a self,
        items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'a>,
    ) -> PushMany<'a> {
        PushMany::new(items, |item| Box::pin(self.push(item)))
    }

    /// The current access token. A push may refresh it.
    ///
    /// ```
    /// use digime::{Authorized, Flow};
    ///
    /// fn has_new_token<C>(flow: &Flow<C, Authorized>, known: &digime::AccessToken) -> bool {
    ///     flow.access_token() != *known
    /// }
    /// ```
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        self.state.tokens.get().access_token()
    }

    /// Waits until the access token differs from `known`, and gives the new one.
    ///
    /// ```
    /// use digime::{Authorized, Flow};
    ///
    /// /// Saves the flow whenever its tokens have been refreshed, for as long as it is polled.
    /// async fn save_tokens<C>(flow: &Flow<C, Authorized>, save: impl AsyncFn(String)) -> serde_json::Result<()> {
    ///     let mut token = flow.access_token();
    ///     loop {
    ///         token = flow.refreshed_token(&token).await;
    ///         save(serde_json::to_string(&flow.suspend())?).await;
    ///     }
    /// }
    /// ```
    pub async fn refreshed_token(&self, known: &AccessToken) -> AccessToken {
        let is_new = |tokens: &Tokens| tokens.access_token() != *known;
        self.state.tokens.wait_for(is_new).await.access_token()
    }

    /// When the access token expires. A push refreshes it before that.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use digime::{Authorized, Flow};
    ///
    /// fn is_fresh<C>(flow: &Flow<C, Authorized>) -> bool {
    ///     flow.access_token_expires_at() > SystemTime::now()
    /// }
    /// ```
    #[must_use]
    pub fn access_token_expires_at(&self) -> SystemTime {
        self.state.tokens.get().expires_at()
    }

    /// Refreshes the access token now (RFC 6749, section 6). A push does so when it has to.
    ///
    /// A push never sends a refresh token whose earlier answer was lost, and fails with [`Error::RefreshInDoubt`]. This call
    /// does send it, because the application asks for it explicitly. It either brings new tokens or shows that the token
    /// was spent. If a push is already refreshing the token, this call waits for that push, and sends the token only if the
    /// push left that to the application.
    ///
    /// ```
    /// use digime::{Authorized, Delivery, Error, Flow, PostboxItem};
    ///
    /// /// Pushes a receipt, also if an earlier refresh was interrupted.
    /// async fn push<C>(authorized: &Flow<C, Authorized>, receipt: PostboxItem) -> Result<Delivery, Error> {
    ///     match authorized.push(receipt.clone()).await {
    ///         Err(error) if matches!(error.reason(), Error::RefreshInDoubt { .. }) => {
    ///             authorized.refresh().await?;
    ///             authorized.push(receipt).await
    ///         }
    ///         outcome => outcome,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// - [`Error::ConsentEnded`] if the user has to consent again.
    /// - [`Error::Request`] if the platform was not reached or refused.
    /// - [`Error::Store`] if the tokens are shared and the store failed.
    pub async fn refresh(&self) -> Result<AccessToken, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "refresh");
        let stale = self.access_token();
        let refreshing = self
            .state
            .replace(&stale, &self.platform, Demand::Application);
        trace.of(refreshing).await
    }

    /// The postbox's id, which stays the same while the consent lasts.
    ///
    /// ```
    /// # fn example<C>(flow: &digime::Flow<C, digime::Authorized>) {
    /// println!("pushing to {}", flow.postbox_id());
    /// # }
    /// ```
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.destination.postbox_id()
    }

    /// The flow as serde data: its postbox, session and tokens. Another process can resume it.
    ///
    /// A refresh token works once. So only one of this flow and those resumed from it may refresh, or the others find their
    /// token spent. [`SharedTokens`](crate::store::SharedTokens) keeps tokens for many processes. A flow that is suspended while a
    /// refresh is running is marked, and does not send the token again when it is resumed. Save the flow again when
    /// [`refreshed_token`](Self::refreshed_token) gives the new token.
    ///
    /// ```
    /// use digime::{Authorized, Client, Error, Flow, OngoingContract, Suspended};
    ///
    /// fn to_json<C>(flow: &Flow<C, Authorized>) -> serde_json::Result<String> {
    ///     serde_json::to_string(&flow.suspend())
    /// }
    ///
    /// fn from_json<C: OngoingContract>(json: &str, contract: &C, client: &Client) -> Result<Flow<C, Authorized>, Box<dyn std::error::Error>> {
    ///     let suspended: Suspended<C, Authorized> = serde_json::from_str(json)?;
    ///     Ok(suspended.resume(contract, client)?)
    /// }
    /// ```
    pub fn suspend(&self) -> Suspended<C, Authorized> {
        Suspended::new(&self.platform.credentials, self.state.record())
    }

    /// The same flow with another way to refresh its tokens.
    pub(crate) fn refreshed_by(mut self, refresher: Arc<dyn Refresher>) -> Self {
        self.state.refresher = refresher;
        self
    }

    /// The code with which the platform has ended the consent, if it has.
    pub(crate) fn ended(&self) -> Option<String> {
        match self.state.tokens.get().refresh {
            RefreshToken::Ended { code } => Some(code),
            _ => None,
        }
    }

    /// Waits for a running refresh, so that the flow is suspended with the new tokens. Gives false if that takes longer than
    /// a call may.
    pub(crate) async fn settled(&self) -> bool {
        let timeout = self.platform.client.call_timeout();
        tokio::time::timeout(timeout, self.state.tokens.settled())
            .await
            .is_ok()
    }
}

/// The state as serde data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizedRecord {
    destination: DestinationRecord,
    pub tokens: Tokens,
}

impl AuthorizedRecord {
    pub fn postbox_id(&self) -> &str {
        self.destination.postbox_id()
    }
}

#[diagnostic::do_not_recommend]
impl Durable for Authorized {}

impl Resumable for Authorized {
    const NAME: &str = "Authorized";
    type Kind = super::contract::Ongoing;
    type Record = AuthorizedRecord;

    fn record(&self) -> AuthorizedRecord {
        let mut tokens = self.tokens.get();
        let is_replaced = |stale: Tokens| stale.access_token() == tokens.access_token();
        if tokens.refresh == RefreshToken::Unsent
            && self.tokens.being_replaced().is_some_and(is_replaced)
        {
            tokens.refresh = RefreshToken::Sent {
                by: "the flow that was suspended".into(),
            };
        }
        AuthorizedRecord {
            destination: self.destination.record(),
            tokens,
        }
    }

    fn from_record(record: AuthorizedRecord, _: &Platform) -> Result<Self, SuspendedError> {
        let destination =
            Destination::from_record(record.destination).map_err(|_| SuspendedError::Damaged)?;
        Ok(Self::new(destination, record.tokens))
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("postbox_id", &self.destination.postbox_id())
            .field("access_token_expires_at", &self.tokens.get().expires_at())
            .finish_non_exhaustive()
    }
}
