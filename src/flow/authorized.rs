use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::destination::{Destination, DestinationRecord};
use super::doubt::settle;
use super::grant::{Grant, HoldsTokens};
use super::refresh::Demand;
use super::trace::Trace;
use super::{Flow, PushMany};
use crate::error::Error;
use crate::flow::suspended::{Durable, Resuming, Suspended, SuspendedError};
use crate::platform::{AccessToken, Doubt, Platform, PostboxTokens, Tokens};
use crate::postbox::{Delivery, DeliveryStatus, PostboxItem, PreparedItem};

/// The state of an ongoing contract's flow that has a postbox and an access token.
///
/// What can be done next, in any order and as often as wanted:
///
/// - [`push`](Flow::push) an item, or [`push_many`](Flow::push_many). The access token is refreshed when needed.
/// - [`refresh`](Flow::refresh) the access token now. [`refreshed_token`](Flow::refreshed_token) waits for a new one.
/// - Keep the flow for later: [`suspend`](Flow::suspend) it, or share its tokens between machines with
///   [`SharedTokens`](crate::store::SharedTokens).
///
/// ```
/// # use digime::{Authorized, Error, Flow, OngoingContract, PostboxItem};
/// # async fn run<C: OngoingContract>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
/// authorized.push(PostboxItem::file("march.pdf")).await?;
/// authorized.push(PostboxItem::file("april.pdf")).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the next step is `authorized.push(item).await?`"]
pub struct Authorized {
    destination: Destination,
    grant: Grant,
}

