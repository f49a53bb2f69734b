use std::fmt;
use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::destination::Destination;
use super::grant::AwaitsCode;
use super::trace::Trace;
use super::verifier::{MaybeVerifier, NoVerifier, Verifier};
use super::{Authorized, Flow, PostboxReady, Rejected};
use crate::callback::{Callback, CallbackError};
use crate::error::Error;
use crate::flow::suspended::{Durable, Parkable, Resuming, Suspended, SuspendedError};
use crate::internal::InternalError;
use crate::link::{self, Consent, ConsentRequest, SDK_VERSION};
use crate::pkce::CodeVerifier;
use crate::platform::session::SessionData;
use crate::platform::{Platform, Tokens};
use crate::postbox::{Postbox, PostboxError};

/// The state of a flow that waits for the user's client to call back. `V` is [`Verifier`] for an ongoing contract, and
/// [`NoVerifier`] for a one-off one.
///
/// What comes next, in order:
///
/// 1. Send the user to [`url`](Flow::url).
/// 2. If the callback comes in another HTTP request, keep the flow until then: [`suspend`](Flow::suspend) it and park it with
///    [`ParkedFlows`](crate::store::ParkedFlows).
/// 3. Take the [`Callback`]: [`receive_postbox`](Flow::receive_postbox) for a one-off contract leads to [`PostboxReady`],
///    and [`exchange_code`](Flow::exchange_code) for an ongoing one leads to [`Authorized`].
///
/// ```
/// # use digime::{AwaitingCallback, Callback, Error, Flow, OngoingContract, Verifier};
/// # async fn run<C: OngoingContract>(
/// #     awaiting: Flow<C, AwaitingCallback<Verifier>>, called: String,
/// # ) -> Result<(), Error> {
/// println!("open {}", awaiting.url());
/// let callback = Callback::from_url(called)?;
/// let authorized = awaiting.exchange_code(callback).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the next step is to send the user to `awaiting.url()` and to take the callback"]
pub struct AwaitingCallback<V> {
    links: Links,
    state: String,
    session: SessionData,
    verifier: V,
}

struct Links {
    create_postbox: Url,
    consent_access: Url,
    guest: Url,
}

impl<V: MaybeVerifier> AwaitingCallback<V> {
    pub(super) fn new(
        platform: &Platform,
        session: SessionData,
        state: String,
        verifier: V,
    ) -> Result<Self, InternalError> {
        let callback_url = V::callback_url(&platform.credentials.redirect_uri, &state);
        let consent = Consent {
            preauthorization_code: verifier.preauthorization_code(),
            callback_url: &callback_url,
            session_key: session.key.expose_secret(),
            application_id: platform.credentials.application_id.as_str(),
            sdk_version: SDK_VERSION,
        };
        let exchange_token = session.exchange_token.expose_secret();
        let links = Links {
            create_postbox: consent.link(ConsentRequest::CreatePostbox),
            consent_access: consent.link(ConsentRequest::ConsentAccess),
            guest: link::guest(platform.client.base_url(), exchange_token, &callback_url)?,
        };
        Ok(Self {
            links,
            state,
            session,
            verifier,
        })
    }
}

impl<V> AwaitingCallback<V> {
    /// The postbox of a callback, if the callback is a valid answer to this flow.
    fn accept(&self, callback: &Callback) -> Result<Postbox, CallbackError> {
        if let Some(state) = &callback.state
            && verify_slices_are_equal(state.as_bytes(), self.state.as_bytes()).is_err()
        {
            return Err(CallbackError::AnotherFlow);
        }
        match callback.result.as_deref() {
            Some("SUCCESS" | "POSTBOX_READY") => {}
            Some("CANCEL") => return Err(CallbackError::Cancelled),
            Some("ERROR") => return Err(CallbackError::Failed),
            Some(_) => return Err(CallbackError::UnknownResult),
            None => return Err(CallbackError::Missing("result")),
        }
        present(callback.state.as_deref(), "state")?;
        let id = present(callback.postbox_id.as_deref(), "postboxId")?;
        let public_key = present(callback.public_key.as_deref(), "publicKey")?;
        Postbox::new(id.to_owned(), public_key).map_err(|invalid| match invalid {
            PostboxError::Id => CallbackError::PostboxId,
            PostboxError::PublicKey => CallbackError::PublicKey,
        })
    }
}

