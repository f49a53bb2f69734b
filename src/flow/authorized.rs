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
use crate::flow::suspended::{Durable, Record, Suspended, SuspendedError};
use crate::platform::error::Operation;
use crate::platform::{AccessToken, Doubt, Platform, RefreshToken, Tokens};
use crate::postbox::{Delivery, DeliveryStatus, PostboxItem};
use crate::store::error::StoreError;

/// How long before it expires a token is refreshed, in milliseconds: a push that the platform looks at after that is
/// uploaded for nothing.
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

    async fn push(&self, item: &PostboxItem, platform: &Platform) -> Result<Delivery, Error> {
        let doubt = Doubt::default();
        let delivery = self.push_with_doubt(item, platform, &doubt).await;
        settle(&doubt, delivery)
    }

    async fn push_with_doubt(
        &self,
        item: &PostboxItem,
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
        // With an access token in the request, pending means that the token had expired.
        item.check_readable(&item.sent_name()?)?;
        push(&self.replace(&token, platform, Demand::Push).await?).await
    }

    /// A token in place of a stale one: the one that somebody else has got meanwhile, or a new one.
    async fn replace(
        &self,
        stale: &AccessToken,
        platform: &Platform,
        demand: Demand,
    ) -> Result<AccessToken, Error> {
        self.refreshed(platform, demand, |tokens| tokens.access_token() == *stale)
            .await
    }

    /// The token, refreshed first if it is stale. A refresh goes on when this future is dropped, or when its time is
    /// over: the platform takes a refresh token once, and what it gives for it must not be lost.
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

    /// Why a refresh has not ended in time.
    fn overdue(&self) -> Error {
        match self.tokens.get().refresh {
            RefreshToken::Unsent => StoreError::Busy.into(),
            _ => Error::answer_lost(Operation::RefreshToken, "timed out"),
        }
    }
}

impl<C> Flow<C, Authorized> {
    /// Pushes an item into the user's digi.me, sealed so that only the user can open it. Many pushes can go on at a
    /// time; an access token that has expired is refreshed, once for all of them.
    ///
    /// What may pass is tried again, and the item read again for it. Where an answer was lost, the item may arrive
    /// twice.
    ///
    /// # Errors
    /// [`Error::Item`] when the item can't be read, [`Error::Request`] when the platform was not reached or refused;
    /// [`Error::may_have_taken_effect`] says whether it may have been delivered all the same. [`Error::ConsentEnded`]
    /// when the user has to consent again.
    pub async fn push(&self, item: PostboxItem) -> Result<Delivery, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "push");
        trace.of(self.state.push(&item, &self.platform)).await
    }

    /// Pushes many items, some at a time, and gives the results as they come.
    pub fn push_many<'a>(
        &'a self,
        items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'a>,
    ) -> PushMany<'a> {
        PushMany::new(items, |item| Box::pin(self.push(item)))
    }

    /// The access token as it is now; a push may refresh it.
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        self.state.tokens.get().access_token()
    }

    /// Waits until the access token is another than the one that is known, and gives it.
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

    /// When the access token expires.
    #[must_use]
    pub fn access_token_expires_at(&self) -> SystemTime {
        self.state.tokens.get().expires_at()
    }

    /// Refreshes the access token now (RFC 6749, section 6). A push does it by itself when it must.
    ///
    /// A push never sends a refresh token whose earlier answer was lost: it fails with [`Error::RefreshInDoubt`]. This
    /// call sends it all the same, since the application asks for it by name: it either brings new tokens, or shows that
    /// the token was spent. Where a push is refreshing the token already, this call waits for it, and sends the token only if
    /// the push had to leave that to the application.
    ///
    /// # Errors
    /// [`Error::ConsentEnded`] when the user has to consent again, [`Error::Request`] when the platform was not reached
    /// or refused, [`Error::Store`] when the tokens are shared and the store failed.
    pub async fn refresh(&self) -> Result<AccessToken, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "refresh");
        let stale = self.access_token();
        let refreshing = self
            .state
            .replace(&stale, &self.platform, Demand::Application);
        trace.of(refreshing).await
    }

    /// The postbox's id.
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.destination.postbox_id()
    }

    /// The flow as serde data: its postbox, session and tokens, to go on with in another process.
    ///
    /// A refresh token is good for one refresh. So of this flow and those that are resumed one alone may refresh, or the
    /// others find their token spent; [`SharedTokens`](crate::store::SharedTokens) keeps tokens for many. While a refresh is
    /// running, what is suspended is marked: a flow that is resumed from it does not send the token again by itself. Save
    /// the flow again when [`refreshed_token`](Self::refreshed_token) gives the new token.
    pub fn suspend(&self) -> Suspended<C, Authorized> {
        Suspended::new(&self.platform.credentials, self.state.record())
    }

    /// The same flow, which gets its tokens from another place from now on.
    pub(crate) fn refreshed_by(mut self, refresher: Arc<dyn Refresher>) -> Self {
        self.state.refresher = refresher;
        self
    }

    /// With which code the platform has ended the consent, where it has.
    pub(crate) fn ended(&self) -> Option<String> {
        match self.state.tokens.get().refresh {
            RefreshToken::Ended { code } => Some(code),
            _ => None,
        }
    }

    /// Waits for a refresh that is running, so that the flow is suspended with what it brings. False where it takes longer
    /// than a call may.
    pub(crate) async fn settled(&self) -> bool {
        let timeout = self.platform.client.call_timeout();
        tokio::time::timeout(timeout, self.state.tokens.settled())
            .await
            .is_ok()
    }
}

/// What is kept of the state while it is suspended.
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

impl Record for Authorized {
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