impl Authorized {
    pub(super) fn new(destination: Destination, tokens: Tokens) -> Self {
        Self {
            destination,
            grant: Grant::new::<PostboxTokens>(tokens),
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
        let token = self.grant.valid_token(platform).await?;
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
        let token = self.grant.replace(&token, platform, Demand::Push).await?;
        push(&token).await
    }
}

impl<C> Flow<C, Authorized> {
    /// Pushes an item into the user's digi.me, encrypted so that only the user can open it. Many pushes can run at once. If
    /// the access token has expired, it is refreshed once for all of them.
    ///
    /// Each attempt reads and seals the item again. A transient failure is retried if the item can be read again. If the
    /// answer to an attempt was lost, the item may arrive twice.
    ///
    /// ```
    /// # use digime::{Authorized, Error, Flow, OngoingContract, PostboxItem};
    /// # async fn run<C: OngoingContract>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
    /// let delivery = authorized.push(PostboxItem::file("receipt.pdf").tag("receipt")).await?;
    /// println!("{:?}", delivery.status());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Item`] if the item can't be read or sent.
    /// - [`Error::Request`] if the platform was not reached or refused.
    /// - [`Error::EarlierAttempt`] if the last attempt failed without effect, but an earlier one may have delivered the item.
    /// - [`Error::ConsentEnded`] if the user has to consent again.
    /// - [`Error::RefreshInDoubt`] if the access token has expired and the refresh token may be spent.
    /// - [`Error::Store`] if the tokens are shared and the store failed.
    ///
    /// [`Error::may_have_taken_effect`] says whether the item may have been delivered.
    #[doc(alias = "pushDataToPostbox")]
    pub async fn push(&self, item: PostboxItem) -> Result<Delivery, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "push");
        trace.of(self.state.push(item, &self.platform)).await
    }

    /// Pushes many items, some at a time, and yields the results as they come.
    ///
    /// ```
    /// # use digime::{Authorized, Error, Flow, OngoingContract, PostboxItem};
    /// use futures_util::StreamExt;
    ///
    /// # async fn run<C: OngoingContract>(authorized: Flow<C, Authorized>) {
    /// let items = ["march.pdf", "april.pdf"].map(PostboxItem::file);
    /// let mut results = authorized.push_many(items);
    /// while let Some(pushed) = results.next().await {
    ///     println!("{pushed:?}");
    /// }
    /// # }
    /// ```
    pub fn push_many<'a>(
        &'a self,
        items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'a>,
    ) -> PushMany<'a> {
        PushMany::new(items, |item| Box::pin(self.push(item)))
    }

    /// The current access token. A push may refresh it.
    ///
    /// ```
    /// # use digime::{Authorized, Error, Flow, OngoingContract};
    /// # async fn run<C: OngoingContract>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
    /// let before = authorized.access_token();
    /// let after = authorized.refresh().await?;
    /// assert!(before != after);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        self.state.grant.access_token()
    }

    /// The access token, refreshed first if it expires within thirty seconds. Many calls at once refresh it once. This is for
    /// [requests](crate::request::Request) that a library adds; a push does it by itself.
    ///
    /// ```
    /// # use digime::{Authorized, Error, Flow};
    /// # use digime::{error::Operation, request::Request};
    /// # async fn run<C>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
    /// let request = Request::get(["storage"], Operation::custom("find the user's storage"))
    ///     .access_token(&authorized.valid_access_token().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::ConsentEnded`] if the user has to consent again.
    /// - [`Error::Request`] if the platform was not reached or refused.
    /// - [`Error::RefreshInDoubt`] if the refresh token may be spent.
    /// - [`Error::Store`] if the tokens are shared and the store failed.
    pub async fn valid_access_token(&self) -> Result<AccessToken, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "valid_access_token");
        trace.of(self.state.grant.valid_token(&self.platform)).await
    }

    /// An access token in place of a stale one: one that the platform has just refused although it had not expired. Many calls
    /// at once refresh it once. If it was replaced before, nothing is sent. This is for
    /// [requests](crate::request::Request) that a library adds; a push does it by itself.
    ///
    /// ```
    /// # use digime::{AccessToken, Authorized, Error, Flow};
    /// # use digime::{error::{Operation, RequestError}, request::{Answer, Request}};
    /// async fn storage<C>(authorized: &Flow<C, Authorized>) -> Result<Answer, Error> {
    ///     let request = |token: &AccessToken| {
    ///         let operation = Operation::custom("find the user's storage");
    ///         Request::get(["storage"], operation).access_token(token)
    ///     };
    ///     let token = authorized.valid_access_token().await?;
    ///     match authorized.request(request(&token)).await {
    ///         Err(Error::Request(RequestError::Refused { refusal, .. })) if refusal.status == 401 => {
    ///             let token = authorized.replace_access_token(&token).await?;
    ///             authorized.request(request(&token)).await
    ///         }
    ///         answer => answer,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error`] as [`valid_access_token`](Self::valid_access_token) has.
    pub async fn replace_access_token(&self, stale: &AccessToken) -> Result<AccessToken, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "replace_access_token");
        let grant = &self.state.grant;
        let replacing = grant.replace(stale, &self.platform, Demand::Push);
        trace.of(replacing).await
    }

    /// Waits until the access token differs from `known`, and returns the new one.
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
        self.state.grant.refreshed_token(known).await
    }

    /// When the access token expires, by the platform's clock.
    ///
    /// ```
    /// # use digime::{Authorized, Flow};
    /// # fn run<C>(authorized: &Flow<C, Authorized>) {
    /// let time_left = authorized.access_token_expires_at().duration_since(std::time::SystemTime::now());
    /// # }
    /// ```
    #[must_use]
    pub fn access_token_expires_at(&self) -> SystemTime {
        self.state.grant.tokens().access_token_expires_at()
    }

    /// Refreshes the access token now (RFC 6749, section 6). A push refreshes it automatically when needed.
    ///
    /// If the answer to a refresh was lost, its refresh token may be spent. A push does not send such a token: it fails with
    /// [`Error::RefreshInDoubt`]. This call does send it, because the application asks for it explicitly. It either brings
    /// new tokens or shows that the refresh token was spent. If a push is already refreshing the token, this call waits for
    /// that refresh, and sends the token only if the push left the decision to the application.
    ///
    /// ```
    /// # use digime::{Authorized, Error, Flow, OngoingContract, PostboxItem};
    /// # async fn run<C: OngoingContract>(authorized: Flow<C, Authorized>, receipt: PostboxItem) -> Result<(), Error> {
    /// match authorized.push(receipt).await {
    ///     Err(error) if matches!(error.reason(), Error::RefreshInDoubt) => drop(authorized.refresh().await?),
    ///     other => drop(other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::ConsentEnded`] if the user has to consent again.
    /// - [`Error::Request`] if the platform was not reached or refused.
    /// - [`Error::Store`] if the tokens are shared, and the store failed or another machine is still refreshing them.
    pub async fn refresh(&self) -> Result<AccessToken, Error> {
        let trace = Trace::new(&self.platform, Authorized::NAME, "refresh");
        trace.of(self.state.grant.refresh_now(&self.platform)).await
    }

    /// The id of the postbox.
    ///
    /// ```
    /// # use digime::{Authorized, Flow};
    /// # fn run<C>(authorized: &Flow<C, Authorized>) {
    /// println!("pushing to {}", authorized.postbox_id());
    /// # }
    /// ```
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.destination.postbox_id()
    }

    /// Copies the flow as serde data: its postbox, session and tokens, to be resumed in another process.
    ///
    /// A refresh token can be used once. So only one of this flow and its resumed copies may refresh; the others would find
    /// their token spent. [`SharedTokens`](crate::store::SharedTokens) shares tokens between many. A copy that is made
    /// during a refresh is marked, and a flow that is resumed from it does not send the refresh token automatically. Save the
    /// flow again when [`refreshed_token`](Self::refreshed_token) returns the new token.
    ///
    /// ```
    /// # use digime::{Authorized, Flow};
    /// # fn run<C>(authorized: &Flow<C, Authorized>) -> serde_json::Result<()> {
    /// let secret_json = serde_json::to_string(&authorized.suspend())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn suspend(&self) -> Suspended<C, Authorized> {
        Suspended::new(&self.platform.credentials, self.state.record())
    }
}

