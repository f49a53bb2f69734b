//! The tokens of a flow, and what a state needs so that its tokens are refreshed, kept and shared.
//!
//! Our own [`Authorized`](crate::Authorized) uses what is here as a library's state does.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::time::Instant;

use super::doubt::settle;
use super::received_consent::ReceivedConsent;
use super::refresh::{Demand, PlatformRefresher, Refresher};
use super::renewable::Renewable;
use super::{Flow, Rejected, Trace};
use crate::callback::{AuthorizationCode, Callback, CallbackError};
use crate::error::Error;
use crate::flow::contract::{Contract, FlowKind};
use crate::flow::suspended::{Durable, Parkable, Reaches, Suspended};
use crate::pkce::CodeVerifier;
use crate::platform::error::{Operation, Refusal};
use crate::platform::request::{Answer, Request};
use crate::platform::{AccessToken, Doubt, Platform, RefreshToken, TokenAnswer, Tokens};
use crate::store::error::StoreError;

/// How long before its expiry a token is refreshed, in milliseconds. An upload that ends after the expiry would be wasted.
const EXPIRES_SOON: u64 = 30_000;

/// The tokens that a user's consent has granted to a flow. Every state that has tokens holds a grant.
///
/// The access token is refreshed when it is needed, once for all calls. A refresh continues if its caller is dropped, since the
/// platform takes a refresh token once. [`SharedTokens`](crate::store::SharedTokens) shares the tokens between machines.
///
/// ```
/// use digime::error::Operation;
/// use digime::extend::ExtensionState;
/// use digime::request::{Answer, Request};
/// use digime::tokens::Grant;
/// use digime::{Error, Flow};
///
/// /// A library's state with tokens.
/// pub struct Connected {
///     grant: Grant,
/// }
///
/// impl ExtensionState for Connected {}
///
/// /// The accounts that the user has added. The access token is refreshed if the platform says that it has expired.
/// pub async fn accounts<C>(flow: &Flow<C, Connected>) -> Result<Answer, Error> {
///     let path = ["permission-access", "accounts"];
///     let list = Operation::custom("list the accounts");
///     let request = || Request::get(path, list).without_redirect_uri();
///     flow.as_state().grant.request(flow, request).await
/// }
/// ```
pub struct Grant {
    tokens: Arc<Renewable<Tokens>>,
    refresher: Arc<dyn Refresher>,
}

impl Grant {
    /// The grant of these tokens, whose refreshes are answered by an `A`.
    #[must_use]
    pub fn new<A: TokenAnswer>(tokens: Tokens) -> Self {
        Self {
            tokens: Renewable::new(tokens, Operation::RefreshToken),
            refresher: Arc::new(PlatformRefresher::<A>(PhantomData)),
        }
    }

