//! Where flows wait between two requests, and where the tokens of authorized users are kept, for as many machines as
//! there are.
//!
//! A flow that waits for its callback is parked in a [`FlowStore`] and claimed by the callback, once. The tokens of users
//! who have consented are kept in a [`TokenStore`] by [`SharedTokens`], which lets one machine at a time refresh them.
//!
//! | store | feature | for |
//! | --- | --- | --- |
//! | [`MemoryStore`] | | one process |
//! | `SqliteStore` | `sqlite` | the processes of one machine |
//! | `PostgresStore` | `postgres` | many machines |
//! | `RedisStore` | `redis` | many machines |
//!
//! Each is both kinds of store. What they hold is secret (verifiers, session keys, tokens): let nobody but the application
//! read it.
//!
//! ```
//! use digime::store::MemoryStore;
//! use digime::store::{FlowStore, SharedTokens};
//! use digime::{Callback, Client, Error, OngoingContract};
//!
//! /// The first request: asks, and gives the link to redirect to.
//! async fn begin<C: OngoingContract>(
//!     contract: &C,
//!     client: &Client,
//!     flows: &MemoryStore,
//!     customer: &str,
//! ) -> Result<String, Error> {
//!     let flow = contract.flow(client);
//!     let session = flow.establish_session().await?;
//!     let awaiting = flow.create_postbox(session).await?;
//!     let link = awaiting.url().to_string();
//!     flows.park(awaiting.suspend().with(customer.to_owned())).await?;
//!     Ok(link)
//! }
//!
//! /// The second request: takes the callback, and keeps the tokens under the customer.
//! async fn finish<C: OngoingContract + 'static>(
//!     contract: &C,
//!     client: &Client,
//!     tokens: &SharedTokens<MemoryStore>,
//!     query: &str,
//! ) -> Result<(), Error> {
//!     let callback = Callback::from_query(query)?;
//!     let user = |customer: &String| customer.clone();
//!     let (_authorized, _customer) = tokens.receive_callback(callback, contract, client, user).await?;
//!     Ok(())
//! }
//! ```

mod bounded;
mod callbacks;
#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod error;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod refresher;
mod shared_tokens;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod taken;
mod unsaved;

use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use error::StoreError;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub use shared_tokens::SharedTokens;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

use bounded::Bounded;
use taken::Taken;

use crate::callback::{Callback, CallbackError};
use crate::error::Error;
use crate::flow::contract::{self, Contract, Kind};
use crate::flow::suspended::{Ids, Reaches, Suspended, SuspendedError, Written};
use crate::flow::{Announce, AwaitingCallback, Flow, Rejected};
use crate::platform::Platform;
use crate::platform::client::Client;

/// A flow to be parked.
#[derive(Clone, PartialEq, Eq)]
pub struct Parked {
    /// Which parking this is. No two are the same; a call that is repeated has the same id again.
    pub id: String,
    /// What is kept. It is secret, and text.
    pub record: String,
    /// For how long it is of use.
    pub expires_in: Duration,
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked")
            .field("id", &self.id)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// What is found under a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Found {
    /// A record that waits.
    Waiting(String),
    /// A record that was taken, and the note that its claim has left.
    Taken(Option<String>),
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting(..)",
            Self::Taken(None) => "Taken(None)",
            Self::Taken(Some(_)) => "Taken(Some(..))",
        })
    }
}

/// A flow that was claimed, and what the application attached to it.
pub type Claimed<C, V, D> = (Flow<C, AwaitingCallback<V>>, D);