fn present<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str, CallbackError> {
    value
        .filter(|value| !value.is_empty())
        .ok_or(CallbackError::Missing(name))
}

impl<C, V> Flow<C, AwaitingCallback<V>> {
    /// The link to send the user to: `digime://postbox/create?…`. It opens the user's digi.me client, which asks for
    /// consent and calls back.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Flow};
    /// # fn run<C, V>(awaiting: &Flow<C, AwaitingCallback<V>>) {
    /// println!("<a href=\"{}\">Connect digi.me</a>", awaiting.url());
    /// # }
    /// ```
    #[doc(alias = "getCreatePostboxUrl")]
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.state.links.create_postbox
    }

    /// The link that asks for a private share instead, which lets the application read data: `digime://consent-access?…`.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Flow};
    /// # fn run<C, V>(awaiting: &Flow<C, AwaitingCallback<V>>) {
    /// assert_eq!(awaiting.consent_access_url().host_str(), Some("consent-access"));
    /// # }
    /// ```
    #[doc(alias = "getAuthorizeUrl")]
    #[doc(alias = "getPrivateShareConsentUrl")]
    #[must_use]
    pub fn consent_access_url(&self) -> &Url {
        &self.state.links.consent_access
    }

    /// The page on which a user without a digi.me client consents in a browser, as a guest.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Flow};
    /// # fn run<C, V>(awaiting: &Flow<C, AwaitingCallback<V>>) {
    /// println!("no digi.me yet? open {}", awaiting.guest_url());
    /// # }
    /// ```
    #[doc(alias = "getGuestAuthorizeUrl")]
    #[doc(alias = "getPrivateShareAsGuestUrl")]
    #[must_use]
    pub fn guest_url(&self) -> &Url {
        &self.state.links.guest
    }

    /// The `state` of the callback that belongs to this flow. The application finds the flow again by it. It can't be
    /// guessed.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Callback, Flow};
    /// # fn run<C, V>(awaiting: &Flow<C, AwaitingCallback<V>>, callback: &Callback) {
    /// let is_for_this_flow = callback.state() == Some(awaiting.state());
    /// # }
    /// ```
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state.state
    }

    /// Turns the flow into serde data, to be resumed when the callback comes, in another request or on another machine.
    ///
    /// The data holds the session and the verifier, and nothing of the contract's private key. Read [`url`](Flow::url)
    /// before you suspend the flow. [`ParkedFlows`](crate::store::ParkedFlows) keeps the data under its `state` and gives it
    /// out once. [`Suspended::seal`] turns it into a string for a cookie.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Error, Flow, OngoingContract, Verifier};
    /// use digime::store::{ParkedFlows, Store};
    ///
    /// # async fn run<C: OngoingContract>(
    /// #     awaiting: Flow<C, AwaitingCallback<Verifier>>, flows: ParkedFlows<impl Store>, customer: String,
    /// # ) -> Result<(), Error> {
    /// let link = awaiting.url().to_string();
    /// flows.park(awaiting.suspend().with(customer)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Code that is generic over `V` needs the bound `AwaitingCallback<V>: Durable`.
    pub fn suspend(self) -> Suspended<C, AwaitingCallback<V>>
    where
        AwaitingCallback<V>: Durable,
    {
        let time_left = self.state.session.time_left(&self.platform.client);
        Suspended::new(&self.platform.credentials, self.state.record()).ending_in(time_left)
    }
}

/// The data of the state while it is suspended.
#[derive(Debug, Serialize, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct WaitingRecord<R> {
    state: String,
    session: SessionData,
    verifier: R,
}

#[diagnostic::do_not_recommend]
impl<V: MaybeVerifier> Durable for AwaitingCallback<V> {
    const NAME: &str = V::STATE;
    type Kind = V::Kind;
    type Record = WaitingRecord<V::Record>;

    fn record(&self) -> WaitingRecord<V::Record> {
        WaitingRecord {
            state: self.state.clone(),
            session: self.session.clone(),
            verifier: self.verifier.record(),
        }
    }

    fn from_record(
        record: WaitingRecord<V::Record>,
        resuming: &Resuming<'_>,
    ) -> Result<Self, SuspendedError> {
        let verifier = V::from_record(record.verifier);
        let platform = resuming.platform();
        let mut session = record.session;
        if resuming.was_waiting() {
            // If the flow is parked again, it does not expire at once on a machine whose clock is ahead.
            session.ends = Some(platform.client.end_of_unended(session.expiry));
        }
        Self::new(platform, session, record.state, verifier).map_err(|_| SuspendedError::Damaged)
    }

