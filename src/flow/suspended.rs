//! A flow as data, between two requests or two processes.

mod any;
pub(crate) mod error;
mod of_contract;
mod reaches;
mod record;
mod seal;
mod sealing_keys;

use std::any::{TypeId, type_name};
use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

pub use any::{AnyFlow, AnySuspended, SuspendedHead};
pub(crate) use error::SuspendedError;
pub use of_contract::OfContract;
pub use reaches::Reaches;
pub(crate) use record::{ContractIds, SuspendedRecord};
pub(crate) use sealing_keys::Purpose;
pub use sealing_keys::SealingKeys;

use super::contract;
use crate::callback::Callback;
use crate::clock::Clock;
use crate::contract::Credentials;
use crate::error::Error;
use crate::flow::reasons::IsResumed;
use crate::flow::{
    Authorized, AwaitingCallback, Flow, NoVerifier, PostboxReady, Verifier, wrong_calls,
};
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
///
/// A library implements it for a [state of its own](crate::extend::ExtensionState). What a state of this library holds is
/// kept as a [`Suspended`] flow inside the record:
///
/// ```
/// use digime::error::SuspendedError;
/// use digime::extend::ExtensionState;
/// use digime::kind::Ongoing;
/// use digime::suspended::{Durable, Resuming};
/// use digime::{Authorized, Flow, OngoingContract, Suspended};
/// use serde::{Deserialize, Serialize};
///
/// /// The state of a flow whose pushes a person has to approve.
/// pub struct UnderReview<C> {
///     flow: Flow<C, Authorized>,
///     reviewer: String,
/// }
///
/// impl<C> ExtensionState for UnderReview<C> {}
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(bound = "")]
/// pub struct ReviewRecord<C> {
///     flow: Suspended<C, Authorized>,
///     reviewer: String,
/// }
///
/// impl<C: OngoingContract> Durable for UnderReview<C> {
///     const NAME: &str = "a_review::UnderReview";
///     type Kind = Ongoing;
///     type Record = ReviewRecord<C>;
///
///     fn record(&self) -> ReviewRecord<C> {
///         ReviewRecord { flow: self.flow.suspend(), reviewer: self.reviewer.clone() }
///     }
///
///     fn from_record(record: ReviewRecord<C>, resuming: &Resuming<'_>) -> Result<Self, SuspendedError> {
///         let flow = resuming.flow(record.flow)?;
///         Ok(Self { flow, reviewer: record.reviewer })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be a state that can be suspended",
    label = "only a flow in a `Durable` state can be suspended",
    note = "these states are `Durable`: `AwaitingCallback<NoVerifier>`, `AwaitingCallback<Verifier>`, `PostboxReady` and `Authorized`; generic code needs a bound such as `AwaitingCallback<V>: Durable`"
)]
pub trait Durable: Sized {
    /// The state's name, which its records carry. The name of a library's state begins with the name of its crate, as in
    /// `a_review::UnderReview`, so that no two libraries use the same.
    const NAME: &str;

    /// The version of the record. A record of a later version is not read: it is
    /// [`SuspendedError::LaterRecord`](crate::error::SuspendedError::LaterRecord). One of an earlier version is, so
    /// [`Record`](Self::Record) must be able to read what earlier versions have written.
    const VERSION: u32 = 1;

    /// The kind of the contracts whose flows reach the state: [`Once`](crate::kind::Once),
    /// [`Ongoing`](crate::kind::Ongoing), or a [kind that a library brings](crate::kind::FlowKind).
    type Kind;

    /// What is kept of the state. It is secret if it holds a suspended flow.
    type Record: Serialize + DeserializeOwned + Send + Sync;

    /// What is kept of the state.
    fn record(&self) -> Self::Record;

    /// The state that a record was made of.
    ///
    /// # Errors
    /// [`SuspendedError`] says what is wrong with the record: [`SuspendedError::Damaged`] if the state can't be made of it.
    fn from_record(record: Self::Record, resuming: &Resuming<'_>) -> Result<Self, SuspendedError>;

    /// When the flow ends, if that is known.
    #[must_use]
    fn expires_at(_: &Self::Record) -> Option<SystemTime> {
        None
    }
}

/// A state whose flow can be parked: it waits for one answer, and is claimed by its key.
///
/// ```
/// use digime::store::{MemoryStore, ParkedFlows};
/// use digime::suspended::Parkable;
/// use digime::{AwaitingCallback, Error, NoVerifier, Suspended};
///
/// async fn park<C>(
///     flows: &ParkedFlows<MemoryStore>,
///     waiting: Suspended<C, impl Parkable>,
/// ) -> Result<(), Error> {
///     Ok(flows.park(waiting).await?)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state that is parked",
    label = "only a flow in a `Parkable` state can be parked",
    note = "park a flow that waits for its callback: `awaiting.suspend()`; a library's own state needs `impl digime::suspended::Parkable for …`"
)]
pub trait Parkable: Durable {
    /// Whether the key is the `state` that a callback brings back. Such a `state` can't be guessed, and no two flows of a contract
    /// have the same, whatever their states are. [`ParkedFlows::contract_of`](crate::store::ParkedFlows::contract_of) finds the
    /// flow by it.
    const IS_CALLED_BACK: bool = false;

