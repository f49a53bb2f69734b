use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::awaiting_callback::AwaitingCallback;
use super::contract::{self, Contract, Kind};
use super::session::Session;
use super::trace::Trace;
use super::verifier::Announce;
use super::{Flow, Rejected};
use crate::error::Error;
use crate::platform::Platform;
use crate::platform::client::Client;
use crate::platform::session::SessionData;
use crate::random;
use crate::scope::Scope;

/// The state of a flow that has not asked for anything yet. Next: [`Flow::establish_session`].
#[must_use = "the next step is `flow.establish_session().await?`"]
#[derive(Debug)]
pub struct Unstarted(());

impl<C: Contract> Flow<C, Unstarted> {
    /// A flow that takes what it needs of its contract.
    pub(crate) fn begin(contract: &C, client: &Client) -> Self {
        Self::in_state(contract::platform(contract, client), Unstarted(()))
    }

    /// Establishes a session, which makes one postbox.
    ///
    /// # Errors
    /// [`Error::Request`] when the platform was not reached or refused.
    pub async fn establish_session(&self) -> Result<Session<C>, Error> {
        self.establish(None).await
    }

    /// Establishes a session that is limited to `scope`.
    ///
    /// # Errors
    /// As [`Flow::establish_session`].
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

    /// Asks for a postbox: makes the link that the user's digi.me client opens.
    ///
    /// For an ongoing contract the flow is announced to the platform first, with the challenge of a fresh
    /// [`Verifier`](crate::Verifier) (RFC 7636, section 4.3). For a one-off contract nothing is sent. Both carry a fresh
    /// `state`, by which the callback is known to be this flow's (RFC 6749, section 10.12).
    ///
    /// # Errors
    /// [`Error::SessionExpired`] when the session has ended, [`Error::Request`] when the platform was not reached or
    /// refused. The flow comes back; the session does not, and another is established for the next attempt.
    pub fn create_postbox<K: Kind>(self, session: Session<C>) -> CreatePostbox<C, K::Verifier>
    where
        C: Contract<Kind = K>,
    {
        CreatePostbox {
            asking: Box::pin(ask(self.platform, session.data)),
            contract: PhantomData,
        }
    }
}

/// The future of [`Flow::create_postbox`]: the flow that waits for the callback, or the one that went in.
///
/// It has a name, and the kind of the contract is a bound on the method alone, so that code which does not know the
/// kind is told so, once.
#[must_use = "a future does nothing until it is awaited: `flow.create_postbox(session).await?`"]
pub struct CreatePostbox<C, V> {
    asking: Pin<Box<dyn Future<Output = Asked<V>> + Send>>,
    contract: PhantomData<fn() -> C>,
}

/// The platform comes back in any case, to go on with.
type Asked<V> = Result<(Platform, AwaitingCallback<V>), (Platform, Error)>;

async fn ask<V: Announce>(platform: Platform, session: SessionData) -> Asked<V> {
    let trace = Trace::new(&platform, "Unstarted", "create_postbox");
    match trace.of(awaiting_callback(&platform, session)).await {
        Ok(awaiting) => Ok((platform, awaiting)),
        Err(error) => Err((platform, error)),
    }
}

async fn awaiting_callback<V: Announce>(
    platform: &Platform,
    session: SessionData,
) -> Result<AwaitingCallback<V>, Error> {
    if session.has_ended(&platform.client) {
        return Err(Error::SessionExpired);
    }
    let state = random::url_safe_256();
    let verifier = V::announce(platform, &state).await?;
    Ok(AwaitingCallback::new(platform, session, state, verifier)?)
}

impl<C, V> Future for CreatePostbox<C, V> {
    type Output = Result<Flow<C, AwaitingCallback<V>>, Rejected<Flow<C, Unstarted>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.asking.as_mut().poll(context).map(|asked| match asked {
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