    fn expires_at(record: &WaitingRecord<V::Record>) -> Option<SystemTime> {
        Some(record.session.expires_at())
    }
}

#[diagnostic::do_not_recommend]
impl<V: MaybeVerifier> Parkable for AwaitingCallback<V> {
    const IS_CALLED_BACK: bool = true;

    fn parking_key(record: &WaitingRecord<V::Record>) -> &str {
        &record.state
    }
}

impl<C> Flow<C, AwaitingCallback<NoVerifier>> {
    /// Takes the postbox from the callback. Nothing is sent.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Callback, Error, Flow, NoVerifier, OnceContract, PostboxItem};
    /// # async fn run<C: OnceContract>(
    /// #     awaiting: Flow<C, AwaitingCallback<NoVerifier>>, called: String,
    /// # ) -> Result<(), Error> {
    /// let ready = awaiting.receive_postbox(Callback::from_url(called)?)?;
    /// let delivery = ready.push(PostboxItem::file("welcome.pdf")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Callback`] says what is wrong with the callback. [`Rejected`] gives the flow back, which can still take the
    /// right callback.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a callback is taken once, as `exchange_code` takes it"
    )]
    pub fn receive_postbox(
        self,
        callback: Callback,
    ) -> Result<Flow<C, PostboxReady>, Rejected<Self>> {
        let trace = Trace::new(&self.platform, NoVerifier::STATE, "receive_postbox");
        match trace.end(self.state.accept(&callback)) {
            Ok(postbox) => {
                let destination = Destination::new(postbox, self.state.session.clone());
                Ok(self.with_state(PostboxReady::new(destination)))
            }
            Err(error) => Err(Rejected::new(self, error)),
        }
    }
}

impl<C> Flow<C, AwaitingCallback<Verifier>> {
    /// Exchanges the callback's code, with the flow's verifier, for an access token (RFC 7636, section 4.5).
    ///
    /// A code can be exchanged once. The library sends it again only if the platform can't have used it.
    ///
    /// The exchange continues if this future is dropped or times out. If this process resumes the flow from a copy and calls
    /// `exchange_code` with the same callback, it gets the result of that exchange. In a web application,
    /// [`SharedTokens::receive_callback`](crate::store::SharedTokens::receive_callback) keeps the result for all machines.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Callback, Error, Flow, OngoingContract, Verifier};
    /// # async fn run<C: OngoingContract>(
    /// #     awaiting: Flow<C, AwaitingCallback<Verifier>>, called: String,
    /// # ) -> Result<(), Error> {
    /// let authorized = awaiting.exchange_code(Callback::from_url(called)?).await?;
    /// println!("connected until {:?}", authorized.access_token_expires_at());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Callback`] if the callback is not a valid answer to this flow. Nothing was sent.
    /// - [`Error::Request`] if the platform was not reached or refused. [`Error::may_have_taken_effect`] is true if the code
    ///   may be spent, because the answer was lost.
    ///
    /// [`Rejected`] gives the flow back, verifier included, so the call can be tried again.
    #[doc(alias = "exchangeCodeForToken")]
    pub async fn exchange_code(
        self,
        callback: Callback,
    ) -> Result<Flow<C, Authorized>, Rejected<Self>> {
        let trace = Trace::new(&self.platform, Verifier::STATE, "exchange_code");
        match trace.of(self.redeem(&callback)).await {
            Ok(authorized) => Ok(self.with_state(authorized)),
            Err(error) => Err(Rejected::new(self, error)),
        }
    }
}

impl AwaitsCode for AwaitingCallback<Verifier> {
    type Granted = Authorized;

    fn code_verifier(&self) -> &CodeVerifier {
        self.verifier.code_verifier()
    }

    fn check(&self, callback: &Callback) -> Result<(), CallbackError> {
        self.accept(callback).map(drop)
    }

    fn granted(&self, callback: &Callback, tokens: Tokens) -> Result<Authorized, Error> {
        let destination = Destination::new(self.accept(callback)?, self.session.clone());
        Ok(Authorized::new(destination, tokens))
    }
}

impl<V> fmt::Debug for AwaitingCallback<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitingCallback")
            .field("session_expires_at", &self.session.expires_at())
            .finish_non_exhaustive()
    }
}