    /// The key under which the flow is parked and claimed. Flows of one contract in one state have different keys.
    fn parking_key(record: &Self::Record) -> &str;
}

/// What a state that is made of its record may use: it resumes the flows inside the record, under the same contract.
#[derive(Debug)]
pub struct Resuming<'a> {
    platform: &'a Platform,
    contract: ContractType,
    was_waiting: bool,
}

/// Which type a contract has. It may have a lifetime, so that `std` does not tell.
#[derive(Clone, Copy, Debug)]
struct ContractType {
    id: TypeId,
    name: &'static str,
}

impl ContractType {
    fn of<C>() -> Self {
        Self {
            id: typeid::of::<C>(),
            name: type_name::<C>(),
        }
    }
}

impl<'a> Resuming<'a> {
    /// `was_waiting` is true if a store has just given the record out, so that it has not ended by the store's clock.
    fn new<C>(platform: &'a Platform, was_waiting: bool) -> Self {
        Self {
            platform,
            contract: ContractType::of::<C>(),
            was_waiting,
        }
    }

    pub(super) fn was_waiting(&self) -> bool {
        self.was_waiting
    }

    pub(super) fn platform(&self) -> &Platform {
        self.platform
    }

    /// Resumes a flow that is kept in the record of another state.
    ///
    /// # Errors
    /// [`SuspendedError::AnotherContract`] if it belongs to another contract, or `C` is not the type of this one;
    /// [`SuspendedError::Damaged`] if it makes no sense.
    pub fn flow<C, S>(&self, suspended: Suspended<C, S>) -> Result<Flow<C, S>, SuspendedError>
    where
        C: Reaches<S>,
        S: Durable,
    {
        let wanted = ContractType::of::<C>();
        if wanted.id != self.contract.id {
            return Err(SuspendedError::AnotherContract {
                found: self.contract.name.to_owned(),
                wanted: wanted.name.to_owned(),
            });
        }
        suspended.resumed(self.platform.clone(), self.was_waiting)
    }
}

/// A flow under the contract `C` in the state `S`, as serde data, with the data that the application attached to it.
///
/// It has a version, and comes back as the same contract and the same state or not at all. It never holds the contract's
/// private key, which [`resume`](Suspended::resume) takes from the contract. What it does hold (verifier, session, tokens)
/// is secret too. Keep it where only the application reads, or [`seal`](Suspended::seal) it.
///
/// ```
/// use digime::{AwaitingCallback, Client, Error, Flow, OngoingContract, Suspended, Verifier};
///
/// fn park<C>(awaiting: Flow<C, AwaitingCallback<Verifier>>) -> Result<String, Error> {
///     Ok(awaiting.suspend().with("customer-42").to_json()?)
/// }
///
/// fn resume<C: OngoingContract>(
///     parked: &str,
///     contract: &C,
///     client: &Client,
/// ) -> Result<Flow<C, AwaitingCallback<Verifier>>, Error> {
///     let suspended = Suspended::<C, AwaitingCallback<Verifier>, String>::from_json(parked)?;
///     let (suspended, customer) = suspended.into_parts();
///     println!("resuming the flow of {customer}");
///     suspended.resume(contract, client)
/// }
/// ```
#[must_use = "a suspended flow does nothing until it is resumed: keep it"]
pub struct Suspended<C, S: Durable, D = ()> {
    record: SuspendedRecord<S, D>,
    /// Identifies its parking in a store, once that was tried.
    parking_id: Option<String>,
    /// When it ends, if it was suspended in this process: a client knows the platform's time.
    ends: Option<Instant>,
    contract: PhantomData<fn() -> C>,
}

impl<C, S: Durable> Suspended<C, S> {
    pub(crate) fn new(credentials: &Credentials, record: S::Record) -> Self {
        Self::of(SuspendedRecord::new(ContractIds::of(credentials), record))
    }

    /// Attaches the application's own data, such as which user the flow belongs to.
    pub fn with<D>(self, data: D) -> Suspended<C, S, D> {
        Suspended {
            ends: self.ends,
            ..Suspended::of(self.record.with(data))
        }
    }

    pub(crate) fn ending_in(mut self, time_left: Duration) -> Self {
        self.ends = Instant::now().checked_add(time_left);
        self
    }

