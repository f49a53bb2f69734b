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

/// A session with the platform, of the contract `C` alone. It makes one postbox: `create_postbox` consumes it.
///
/// [`Flow::establish_session`](crate::Flow::establish_session) makes one. It can't be cloned.
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
