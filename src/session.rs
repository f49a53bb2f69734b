//! A session with the platform.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::Deserialize;

use crate::flow::reasons::SessionCanBeCopied;
use crate::flow::wrong_calls;

/// A session with the platform, of the contract `C` alone. It makes one postbox: `create_postbox` consumes it.
///
/// It is got by [`Flow::establish_session`](crate::Flow::establish_session) and can't be copied.
#[must_use = "a session is there to make a postbox; the next step is `flow.create_postbox(session).await?`"]
pub struct Session<C> {
    pub(crate) data: SessionData,
    pub(crate) contract: PhantomData<fn() -> C>,
}

/// What the platform says of a session.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionData {
    #[serde(rename = "sessionKey")]
    pub key: SecretString,
    #[serde(rename = "sessionExchangeToken")]
    pub exchange_token: SecretString,
    /// Unix time in milliseconds.
    pub expiry: u64,
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
    }
}

impl<C> fmt::Debug for Session<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

impl SessionData {
    pub fn expires_at(&self) -> SystemTime {
        // A time that no clock can show is as good as never.
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(self.expiry))
            .unwrap_or_else(|| SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into()))
    }

    /// Whether it has ended by `now`, in Unix milliseconds.
    pub fn has_expired(&self, now: u64) -> bool {
        self.expiry <= now
    }
}