    /// The current tokens, for a record. If they are being refreshed, the record says so, and a flow that is resumed from it does
    /// not send the refresh token automatically.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        let mut tokens = self.tokens.get();
        let is_replaced = |stale: Tokens| stale.access_token() == tokens.access_token();
        if tokens.refresh == RefreshToken::Unsent
            && self.tokens.being_replaced().is_some_and(is_replaced)
        {
            tokens.refresh = RefreshToken::Sent {
                by: "the flow that was suspended".into(),
            };
        }
        tokens
    }

    /// The current access token. A call may refresh it.
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        self.tokens.get().access_token()
    }

    /// The access token, refreshed first if it expires within thirty seconds. Many calls at once refresh it once.
    ///
    /// # Errors
    /// - [`Error::ConsentEnded`] if the user has to consent again.
    /// - [`Error::Request`] if the platform was not reached or refused.
    /// - [`Error::RefreshInDoubt`] if the refresh token may be spent.
    /// - [`Error::Store`] if the tokens are shared and the store failed.
    pub async fn valid_access_token<C, S>(&self, flow: &Flow<C, S>) -> Result<AccessToken, Error> {
        self.valid_token(&flow.platform).await
    }

    /// Refreshes the access token now (RFC 6749, section 6), as [`Flow::refresh`](crate::Flow::refresh) does.
    ///
    /// # Errors
    /// As [`valid_access_token`](Self::valid_access_token), but for `RefreshInDoubt`: a refresh token that may be spent is sent.
    pub async fn refresh<C, S>(&self, flow: &Flow<C, S>) -> Result<AccessToken, Error> {
        self.refresh_now(&flow.platform).await
    }

    /// Waits until the access token differs from `known`, and returns the new one.
    pub async fn refreshed_token(&self, known: &AccessToken) -> AccessToken {
        let is_new = |tokens: &Tokens| tokens.access_token() != *known;
        self.tokens.wait_for(is_new).await.access_token()
    }

    /// Sends a request with the access token, which is refreshed first if it expires soon. If the platform then says that the token
    /// has expired (401 `InvalidToken`, or a 401 without a code), it is refreshed and the request is sent once more.
    ///
    /// `request` makes the request, for the second time too.
    ///
    /// # Errors
    /// Those of [`valid_access_token`](Self::valid_access_token) and of [`Flow::request`](crate::Flow::request).
    /// [`Error::may_have_taken_effect`] covers both requests.
    pub async fn request<C, S>(
        &self,
        flow: &Flow<C, S>,
        request: impl Fn() -> Request,
    ) -> Result<Answer, Error> {
        let platform = &flow.platform;
        let doubt = Doubt::default();
        let send = async |token: &AccessToken| {
            let request = request().access_token(token);
            Ok(platform.request_with_doubt(&request, &doubt).await?)
        };
        let sending = async {
            let token = self.valid_token(platform).await?;
            match send(&token).await {
                Err(error) if is_about_the_token(&error) => {
                    let token = self.replace(&token, platform, Demand::Push).await?;
                    send(&token).await
                }
                answer => answer,
            }
        };
        settle(&doubt, sending.await)
    }

    pub(super) async fn refresh_now(&self, platform: &Platform) -> Result<AccessToken, Error> {
        let stale = self.access_token();
        self.replace(&stale, platform, Demand::Application).await
    }

    /// The token, refreshed first if it expires soon.
    pub(super) async fn valid_token(&self, platform: &Platform) -> Result<AccessToken, Error> {
        let soon = platform.client.platform_now().saturating_add(EXPIRES_SOON);
        let expires_soon = move |tokens: &Tokens| tokens.have_expired(soon);
        self.refreshed(platform, Demand::Push, expires_soon).await
    }

    /// A token that replaces a stale one: one that another caller has already got, or a new one.
    pub(super) async fn replace(
        &self,
        stale: &AccessToken,
        platform: &Platform,
        demand: Demand,
    ) -> Result<AccessToken, Error> {
        self.refreshed(platform, demand, |tokens| tokens.access_token() == *stale)
            .await
    }

    /// The token, refreshed first if it is stale. The refresh continues if this future is dropped or times out: the platform
    /// takes a refresh token once, and the tokens that it returns must not be lost.
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
        let fresh = self.tokens.fresh(&is_stale, demand.retry_after(), refresh);
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

/// Whether a request failed because the access token has expired.
fn is_about_the_token(error: &Error) -> bool {
    error
        .refusal()
        .is_some_and(Refusal::is_about_the_access_token)
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.get().fmt(f)
    }
}

/// A state that has tokens: [`Authorized`](crate::Authorized), or a state of a library.
///
/// The tokens of such a flow can be kept and shared by [`SharedTokens`](crate::store::SharedTokens).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state that has tokens",
    label = "only a flow with tokens can be kept by `SharedTokens`",
    note = "a flow has tokens once its code is exchanged: `let flow = awaiting.exchange_code(callback).await?;`"
)]
pub trait HoldsTokens: Durable<Record: Clone> + Send + Sync + 'static {
    /// How the platform answers a refresh.
    type Answer: TokenAnswer;

    /// Whether a store keeps the record when the consent has ended, so that the consent can be renewed. Otherwise the record is
    /// removed.
    const IS_RENEWED: bool = false;

    /// The tokens.
    fn grant(&self) -> &Grant;

    /// The tokens. A store sets how they are refreshed.
    fn grant_mut(&mut self) -> &mut Grant;

    /// The tokens in a record.
    fn tokens(record: &Self::Record) -> &Tokens;

    /// The tokens in a record, which a store replaces.
    fn tokens_mut(record: &mut Self::Record) -> &mut Tokens;

    /// What tells this consent of a user from others that were received at the same time.
    fn consent(record: &Self::Record) -> &str;
}

