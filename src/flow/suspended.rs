//! A flow as data, between two requests or two processes.

pub(crate) mod error;
mod of_contract;
mod reaches;
mod seal;
mod written;

use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

pub use error::SuspendedError;
pub use of_contract::OfContract;
pub use reaches::Reaches;
pub use seal::SealingKeys;
pub(crate) use written::{Ids, Written};

use super::contract;
use crate::callback::Callback;
use crate::clock::Clock;
use crate::contract::Credentials;
use crate::error::Error;
use crate::flow::reasons::IsResumed;
use crate::flow::{Authorized, Flow, PostboxReady, wrong_calls};
use crate::platform::Platform;
use crate::platform::client::Client;
use crate::postbox::{Delivery, PostboxItem};
use crate::random;

/// A state whose flow can be suspended: every one but [`Unstarted`](crate::Unstarted), which holds nothing yet.
///
/// It is a bound for code that is generic over what the flow waits with:
///
/// ```
/// use digime::suspended::Durable;
/// use digime::{AwaitingCallback, Flow, Suspended};
///
/// fn park<C, V>(awaiting: Flow<C, AwaitingCallback<V>>) -> Suspended<C, AwaitingCallback<V>>
/// where
///     AwaitingCallback<V>: Durable,
/// {
///     awaiting.suspend()
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be a state that can be suspended",
    label = "only a flow in a `Durable` state can be suspended",
    note = "these states are `Durable`: `AwaitingCallback<NoVerifier>`, `AwaitingCallback<Verifier>`, `PostboxReady` and `Authorized`; generic code needs a bound such as `AwaitingCallback<V>: Durable`"
)]
pub trait Durable: Record {}

/// What is kept of a state, and how it comes back.
pub trait Record: Sized {
    /// The state's name, by which a record says what it is of.
    const NAME: &str;

    /// The kind of the contracts whose flows reach it.
    type Kind;

    type Record: Serialize + DeserializeOwned + Send + Sync;

    fn record(&self) -> Self::Record;

    fn from_record(record: Self::Record, platform: &Platform) -> Result<Self, SuspendedError>;

    /// When there is no more use in it, where that is known.
    fn expires_at(_: &Self::Record) -> Option<SystemTime> {
        None
    }
}

/// A flow under the contract `C` in the state `S`, as serde data, with what the application attached to it.
///
/// It has a version, and comes back as the same contract and the same state or not at all. It never holds the contract's
/// private key, which [`resume`](Suspended::resume) takes from the contract; what it holds (verifier, session, tokens)
/// is secret all the same. Keep it where only the application reads, or [`seal`](Suspended::seal) it.
///
/// ```
/// use digime::{AwaitingCallback, Client, Error, Flow, OngoingContract, Suspended, Verifier};
///
/// fn park<C>(awaiting: Flow<C, AwaitingCallback<Verifier>>) -> serde_json::Result<String> {
///     serde_json::to_string(&awaiting.suspend().with("customer-42"))
/// }
///
/// fn resume<C: OngoingContract>(
///     parked: &str,
///     contract: &C,
///     client: &Client,
/// ) -> Result<Flow<C, AwaitingCallback<Verifier>>, Box<dyn std::error::Error>> {
///     let suspended: Suspended<C, AwaitingCallback<Verifier>, String> = serde_json::from_str(parked)?;
///     let (suspended, customer) = suspended.into_parts();
///     println!("going on for {customer}");
///     Ok(suspended.resume(contract, client)?)
/// }
/// ```
#[must_use = "a suspended flow goes on when it is resumed: keep it"]
pub struct Suspended<C, S: Durable, D = ()> {
    written: Written<S, D>,
    /// Which parking in a store this is, once it was tried.
    parking_id: Option<String>,
    /// When it ends, where it was suspended in this process: a client knows the platform's time.
    ends: Option<Instant>,
    contract: PhantomData<fn() -> C>,
}

impl<C, S: Durable> Suspended<C, S> {
    pub(crate) fn new(credentials: &Credentials, record: S::Record) -> Self {
        Self::of(Written::new(Ids::of(credentials), record))
    }

    /// Attaches data of the application's own, such as for which user the flow is.
    pub fn with<D>(self, data: D) -> Suspended<C, S, D> {
        Suspended {
            ends: self.ends,
            ..Suspended::of(self.written.with(data))
        }
    }

    pub(crate) fn ending_in(mut self, time_left: Duration) -> Self {
        self.ends = Instant::now().checked_add(time_left);
        self
    }

    /// Goes on with the flow. The contract comes owned or borrowed, and is of the kind whose flows reach the state.
    ///
    /// # Errors
    /// [`Error::Suspended`] when the contract is another one, or what was read makes no sense.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a contract may come owned, as a caller has it"
    )]
    pub fn resume(self, contract: impl OfContract<C>, client: &Client) -> Result<Flow<C, S>, Error>
    where
        C: Reaches<S>,
    {
        self.go_on(contract::platform(contract.contract(), client))
    }

    pub(crate) fn go_on(self, platform: Platform) -> Result<Flow<C, S>, Error>
    where
        C: Reaches<S>,
    {
        self.written
            .contract
            .check(&Ids::of(&platform.credentials))?;
        let state = S::from_record(self.written.payload, &platform)?;
        Ok(Flow::in_state(platform, state))
    }
}

impl<C, S: Durable, D> Suspended<C, S, D> {
    pub(crate) fn of(written: Written<S, D>) -> Self {
        Self {
            written,
            parking_id: None,
            ends: None,
            contract: PhantomData,
        }
    }

    /// The id under which it is parked: the same when it is tried again, so that it is parked once.
    pub(crate) fn parking_id(&mut self) -> String {
        self.parking_id.get_or_insert_with(random::nonce).clone()
    }

    pub(crate) fn written(&self) -> &Written<S, D> {
        &self.written
    }

    /// What the application attached.
    #[must_use]
    pub fn data(&self) -> &D {
        &self.written.attached
    }

    /// The flow, and what the application attached to it.
    pub fn into_parts(self) -> (Suspended<C, S>, D) {
        let (written, data) = self.written.into_parts();
        (Suspended::of(written), data)
    }

    /// When there is no more use in it: a flow that waits for its callback ends with its session.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        S::expires_at(&self.written.payload)
    }

    /// How long it is of use, where that is known: as the client said when it was suspended, or else by this machine's
    /// clock.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        match self.ends {
            Some(ends) => Some(ends.saturating_duration_since(Instant::now())),
            None => self.expires_at().map(|end| {
                end.duration_since(Clock::default().now())
                    .unwrap_or_default()
            }),
        }
    }
}

wrong_calls! {
    impl[C, S: Durable, D] Suspended<C, S, D>: IsResumed {
        url(&self) -> &Url;
        receive_postbox(&self, _: Callback) -> Result<Flow<C, PostboxReady>, Error>;
        exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Error>>;
        push(&self, _: PostboxItem) -> Ready<Result<Delivery, Error>>;
    }
}

impl<C, S: Durable, D: Serialize> Serialize for Suspended<C, S, D> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de, C, S: Durable, D: Deserialize<'de>> Deserialize<'de> for Suspended<C, S, D> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        Written::read(deserializer).map(Self::of)
    }
}

impl<C, S: Durable, D> fmt::Debug for Suspended<C, S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspended")
            .field("contract", &self.written.contract)
            .field("state", &S::NAME)
            .finish_non_exhaustive()
    }
}
