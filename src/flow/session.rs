//! A session with the platform.

use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::time::SystemTime;

use url::Url;

use super::contract::{Contract, Kind};
use super::reasons::{SessionCanBeCloned, SessionIsAFlow};
use super::{Authorized, CreatePostbox, Flow, PostboxReady, wrong_calls};
use crate::callback::Callback;
use crate::error::Error;
use crate::platform::session::SessionData;
use crate::postbox::{Delivery, PostboxItem};

/// A session with the platform, under the contract `C`. One postbox can be created with it: `create_postbox` consumes it.
///
/// [`Flow::establish_session`](crate::Flow::establish_session) returns it. It can't be copied, and it can't be used with
/// another contract.
///
/// ```
/// # use digime::{Client, Error, OnceContract, Session};
/// # async fn run<C: OnceContract>(contract: C, client: Client) -> Result<(), Error> {
/// let flow = contract.flow(&client);
/// let session: Session<C> = flow.establish_session().await?;
/// let awaiting = flow.create_postbox(session).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a session is there to make a postbox; the next step is `flow.create_postbox(session).await?`"]
pub struct Session<C> {
    pub(crate) data: SessionData,
    pub(crate) contract: PhantomData<fn() -> C>,
}

impl<C> Session<C> {
    /// When the session ends. `create_postbox` must be called before. The postbox outlives the session.
    ///
    /// ```
    /// # use digime::Session;
    /// # fn run<C>(session: &Session<C>) {
    /// println!("the session ends at {:?}", session.expires_at());
    /// # }
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.data.expires_at()
    }
}

wrong_calls! {
    impl[C] Session<C>: SessionCanBeCloned {
        clone(&self) -> Self;
    }

    impl[C] Session<C>: SessionIsAFlow {
        url(&self) -> &Url;
        state(&self) -> &str;
        receive_postbox(&self, _: Callback) -> Result<Flow<C, PostboxReady>, Error>;
        exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Error>>;
        push(&self, _: PostboxItem) -> Ready<Result<Delivery, Error>>;
    }

    impl[C: Contract<Kind = K>, K: Kind] Session<C>: SessionIsAFlow {
        create_postbox(&self) -> CreatePostbox<C, K::Verifier>;
    }
}

impl<C> fmt::Debug for Session<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