/// The data of the state while it is suspended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct AuthorizedRecord {
    destination: DestinationRecord,
    tokens: Tokens,
}

#[diagnostic::do_not_recommend]
impl Durable for Authorized {
    const NAME: &str = "Authorized";
    type Kind = super::contract::Ongoing;
    type Record = AuthorizedRecord;

    fn record(&self) -> AuthorizedRecord {
        AuthorizedRecord {
            destination: self.destination.record(),
            tokens: self.grant.tokens(),
        }
    }

    fn from_record(record: AuthorizedRecord, _: &Resuming<'_>) -> Result<Self, SuspendedError> {
        let destination =
            Destination::from_record(record.destination).map_err(|_| SuspendedError::Damaged)?;
        Ok(Self::new(destination, record.tokens))
    }
}

impl HoldsTokens for Authorized {
    type Answer = PostboxTokens;

    fn grant(&self) -> &Grant {
        &self.grant
    }

    fn grant_mut(&mut self) -> &mut Grant {
        &mut self.grant
    }

    fn tokens(record: &AuthorizedRecord) -> &Tokens {
        &record.tokens
    }

    fn tokens_mut(record: &mut AuthorizedRecord) -> &mut Tokens {
        &mut record.tokens
    }

    /// Each consent makes another postbox.
    fn consent(record: &AuthorizedRecord) -> &str {
        record.destination.postbox_id()
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("postbox_id", &self.destination.postbox_id())
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::marker::PhantomData;
    use std::time::Duration;

    use async_trait::async_trait;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::contract::SignerError;
    use crate::flow::contract::Contract;
    use crate::flow::refresh::{PlatformRefresher, Refresher};
    use crate::flow::renewable::Renewable;
    use crate::platform::scripted;
    use crate::{ApplicationId, ContractId, RedirectUri, Signer, digime_contract};

    /// A signer that never answers.
    #[derive(Clone, Debug)]
    struct Hangs;

    #[async_trait]
    impl Signer for Hangs {
        fn key_id(&self) -> &'static str {
            "hangs"
        }

        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> {
            pending().await
        }
    }

    #[digime_contract(ongoing)]
    struct Unsigned {
        application_id: ApplicationId,
        contract_id: ContractId,
        private_key: Hangs,
        redirect_uri: RedirectUri,
    }

    /// Refreshes as a store does that takes a while.
    struct SlowStore(Duration);

    impl Refresher for SlowStore {
        fn refresh(
            &self,
            platform: Platform,
            held: Arc<Renewable<Tokens>>,
            demand: Demand,
        ) -> BoxFuture<'static, Result<Tokens, Error>> {
            let pause = tokio::time::sleep(self.0);
            pause
                .then(move |()| {
                    PlatformRefresher::<PostboxTokens>(PhantomData).refresh(platform, held, demand)
                })
                .boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_that_waits_for_a_store_and_then_for_a_signer_has_sent_nothing() {
        let client = scripted::client(scripted::good).build().expect("a client");
        let signed = scripted::receipts();
        let flow = signed.flow(&client);
        let session = flow.establish_session().await.expect("a session");
        let awaiting = flow.create_postbox(session).await.expect("a link");
        let callback = scripted::callback(awaiting.state(), "p");
        let authorized = awaiting.exchange_code(callback).await.expect("tokens");

        let unsigned = Unsigned {
            application_id: signed.application_id().clone(),
            contract_id: signed.contract_id().clone(),
            private_key: Hangs,
            redirect_uri: signed.redirect_uri().clone(),
        };
        let row = authorized.suspend().to_json().expect("text");
        let copy = Suspended::<Unsigned, Authorized>::from_json(&row).expect("the flow");
        let flow = copy.resume(&unsigned, &client).expect("the flow");
        let flow = flow.refreshed_by(Arc::new(SlowStore(Duration::from_secs(10))));
        let error = flow.refresh().await.expect_err("no signature");
        assert!(!error.may_have_taken_effect(), "{error}");
    }
}
