use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use super::destination::{Destination, DestinationRecord};
use super::renewable::Renewable;
use super::trace::Trace;
use super::{Flow, PushMany};
use crate::error::{Error, Internal};
use crate::platform::{AccessToken, Platform, Tokens};
use crate::postbox::{Delivery, DeliveryStatus, PostboxItem};
use crate::suspended::{Durable, Record, Suspended, SuspendedError};

/// How long before it expires a token is refreshed, in milliseconds: a push that the platform looks at after that is
/// uploaded for nothing.
const EXPIRES_SOON: u64 = 30_000;

/// The state of an ongoing contract's flow that has a postbox and an access token. Next: [`push`](Flow::push).
pub struct Authorized {
    destination: Destination,
    tokens: Arc<Renewable<Tokens>>,
    refresher: Arc<dyn Refresher>,
}

/// Gets tokens in place of stale ones. It is the seam at which a store of tokens comes in.
pub trait Refresher: Send + Sync {
    fn refresh<'a>(
        &'a self,
        platform: &'a Platform,
        stale: Tokens,
    ) -> BoxFuture<'a, Result<Tokens, Error>>;
}

/// Asks the platform, for a flow that nobody else has.
struct Alone;

impl Refresher for Alone {
    fn refresh<'a>(
        &'a self,
        platform: &'a Platform,
        stale: Tokens,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        Box::pin(async move { platform.refresh(&stale.refresh_token).await })
    }
}

impl Authorized {
    pub(super) fn new(destination: Destination, tokens: Tokens) -> Self {
        Self {
            destination,
            tokens: Arc::new(Renewable::new(tokens)),
            refresher: Arc::new(Alone),
        }
    }

    async fn push(&self, item: &PostboxItem, platform: &Platform) -> Result<Delivery, Error> {
        let token = self.current_token(platform).await?;
        let delivery = self.destination.push(platform, item, Some(&token)).await?;
        if delivery.status() == DeliveryStatus::Delivered {
            return Ok(delivery);
        }
        // With an access token in the request, pending means that the token had expired.
        item.check_readable(&item.sent_name()?)?;
        let token = self.replace(&token, platform).await?;
        self.destination.push(platform, item, Some(&token)).await
    }

    /// An access token that is good for a while, refreshed where it is not.
    async fn current_token(&self, platform: &Platform) -> Result<AccessToken, Error> {
        let soon = platform.client.now().saturating_add(EXPIRES_SOON);
        let has_expired = move |tokens: &Tokens| tokens.have_expired(soon);
        self.refreshed(platform, has_expired).await
    }

    /// A token in place of a stale one: the one that somebody else has got meanwhile, or a new one.
    async fn replace(
        &self,
        stale: &AccessToken,
        platform: &Platform,
    ) -> Result<AccessToken, Error> {
        let stale = stale.clone();
        let is_stale = move |tokens: &Tokens| tokens.access_token() == stale;
        self.refreshed(platform, is_stale).await
    }

    /// The token, refreshed first where it is stale. A refresh goes on where whoever waits for it is dropped: the platform
    /// takes a refresh token once, and what it gives for it must not be lost.
    async fn refreshed(
        &self,
        platform: &Platform,
        is_stale: impl Fn(&Tokens) -> bool + Send + Sync + 'static,
    ) -> Result<AccessToken, Error> {
        let current = self.tokens.get();
        if !is_stale(&current) {
            return Ok(current.access_token());
        }
        let (tokens, refresher) = (self.tokens.clone(), self.refresher.clone());
        let platform = platform.clone();
        let refreshing = async move {
            let refresh = |stale| refresher.refresh(&platform, stale);
            tokens.fresh(is_stale, refresh).await
        };
        let tokens = tokio::spawn(refreshing.in_current_span())
            .await
            .map_err(|_| Internal("refreshing the tokens"))??;
        Ok(tokens.access_token())
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
    /// # Errors
    /// [`Error::ConsentEnded`] when the user has to consent again, [`Error::Request`] when the platform was not reached
    /// or refused.
    pub async fn refresh(&self) -> Result<AccessToken, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "refresh");
        let stale = self.access_token();
        trace.of(self.state.replace(&stale, &self.platform)).await
    }

    /// The postbox's id.
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.destination.postbox_id()
    }

    /// The flow as serde data: its postbox, session and tokens, to go on with in another process.
    ///
    /// A refresh token is good for one refresh. So of this flow and those that are resumed one alone may refresh, or the
    /// others find their token spent; [`SharedTokens`](crate::SharedTokens) keeps tokens for many.
    pub fn suspend(&self) -> Suspended<C, Authorized> {
        let record = AuthorizedRecord {
            destination: self.state.destination.record(),
            tokens: self.state.tokens.get(),
        };
        Suspended::new(&self.platform.credentials, record)
    }

    /// The same flow, which gets its tokens from another place from now on.
    pub(crate) fn refreshed_by(mut self, refresher: Arc<dyn Refresher>) -> Self {
        self.state.refresher = refresher;
        self
    }
}

/// What is kept of the state while it is suspended.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuthorizedRecord {
    destination: DestinationRecord,
    pub tokens: Tokens,
}

#[diagnostic::do_not_recommend]
impl Durable for Authorized {}

impl Record for Authorized {
    const NAME: &str = "Authorized";
    type Kind = crate::Ongoing;
    type Record = AuthorizedRecord;

    fn from_record(record: AuthorizedRecord, _: &Platform) -> Result<Self, SuspendedError> {
        let destination = Destination::from_record(record.destination)?;
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
