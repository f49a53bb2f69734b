use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::Bounded;
use super::keys::key;
use super::taken::Taken;
use super::{FlowRecord, FlowStore, StoreError};
use crate::callback::{Callback, CallbackError};
use crate::error::Error;
use crate::flow::contract::{self, Contract, Kind};
use crate::flow::suspended::{ContractIds, Reaches, Suspended, SuspendedError, SuspendedRecord};
use crate::flow::{AwaitingCallback, Flow, MaybeVerifier, Rejected};
use crate::platform::Platform;
use crate::platform::client::Client;

/// A flow that was claimed, and the data that the application attached to it.
pub type Claimed<C, V, D> = (Flow<C, AwaitingCallback<V>>, D);

/// Flows that wait for their callback, parked in a [`FlowStore`] under their `state`.
///
/// Cloning is cheap, and a clone uses the same store.
///
/// ```
/// use digime::store::{MemoryStore, ParkedFlows};
/// use digime::{Callback, Client, Error, OnceContract};
///
/// /// The first request: asks, and returns the link to redirect to.
/// async fn begin<C: OnceContract>(
///     contract: &C,
///     client: &Client,
///     flows: &ParkedFlows<MemoryStore>,
///     patient: String,
/// ) -> Result<String, Error> {
///     let flow = contract.flow(client);
///     let session = flow.establish_session().await?;
///     let awaiting = flow.create_postbox(session).await?;
///     let link = awaiting.url().to_string();
///     flows.park(awaiting.suspend().with(patient)).await?;
///     Ok(link)
/// }
///
/// /// The second request: claims the flow, and takes the postbox.
/// async fn finish<C: OnceContract>(
///     contract: &C,
///     client: &Client,
///     flows: &ParkedFlows<MemoryStore>,
///     query: &str,
/// ) -> Result<(), Error> {
///     let callback = Callback::from_query(query)?;
///     let (awaiting, patient): (_, String) = flows.claim(&callback, contract, client).await?;
///     let ready = awaiting.receive_postbox(callback)?;
///     println!("{patient} has the postbox {}", ready.postbox_id());
///     Ok(())
/// }
/// ```
pub struct ParkedFlows<S> {
    store: Bounded<S>,
}

impl<S: FlowStore> ParkedFlows<S> {
    /// Parks flows in `store`.
    pub fn new(store: S) -> Self {
        Self {
            store: Bounded::new(store),
        }
    }

    /// How long one call of the store may take. Default: 20 seconds. A call that takes longer fails with
    /// [`StoreError::TimedOut`].
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store = self.store.with_timeout(timeout);
        self
    }

    /// Parks a flow that waits for its callback, with the data attached to it, until its session ends.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Suspended`] if the attached data can't be serialized. The flow
    /// comes back.
    pub async fn park<C, V, D>(
        &self,
        mut flow: Suspended<C, AwaitingCallback<V>, D>,
    ) -> Result<(), Rejected<Suspended<C, AwaitingCallback<V>, D>>>
    where
        V: MaybeVerifier,
        D: Serialize + Send + Sync,
    {
        match self.put(&mut flow).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Rejected::new(flow, error)),
        }
    }

    async fn put<C, V: MaybeVerifier, D: Serialize>(
        &self,
        flow: &mut Suspended<C, AwaitingCallback<V>, D>,
    ) -> Result<(), Error> {
        let record = FlowRecord {
            id: flow.parking_id(),
            record: flow.to_json()?,
            expires_in: flow.time_left().ok_or(SuspendedError::Damaged)?,
        };
        let flow = flow.record();
        let key = key(&flow.contract, &flow.payload.state);
        Ok(self.store.put(&key, &record).await?)
    }

    /// Takes the flow that waits for a callback, with the data attached to it, once. A callback that is replayed, raced,
    /// too late, or of another contract finds nothing.
    ///
    /// The flow judges the callback itself. If the flow is to wait again, as after a callback in which the user declined,
    /// park it again. For an ongoing contract,
    /// [`SharedTokens::receive_callback`](super::SharedTokens::receive_callback) does this and all that follows, and loses
    /// nothing when it is dropped or fails.
    ///
    /// A claim that is dropped before it ends leaves the flow parked.
    ///
    /// # Errors
    /// [`StoreError::NothingParked`] if no flow waits; [`Error::Callback`] if the callback has no `state`;
    /// [`Error::Suspended`] if this machine can't read what was parked: it is put back, for a machine that can.
    pub fn claim<C, K, D>(
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
            let key = key(&ContractIds::of(&platform.credentials), state);
            let taken = Taken::take(&self.store, key)
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

fn resumed<C: Reaches<AwaitingCallback<V>>, V: MaybeVerifier, D: DeserializeOwned>(
    record: &str,
    platform: Platform,
) -> Result<Claimed<C, V, D>, Error> {
    let mut record = SuspendedRecord::<AwaitingCallback<V>, D>::from_json(record)?;
    record.payload.has_not_ended(&platform.client);
    let (flow, data) = Suspended::of(record).into_parts();
    Ok((flow.resume_on(platform)?, data))
}

impl<S> Clone for ParkedFlows<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
        }
    }
}

impl<S> fmt::Debug for ParkedFlows<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkedFlows")
            .field("store_timeout", &self.store.timeout())
            .finish_non_exhaustive()
    }
}