/// A state that waits for a callback with a code: [`AwaitingCallback<Verifier>`](crate::AwaitingCallback), or a state of a
/// library.
///
/// [`exchange_code`] exchanges the code, and [`SharedTokens::receive_callback`](crate::store::SharedTokens::receive_callback)
/// does so for a web application.
pub trait AwaitsCode: Parkable + Send + Sync + 'static {
    /// The state with the tokens.
    type Granted: HoldsTokens;

    /// The verifier that belongs to the code (RFC 7636, section 4.5).
    fn code_verifier(&self) -> &CodeVerifier;

    /// Checks that the callback is a valid answer to this flow. Its code is looked for afterwards.
    ///
    /// # Errors
    /// [`CallbackError`] says what is wrong with the callback.
    fn check(&self, callback: &Callback) -> Result<(), CallbackError>;

    /// The consent that is to be renewed. The new tokens take the place of its tokens, whatever the clocks say.
    fn renews(&self) -> Option<ReceivedConsent> {
        None
    }

    /// The state with the tokens for which the code of a callback was exchanged.
    ///
    /// # Errors
    /// An [`Error::extension`] if they are not the tokens that the flow waits for. Then nobody gets them, and
    /// [`Error::may_have_taken_effect`] is true, since the code is spent.
    fn granted(&self, callback: &Callback, tokens: Tokens) -> Result<Self::Granted, Error>;
}

/// A kind of contract whose flows get tokens from a callback with a code: [`Ongoing`](crate::kind::Ongoing), or a kind that a
/// library brings.
#[diagnostic::on_unimplemented(
    message = "contracts of the kind `{Self}` have no tokens",
    label = "its flows have no tokens that a store could share",
    note = "only a contract whose consent lasts has tokens, such as `#[digime_contract(ongoing)]`; keep the postbox of a one-off contract with `ReadyPostboxes`"
)]
pub trait TokenKind: FlowKind + Sized {
    /// The state that waits for the callback.
    type Awaiting: AwaitsCode<Granted = Self::Granted> + Durable<Kind = Self>;

    /// The state with the tokens.
    type Granted: HoldsTokens + Durable<Kind = Self>;
}

/// A contract whose flows get tokens. Every [`OngoingContract`](crate::OngoingContract) is one, and so is a contract of a
/// library's [`TokenKind`].
///
/// ```
/// use digime::store::{SharedTokens, Store};
/// use digime::tokens::TokenContract;
/// use digime::{Client, Error};
///
/// async fn is_connected<C: TokenContract>(
///     tokens: &SharedTokens<impl Store>,
///     contract: &C,
/// ) -> Result<bool, Error> {
///     Ok(tokens.connection("customer-42", contract).await?.is_some())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be a contract whose flows have tokens",
    label = "this contract's flows have no tokens that a store could share",
    note = "only a contract whose consent lasts has tokens, such as `#[digime_contract(ongoing)]`; generic code says `C: OngoingContract` or `C: TokenContract`; keep the postbox of a one-off contract with `ReadyPostboxes`"
)]
pub trait TokenContract:
    Contract<Kind: TokenKind<Awaiting = Self::Awaiting, Granted = Self::Granted>>
    + Reaches<Self::Awaiting>
    + Reaches<Self::Granted>
{
    /// The state that waits for the callback.
    type Awaiting: AwaitsCode<Granted = Self::Granted>;

    /// The state with the tokens.
    type Granted: HoldsTokens;
}

#[diagnostic::do_not_recommend]
impl<C, K> TokenContract for C
where
    C: Contract<Kind = K>,
    K: TokenKind,
{
    type Awaiting = K::Awaiting;
    type Granted = K::Granted;
}