    /// Resumes the flow. The contract comes owned or borrowed, and is of the kind whose flows reach the state.
    ///
    /// # Errors
    /// [`Error::Suspended`] if the contract is another one, or what was read makes no sense.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a contract may come owned, as a caller has it"
    )]
    pub fn resume(self, contract: impl OfContract<C>, client: &Client) -> Result<Flow<C, S>, Error>
    where
        C: Reaches<S>,
    {
        Ok(self.resume_on(contract::platform(contract.contract(), client))?)
    }

    /// Resumes the flow on a platform, which knows the contract.
    pub(crate) fn resume_on(self, platform: Platform) -> Result<Flow<C, S>, SuspendedError>
    where
        C: Reaches<S>,
    {
        self.resumed(platform, false)
    }

    /// Resumes a flow that a store has just given out.
    pub(crate) fn resume_claimed(self, platform: Platform) -> Result<Flow<C, S>, SuspendedError>
    where
        C: Reaches<S>,
    {
        self.resumed(platform, true)
    }

    /// Resumes the flow in a state that the contract is known to reach.
    fn resumed(self, platform: Platform, was_waiting: bool) -> Result<Flow<C, S>, SuspendedError> {
        self.record
            .contract
            .check(&ContractIds::of(&platform.credentials))?;
        let state = S::from_record(
            self.record.payload,
            &Resuming::new::<C>(&platform, was_waiting),
        )?;
        Ok(Flow::in_state(platform, state))
    }
}

impl<C, S: Durable, D> Suspended<C, S, D> {
    pub(crate) fn of(record: SuspendedRecord<S, D>) -> Self {
        Self {
            record,
            parking_id: None,
            ends: None,
            contract: PhantomData,
        }
    }

    /// The id of its parking. A parking that is tried again has the same id, so that the flow is parked once.
    pub(crate) fn parking_id(&mut self) -> String {
        self.parking_id.get_or_insert_with(random::nonce).clone()
    }

    pub(crate) fn record(&self) -> &SuspendedRecord<S, D> {
        &self.record
    }

    /// The data that the application attached.
    #[must_use]
    pub fn data(&self) -> &D {
        &self.record.attached
    }

    /// The flow, and the data that the application attached to it.
    pub fn into_parts(self) -> (Suspended<C, S>, D) {
        let (record, data) = self.record.into_parts();
        (Suspended::of(record), data)
    }

    /// The flow as JSON, for a database or a queue. It is secret.
    ///
    /// Unlike serde's own, its errors quote nothing of the flow.
    ///
    /// ```
    /// use digime::error::SuspendedError;
    /// use digime::{Authorized, Flow};
    ///
    /// fn as_row<C>(authorized: &Flow<C, Authorized>, customer: &str) -> Result<String, SuspendedError> {
    ///     authorized.suspend().with(customer).to_json()
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SuspendedError::Damaged`] if the attached data can't be serialized.
    pub fn to_json(&self) -> Result<String, SuspendedError>
    where
        D: Serialize,
    {
        self.record.to_json()
    }

    /// Reads what [`to_json`](Self::to_json), or serde, has written as JSON.
    ///
    /// ```
    /// use digime::{Authorized, Client, Error, Flow, OngoingContract, Suspended};
    ///
    /// fn from_row<C: OngoingContract>(
    ///     row: &str,
    ///     contract: &C,
    ///     client: &Client,
    /// ) -> Result<Flow<C, Authorized>, Error> {
    ///     let suspended = Suspended::<C, Authorized, String>::from_json(row)?;
    ///     let (suspended, customer) = suspended.into_parts();
    ///     println!("resuming the flow of {customer}");
    ///     suspended.resume(contract, client)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SuspendedError`] says why the text does not come back as this flow.
    pub fn from_json(json: &str) -> Result<Self, SuspendedError>
    where
        D: DeserializeOwned,
    {
        SuspendedRecord::from_json(json).map(Self::of)
    }

    /// When the flow ends, if that is known: a flow that waits for its callback ends with its session.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        S::expires_at(&self.record.payload)
    }

    /// How long until the flow ends, if that is known: as the client said when the flow was suspended, or else by this
    /// machine's clock.
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
        push(&self, _: PostboxItem) -> Ready<Result<Delivery, Error>>;
    }

    impl[C, D] Suspended<C, AwaitingCallback<Verifier>, D>: IsResumed {
        exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Error>>;
    }

    impl[C, D] Suspended<C, AwaitingCallback<NoVerifier>, D>: IsResumed {
        exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Error>>;
    }

    impl[C, D] Suspended<C, PostboxReady, D>: IsResumed {
        exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Error>>;
    }

    impl[C, D] Suspended<C, Authorized, D>: IsResumed {
        exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Error>>;
    }
}

impl<C, S: Durable, D: Serialize> Serialize for Suspended<C, S, D> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        self.record.serialize(serializer)
    }
}

impl<'de, C, S: Durable, D: Deserialize<'de>> Deserialize<'de> for Suspended<C, S, D> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        SuspendedRecord::read(deserializer).map(Self::of)
    }
}

impl<C, S: Durable, D> fmt::Debug for Suspended<C, S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspended")
            .field("contract", &self.record.contract)
            .field("state", &S::NAME)
            .finish_non_exhaustive()
    }
}
