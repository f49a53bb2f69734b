//! A session with the platform.

use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::time::SystemTime;

use url::Url;

use super::contract::{Contract, Kind};
use super::reasons::{SessionCanBeCopied, SessionIsAFlow};
use super::{Authorized, CreatePostbox, Flow, PostboxReady, wrong_calls};
use crate::callback::Callback;
use crate::error::Error;
use crate::platform::session::SessionData;
use crate::postbox::{Delivery, PostboxItem};

/// A session with the platform, of the contract `C` alone. It makes one postbox: `create_postbox` consumes it.
///
/// It is got by [`Flow::establish_session`](crate::Flow::establish_session) and can't be copied.
#[must_use = "a session is there to make a postbox; the next step is `flow.create_postbox(session).await?`"]
pub struct Session<C> {
    pub(crate) data: SessionData,
    pub(crate) contract: PhantomData<fn() -> C>,
}

impl<C> Session<C> {
    /// When the session ends. A postbox must be asked for before; what was made under it outlives it.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.data.expires_at()
    }
}

wrong_calls! {
    impl[C] Session<C> {
        clone() -> Self where Session<C>: SessionCanBeCopied;
        url() -> &Url where Session<C>: SessionIsAFlow;
        state() -> &str where Session<C>: SessionIsAFlow;
        receive_postbox(Callback) -> Result<Flow<C, PostboxReady>, Error> where Session<C>: SessionIsAFlow;
        exchange_code(Callback) -> Ready<Result<Flow<C, Authorized>, Error>> where Session<C>: SessionIsAFlow;
        push(PostboxItem) -> Ready<Result<Delivery, Error>> where Session<C>: SessionIsAFlow;
    }

    impl[C: Contract<Kind = K>, K: Kind] Session<C> {
        create_postbox() -> CreatePostbox<C, K::Verifier> where Session<C>: SessionIsAFlow;
    }
}

impl<C> fmt::Debug for Session<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