/// Exchanges the code of a callback, with the flow's verifier, for tokens (RFC 7636, section 4.5): the call with which a library
/// leads from a state that [`AwaitsCode`] to the state with the tokens.
///
/// The exchange continues if this future is dropped or times out.
///
/// # Errors
/// [`Error::Callback`] if the callback is not a valid answer to this flow. [`Error::Request`] if the platform was not reached or
/// refused. [`Error::may_have_taken_effect`] is true if the code may be spent. [`Rejected`] gives the flow back.
pub async fn exchange_code<C, S: AwaitsCode>(
    flow: Flow<C, S>,
    callback: Callback,
) -> Result<Flow<C, S::Granted>, Rejected<Flow<C, S>>> {
    match flow.redeem(&callback).await {
        Ok(granted) => Ok(flow.with_state(granted)),
        Err(error) => Err(Rejected::new(flow, error)),
    }
}

/// Refreshes the tokens of a flow in any state that has them, as [`Flow::refresh`](crate::Flow::refresh) does.
///
/// # Errors
/// As [`Flow::refresh`](crate::Flow::refresh).
pub async fn refresh<C, S: HoldsTokens>(flow: &Flow<C, S>) -> Result<AccessToken, Error> {
    let trace = Trace::of_flow(flow, S::NAME, "refresh");
    trace
        .of(flow.state.grant().refresh_now(&flow.platform))
        .await
}

impl<C, S: AwaitsCode> Flow<C, S> {
    /// Exchanges the code within `call_timeout`.
    pub(super) async fn redeem(&self, callback: &Callback) -> Result<S::Granted, Error> {
        let timeout = self.platform.client.call_timeout();
        let deadline = Instant::now().checked_add(timeout);
        tokio::time::timeout(timeout, self.redeem_without_limit(callback, deadline))
            .await
            .unwrap_or_else(|_| Err(Error::answer_lost(Operation::ExchangeCode, "timed out")))
    }

    async fn redeem_without_limit(
        &self,
        callback: &Callback,
        deadline: Option<Instant>,
    ) -> Result<S::Granted, Error> {
        let code = self.check(callback)?;
        let verifier = self.state.code_verifier();
        let tokens = self
            .platform
            .exchange_code::<<S::Granted as HoldsTokens>::Answer>(code, verifier, deadline)
            .await?;
        let granted = self.state.granted(callback, tokens);
        granted.map_err(Error::after_the_effect)
    }

    /// Exchanges the code as [`exchange_code`] does, but without the limit of `call_timeout`: it waits as long as an answer may
    /// come. It is not tried again after the deadline.
    pub(crate) async fn redeem_in_full(
        self,
        callback: &Callback,
        deadline: Option<Instant>,
    ) -> Result<Flow<C, S::Granted>, Error> {
        let granted = self.redeem_without_limit(callback, deadline).await?;
        Ok(self.with_state(granted))
    }

    /// The consent that is to be renewed.
    pub(crate) fn renews(&self) -> Option<ReceivedConsent> {
        self.state.renews()
    }

    /// The code of a callback that is a valid answer to this flow.
    pub(crate) fn check<'a>(
        &self,
        callback: &'a Callback,
    ) -> Result<&'a AuthorizationCode, CallbackError> {
        self.state.check(callback)?;
        callback
            .code
            .as_ref()
            .filter(|code| !code.expose().is_empty())
            .ok_or(CallbackError::Missing("code"))
    }
}

impl<C, S: HoldsTokens> Flow<C, S> {
    /// What is kept of the flow.
    pub(crate) fn suspended(&self) -> Suspended<C, S> {
        Suspended::new(&self.platform.credentials, self.state.record())
    }

    /// The same flow with another refresher.
    pub(crate) fn refreshed_by(mut self, refresher: Arc<dyn Refresher>) -> Self {
        self.state.grant_mut().refresher = refresher;
        self
    }

    /// The code with which the platform ended the consent, if it did.
    pub(crate) fn ended(&self) -> Option<String> {
        self.state.grant().tokens.get().ended().map(str::to_owned)
    }

    /// Waits for a running refresh, so that the flow is suspended with its new tokens. False if the refresh takes longer than
    /// `call_timeout`.
    pub(crate) async fn settled(&self) -> bool {
        let timeout = self.platform.client.call_timeout();
        tokio::time::timeout(timeout, self.state.grant().tokens.settled())
            .await
            .is_ok()
    }
}
