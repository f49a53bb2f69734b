use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::awaiting_callback::AwaitingCallback;
use super::contract::{self, Contract, Kind};
use super::session::Session;
use super::trace::Trace;
use super::verifier::MaybeVerifier;
use super::{Flow, Rejected};
use crate::error::Error;
use crate::platform::Platform;
use crate::platform::client::Client;
use crate::platform::session::SessionData;
use crate::scope::Scope;

/// The state of a flow that has not asked for anything yet.
///
/// What comes next, in order:
///
/// 1. [`establish_session`](Flow::establish_session), or [`establish_session_with`](Flow::establish_session_with) for a
///    session of limited scope.
/// 2. [`create_postbox`](Flow::create_postbox) with that session. It leads to
///    [`AwaitingCallback<NoVerifier>`](crate::AwaitingCallback) for a one-off contract, or to
///    [`AwaitingCallback<Verifier>`](crate::AwaitingCallback) for an ongoing one.
///
/// ```
/// # use digime::{AwaitingCallback, Client, Error, Flow, OngoingContract, Verifier};
/// # async fn run<C: OngoingContract>(contract: C, client: Client) -> Result<(), Error> {
/// let flow = contract.flow(&client);
/// let session = flow.establish_session().await?;
/// let awaiting = flow.create_postbox(session).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the next step is `flow.establish_session().await?`"]
#[derive(Debug)]
pub struct Unstarted(());

impl<C: Contract> Flow<C, Unstarted> {
    /// A flow that copies what it needs from its contract.
    pub(crate) fn begin(contract: &C, client: &Client) -> Self {
        Self::in_state(contract::platform(contract, client), Unstarted(()))
    }

    /// Establishes a session, under which one postbox can be created.
    ///
    /// The flow is only borrowed. If the call fails, or the session expires, establish another.
    ///
    /// ```
    /// # use digime::{Client, Error, OnceContract};
    /// # async fn run<C: OnceContract>(contract: C, client: Client) -> Result<(), Error> {
    /// let flow = contract.flow(&client);
    /// let session = flow.establish_session().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Request`] if the platform was not reached or refused.
    #[doc(alias = "establishSession")]
    pub async fn establish_session(&self) -> Result<Session<C>, Error> {
        self.establish(None).await
    }

    /// Establishes a session that is limited to `scope`.
    ///
    /// ```
    /// # use digime::{Client, Error, OnceContract};
    /// use digime::scope::{Scope, TimeRange, Unit};
    ///
    /// # async fn run<C: OnceContract>(contract: C, client: Client) -> Result<(), Error> {
    /// let scope = Scope::new().time_range(TimeRange::last(6, Unit::Months));
    /// let session = contract.flow(&client).establish_session_with(&scope).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Request`] if the platform was not reached or refused.
    #[doc(alias = "establishSession")]
    pub async fn establish_session_with(&self, scope: &Scope) -> Result<Session<C>, Error> {
        self.establish(Some(scope)).await
    }

    async fn establish(&self, scope: Option<&Scope>) -> Result<Session<C>, Error> {
        let trace = Trace::new(&self.platform, "Unstarted", "establish_session");
        let data = trace.of(self.platform.establish_session(scope)).await?;
        Ok(Session {
            data,
            contract: PhantomData,
        })
    }

    /// Makes the link with which the user's digi.me client creates a postbox.
    ///
    /// For an ongoing contract, this sends an authorization request to the platform first, with the challenge of a new
    /// [`Verifier`](crate::Verifier) (RFC 7636, section 4.3). For a one-off contract nothing is sent. Each flow has a new
    /// `state`, which shows that a callback belongs to this flow (RFC 6749, section 10.12).
    ///
    /// ```
    /// # use digime::{Client, Error, OnceContract};
    /// # async fn run<C: OnceContract>(contract: C, client: Client) -> Result<(), Error> {
    /// let flow = contract.flow(&client);
    /// let session = flow.establish_session().await?;
    /// let awaiting = flow.create_postbox(session).await?;
    /// println!("open {}", awaiting.url());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::SessionExpired`] if the session has ended.
    /// - [`Error::Request`] if the platform was not reached or refused.
    ///
    /// [`Rejected`] gives the flow back, but not the session: establish another for the next attempt.
    #[doc(alias = "getCreatePostboxUrl")]
    pub fn create_postbox<K: Kind>(self, session: Session<C>) -> CreatePostbox<C, K::Verifier>
    where
        C: Contract<Kind = K>,
    {
        CreatePostbox {
            outcome: Box::pin(create_postbox(self.platform, session.data)),
            contract: PhantomData,
        }
    }
}

/// The future of [`Flow::create_postbox`]. Its output is the flow that waits for the callback, or the unstarted flow in a
/// [`Rejected`].
#[must_use = "a future does nothing until it is awaited: `flow.create_postbox(session).await?`"]
// The future has a name, and only the method has the bound on the contract's kind. So code that does not know the kind
// gets one error.
pub struct CreatePostbox<C, V> {
    outcome: Pin<Box<dyn Future<Output = Outcome<V>> + Send>>,
    contract: PhantomData<fn() -> C>,
}

/// Both outcomes hold the platform, which the next flow needs.
type Outcome<V> = Result<(Platform, AwaitingCallback<V>), (Platform, Error)>;

async fn create_postbox<V: MaybeVerifier>(platform: Platform, session: SessionData) -> Outcome<V> {
    let trace = Trace::new(&platform, "Unstarted", "create_postbox");
    match trace.of(awaiting_callback(&platform, session)).await {
        Ok(awaiting) => Ok((platform, awaiting)),
        Err(error) => Err((platform, error)),
    }
}

async fn awaiting_callback<V: MaybeVerifier>(
    platform: &Platform,
    session: SessionData,
) -> Result<AwaitingCallback<V>, Error> {
    if session.has_ended(&platform.client) {
        return Err(Error::SessionExpired);
    }
    let state = platform.client.random().url_safe_256();
    let verifier = V::authorize(platform, &state).await?;
    Ok(AwaitingCallback::new(platform, session, state, verifier)?)
}

impl<C, V> Future for CreatePostbox<C, V> {
    type Output = Result<Flow<C, AwaitingCallback<V>>, Rejected<Flow<C, Unstarted>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome
            .as_mut()
            .poll(context)
            .map(|outcome| match outcome {
                Ok((platform, awaiting)) => Ok(Flow::in_state(platform, awaiting)),
                Err((platform, error)) => Err(Rejected::new(
                    Flow::in_state(platform, Unstarted(())),
                    error,
                )),
            })
    }
}

impl<C, V> fmt::Debug for CreatePostbox<C, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatePostbox").finish_non_exhaustive()
    }
}