/// Keeps flows that wait for their callback, and gives each out once.
///
/// A store of your own has five methods; the feature `conformance` has the tests that it must pass. Applications call
/// [`park`](FlowStore::park) and [`claim`](FlowStore::claim).
///
/// Every call is one atomic step, and the caller may repeat it when its answer was lost. A record that was taken stays
/// until it expires, under the claim that has taken it, so that a repetition finds what the first call did.
pub trait FlowStore: Clone + Send + Sync + 'static {
    /// Keeps a record under a key until it expires, in place of an earlier one. The same id again changes nothing, also
    /// where the record was taken meanwhile.
    fn put(
        &self,
        key: &str,
        parked: &Parked,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Looks at what is under a key and changes nothing. Nothing where there is no record, or it has expired.
    fn peek(&self, key: &str) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// Takes the record for a claim, and gives it: of many claims, one gets it. A claim that asks again gets it again.
    /// Nothing where there is no record, another claim has taken it, or it has expired.
    fn take(
        &self,
        key: &str,
        claim: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;

    /// Lets the record wait again, until it expires, where this claim has taken it and has left no note. Otherwise nothing
    /// changes.
    fn put_back(
        &self,
        key: &str,
        claim: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Leaves a note in place of the record, until the record would have expired, where this claim has taken it.
    /// Otherwise nothing changes. The note is secret, and text.
    fn leave_note(
        &self,
        key: &str,
        claim: &str,
        note: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Parks a flow that waits for its callback, with what was attached to it, until its session ends.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed, [`Error::Suspended`] when what was attached can't be written. The flow
    /// comes back.
    fn park<C, V, D>(
        &self,
        flow: Suspended<C, AwaitingCallback<V>, D>,
    ) -> impl Future<Output = Result<(), Rejected<Suspended<C, AwaitingCallback<V>, D>>>> + Send
    where
        V: Announce,
        D: Serialize + Send + Sync,
    {
        async move {
            let mut flow = flow;
            match park(&Bounded::new(self.clone()), &mut flow).await {
                Ok(()) => Ok(()),
                Err(error) => Err(Rejected::new(flow, error)),
            }
        }
    }

    /// Takes the flow that waits for a callback, with what was attached to it: once. A callback that is replayed, raced,
    /// too late, or of another contract finds nothing.
    ///
    /// The callback itself is judged by the flow. Where the flow is to wait on, as after a callback in which the user
    /// declined, park it again. For an ongoing contract, [`SharedTokens::receive_callback`] does this and all that follows,
    /// and loses nothing when it is dropped or fails.
    ///
    /// A claim that is dropped before it ends leaves the flow parked.
    ///
    /// # Errors
    /// [`StoreError::NothingParked`] when no flow waits; [`Error::Callback`] when the callback has no `state`;
    /// [`Error::Suspended`] when what was parked can't be read: it is put back, for a machine that can.
    fn claim<C, K, D>(
        &self,
        callback: &Callback,
        contract: &C,
        client: &Client,
    ) -> impl Future<Output = Result<Claimed<C, K::Verifier, D>, Error>> + Send
    where
        C: Contract<Kind = K>,
        K: Kind,
        D: DeserializeOwned + Send,
    {
        let platform = contract::platform(contract, client);
        async move {
            let state = callback.state().ok_or(CallbackError::Missing("state"))?;
            let key = key(&Ids::of(&platform.credentials), state);
            let taken = Taken::take(&Bounded::new(self.clone()), key)
                .await?
                .ok_or(StoreError::NothingParked)?;
            match resumed(taken.record(), platform) {
                Ok(claimed) => {
                    drop(taken.hand_over());
                    Ok(claimed)
                }
                Err(error) => {
                    taken.put_back().await;
                    Err(error)
                }
            }
        }
    }
}

fn resumed<C: Reaches<AwaitingCallback<V>>, V: Announce, D: DeserializeOwned>(
    record: &str,
    platform: Platform,
) -> Result<Claimed<C, V, D>, Error> {
    let mut written = Written::<AwaitingCallback<V>, D>::from_json(record)?;
    written.payload.has_not_ended(&platform.client);
    let (flow, data) = Suspended::of(written).into_parts();
    Ok((flow.go_on(platform)?, data))
}

async fn park<C, V: Announce, D: Serialize>(
    store: &impl FlowStore,
    flow: &mut Suspended<C, AwaitingCallback<V>, D>,
) -> Result<(), Error> {
    let id = flow.parking_id();
    let written = flow.written();
    let parked = Parked {
        id,
        record: written.to_json()?,
        expires_in: flow.time_left().ok_or(SuspendedError::Damaged)?,
    };
    let key = key(&written.contract, &written.payload.state);
    Ok(store.put(&key, &parked).await?)
}

/// What is escaped in a key: what separates its parts, and what a database may not take.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'/').add(b' ');

/// The key of what is kept for a contract under a name. No two contracts and names have the same.
fn key(contract: &Ids, name: &str) -> String {
    let [application, contract, name] = [contract.application_id(), contract.contract_id(), name]
        .map(|part| utf8_percent_encode(part, ESCAPED));
    format!("{application}/{contract} {name}")
}

/// Keeps the tokens of users who have consented, and grants the right to refresh them to one machine at a time.
///
/// [`SharedTokens`] calls it; a store of your own passes the tests of the feature `conformance`. Each user has one record
/// with a version, which is never the same again. Every call is one atomic step.
pub trait TokenStore: Clone + Send + Sync + 'static {
    /// The record of a user.
    fn load(&self, user: &str) -> impl Future<Output = Result<Option<Kept>, StoreError>> + Send;

    /// Grants the lease on a version to `holder`, for so long by the store's own clock: true where the record has that
    /// version and nobody else holds a lease that has not ended. A holder that asks again gets the lease again. Any
    /// duration is valid: a lease of none ends at once, and one that no clock can show is as long as the store can make it.
    fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends the lease, where `holder` has it; otherwise nothing changes.
    fn release(
        &self,
        user: &str,
        holder: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps a record in place of the one of that version, and ends any lease: true where the record had that version.
    /// Without a version it is kept where the user has no record.
    ///
    /// Also true where the record has the new version already: the call is a repetition, and nothing changes, a lease on
    /// the new version neither.
    fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        kept: &Kept,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes the record of a user, where it has that version: true where it did. False where nothing is there, so a call
    /// that is repeated after its answer was lost may say false of what it removed itself.
    fn remove(
        &self,
        user: &str,
        version: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What a token store keeps of a user.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which record it is. No two are the same, and none is empty.
    pub version: String,
    /// What is kept. It is secret, and text.
    pub record: String,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ApplicationId, ContractId};

    fn ids(application: &str, contract: &str) -> Ids {
        Ids::new(
            &ApplicationId::new(application).expect("an id"),
            &ContractId::new(contract).expect("an id"),
        )
    }

    #[test]
    fn no_two_contracts_and_names_share_a_key() {
        let keys = [
            key(&ids("a/b", "c"), "d"),
            key(&ids("a", "b/c"), "d"),
            key(&ids("a", "b"), "c d"),
            key(&ids("a", "b c"), "d"),
            key(&ids("a", "b%20c"), "d"),
            key(&ids("a", "b"), "c%20d"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }

    #[test]
    fn a_key_has_no_character_that_a_database_refuses() {
        assert_eq!(key(&ids("a", "b"), "c\0d\n"), "a/b c%00d%0A");
        assert_eq!(
            key(&ids("app-1", "contract_1"), "x-Y_z.~"),
            "app-1/contract_1 x-Y_z.~"
        );
    }
}
