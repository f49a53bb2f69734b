//! A session with the platform.

use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::callback::Callback;
use crate::client::Client;
use crate::contract::{Contract, Kind};
use crate::error::Error;
use crate::flow::reasons::{SessionCanBeCopied, SessionIsAFlow};
use crate::flow::{Authorized, CreatePostbox, Flow, PostboxReady, wrong_calls};
use crate::postbox::{Delivery, PostboxItem};
use crate::scope::Scope;
use crate::{secret, unix_time};

/// A session with the platform, of the contract `C` alone. It makes one postbox: `create_postbox` consumes it.
///
/// It is got by [`Flow::establish_session`](crate::Flow::establish_session) and can't be copied.
#[must_use = "a session is there to make a postbox; the next step is `flow.create_postbox(session).await?`"]
pub struct Session<C> {
    pub(crate) data: SessionData,
    pub(crate) contract: PhantomData<fn() -> C>,
}

/// What the platform says of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionData {
    #[serde(rename = "sessionKey", serialize_with = "secret::expose")]
    pub key: SecretString,
    #[serde(rename = "sessionExchangeToken", serialize_with = "secret::expose")]
    pub exchange_token: SecretString,
    /// Unix time in milliseconds.
    pub expiry: u64,
    /// What it is limited to, as the session that replaces it must be. The platform does not repeat it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// When it ends by this machine's clock, in Unix milliseconds, where it was given to this process. What is learned of the
    /// platform's time from other answers changes nothing of it.
    #[serde(skip)]
    pub ends: Option<u64>,
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

impl SessionData {
    pub fn expires_at(&self) -> SystemTime {
        unix_time::time(Duration::from_millis(self.expiry))
    }

    /// Whether it has ended.
    pub fn has_ended(&self, client: &Client) -> bool {
        self.ends(client) <= client.now()
    }

    /// How much of it is left.
    pub fn time_left(&self, client: &Client) -> Duration {
        Duration::from_millis(self.ends(client).saturating_sub(client.now()))
    }

    fn ends(&self, client: &Client) -> u64 {
        self.ends.unwrap_or_else(|| client.own_time(self.expiry))
    }

    /// Whether it has expired by `now`, in Unix milliseconds.
    pub fn has_expired(&self, now: u64) -> bool {
        self.expiry <= now
    }
}
