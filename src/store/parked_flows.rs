use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::Bounded;
use super::keys::{contract_ids, key, parking_key};
use super::taken::Taken;
use super::{FlowRecord, FlowStore, StoreError};
use crate::callback::{Callback, CallbackError};
use crate::error::Error;
use crate::flow::contract::{self, Contract, Kind};
use crate::flow::suspended::{ContractIds, Durable, Parkable, Reaches, Suspended, SuspendedError};
use crate::flow::{AwaitingCallback, Flow, MaybeVerifier, Rejected, Trace};
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
    /// A flow in a library's state is parked under its [key](Parkable::parking_key) until it ends, or for 30 days if it has
    /// no end: a consent lasts no longer on digi.me.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Suspended`] if the attached data can't be serialized. The flow
    /// comes back.
    // The future is boxed, so that a flow in another state is one error.
    #[allow(
        clippy::type_complexity,
        reason = "an alias would hide what comes back"
    )]
    pub fn park<'a, C, P, D>(
        &'a self,
        mut flow: Suspended<C, P, D>,
    ) -> BoxFuture<'a, Result<(), Rejected<Suspended<C, P, D>>>>
    where
        C: 'a,
        P: Parkable + 'a,
        D: Serialize + Send + Sync + 'a,
    {
        async move {
            match self.put(&mut flow).await {
                Ok(()) => Ok(()),
                Err(error) => Err(Rejected::new(flow, error)),
            }
        }
        .boxed()
    }

    async fn put<C, P: Parkable, D: Serialize>(
        &self,
        flow: &mut Suspended<C, P, D>,
    ) -> Result<(), Error> {
        let trace = Trace::of_ids(&flow.record().contract, P::NAME, "park");
        trace.of(self.put_untraced(flow)).await
    }

    async fn put_untraced<C, P: Parkable, D: Serialize>(
        &self,
        flow: &mut Suspended<C, P, D>,
    ) -> Result<(), Error> {
        let record = FlowRecord {
            id: flow.parking_id(),
            record: flow.to_json()?,
            expires_in: flow.time_left().unwrap_or(LONGEST_CONSENT),
        };
        let flow = flow.record();
        let key = parking_key::<P>(&flow.contract, P::parking_key(&flow.payload));
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
            let trace = Trace::new(&platform, K::Verifier::STATE, "claim");
            let claiming = async {
                let state = callback.state().ok_or(CallbackError::Missing("state"))?;
                self.claim_on(platform, state).await
            };
            trace.of(claiming).await
        }
    }

    /// Takes the flow that is parked under a key, with the data attached to it, once: a flow in a library's state. The state is
    /// the one that the result is used as.
    ///
    /// ```
    /// # use digime::store::{MemoryStore, ParkedFlows};
    /// # use digime::suspended::{Parkable, Reaches};
    /// # use digime::{Client, Error, Flow};
    /// async fn claim<C: Reaches<S>, S: Parkable + Send>(
    ///     flows: &ParkedFlows<MemoryStore>,
    ///     contract: &C,
    ///     client: &Client,
    /// ) -> Result<Flow<C, S>, Error> {
    ///     let (flow, customer): (_, String) = flows.claim_by_key("review-7", contract, client).await?;
    ///     println!("resuming the review of {customer}");
    ///     Ok(flow)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::NothingParked`] if no flow waits; [`Error::Suspended`] if this machine can't read what was parked: it is
    /// put back, for a machine that can.
    #[allow(
        clippy::type_complexity,
        reason = "an alias would hide what comes back"
    )]
    pub fn claim_by_key<'a, C, P, D>(
        &'a self,
        key: &'a str,
        contract: &C,
        client: &Client,
    ) -> BoxFuture<'a, Result<(Flow<C, P>, D), Error>>
    where
        C: Reaches<P> + 'a,
        P: Parkable + Send + 'a,
        D: DeserializeOwned + Send + 'a,
    {
        let platform = contract::platform(contract, client);
        async move {
            let trace = Trace::new(&platform, P::NAME, "claim_by_key");
            trace.of(self.claim_on(platform, key)).await
        }
        .boxed()
    }

    async fn claim_on<C, P, D>(
        &self,
        platform: Platform,
        key: &str,
    ) -> Result<(Flow<C, P>, D), Error>
    where
        C: Reaches<P>,
        P: Parkable,
        D: DeserializeOwned,
    {
        let key = parking_key::<P>(&ContractIds::of(&platform.credentials), key);
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
                Err(error.into())
            }
        }
    }

    /// Of several contracts, the one under which a flow was parked that waits for this callback: one route may take the
    /// callbacks of many tenants. A callback that was handled before has its contract too, until its flow's session ends.
    ///
    /// The store is asked once for each contract, until it knows the flow.
    ///
    /// ```
    /// use digime::store::{MemoryStore, ParkedFlows, SharedTokens};
    /// use digime::{Callback, Client, Error, OngoingContract};
    ///
    /// async fn callback<C: OngoingContract + 'static>(
    ///     tenants: &[C],
    ///     client: &Client,
    ///     store: MemoryStore,
    ///     query: &str,
    /// ) -> Result<(), Error> {
    ///     let callback = Callback::from_query(query)?;
    ///     if let Some(tenant) = ParkedFlows::new(store.clone()).contract_of(&callback, tenants).await? {
    ///         let user = |customer: &String| customer.clone();
    ///         SharedTokens::new(store).receive_callback(callback, tenant, client, user).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed; [`Error::Callback`] if the callback has no `state`.
    pub async fn contract_of<'a, C: Contract + 'a>(
        &self,
        callback: &Callback,
        contracts: impl IntoIterator<Item = &'a C>,
    ) -> Result<Option<&'a C>, Error> {
        let state = callback.state().ok_or(CallbackError::Missing("state"))?;
        for contract in contracts {
            let key = key(&contract_ids(contract), state);
            if self.store.peek(&key).await?.is_some() {
                return Ok(Some(contract));
            }
        }
        Ok(None)
    }
}

/// For how long a flow without an end is parked.
const LONGEST_CONSENT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn resumed<C: Reaches<S>, S: Durable, D: DeserializeOwned>(
    record: &str,
    platform: Platform,
) -> Result<(Flow<C, S>, D), SuspendedError> {
    let (flow, data) = Suspended::<C, S, D>::from_json(record)?.into_parts();
    Ok((flow.resume_claimed(platform)?, data))
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::Verifier;
    use crate::error::StoreError;
    use crate::extend::ExtensionState;
    use crate::flow::suspended::Resuming;
    use crate::platform::scripted::{self, Receipts};
    use crate::store::{MemoryStore, SharedTokens};

    /// A client of a platform that refuses nothing.
    fn client() -> Client {
        scripted::client(scripted::good).build().expect("a client")
    }

    async fn park(tenant: &Receipts, flows: &ParkedFlows<MemoryStore>, client: &Client) -> String {
        let flow = tenant.flow(client);
        let session = flow.establish_session().await.expect("a session");
        let awaiting = flow.create_postbox(session).await.expect("a link");
        let state = awaiting.state().to_owned();
        flows
            .park(awaiting.suspend().with("Ada".to_owned()))
            .await
            .expect("a place");
        state
    }

    #[tokio::test]
    async fn the_contract_of_a_callback_is_found_among_many() {
        let client = client();
        let store = MemoryStore::new();
        let flows = ParkedFlows::new(store.clone());
        let tenants: Vec<_> = (0..10)
            .map(|number| scripted::tenant(&format!("c-{number}")))
            .collect();
        let mut states = Vec::new();
        for tenant in &tenants {
            states.push(park(tenant, &flows, &client).await);
        }
        for (tenant, state) in tenants.iter().zip(&states) {
            let callback = scripted::callback(state, "p");
            let found = flows
                .contract_of(&callback, &tenants)
                .await
                .expect("an answer");
            let found = found.expect("a tenant");
            assert_eq!(found.contract_id(), tenant.contract_id());

            let user = |user: &String| user.clone();
            let tokens = SharedTokens::new(store.clone());
            let received = tokens.receive_callback(callback.clone(), found, &client, user);
            let _ = received.await.expect("a connected user");
            let again = flows
                .contract_of(&callback, &tenants)
                .await
                .expect("an answer");
            assert!(again.is_some(), "the page is reloaded");
        }
    }

    #[tokio::test]
    async fn a_callback_that_no_flow_waits_for_has_no_contract() {
        let flows = ParkedFlows::new(MemoryStore::new());
        let callback = scripted::callback("unknown", "p");
        let tenants = [scripted::receipts()];
        let found = flows.contract_of(&callback, &tenants).await;
        assert!(found.expect("an answer").is_none());
    }

    /// A library's state that ends in an hour by the platform's clock.
    struct Asked(SystemTime);

    impl ExtensionState for Asked {}

    impl Durable for Asked {
        const NAME: &str = "parked_flows::Asked";
        type Kind = crate::kind::Ongoing;
        type Record = SystemTime;

        fn record(&self) -> SystemTime {
            self.0
        }

        fn from_record(record: SystemTime, _: &Resuming<'_>) -> Result<Self, SuspendedError> {
            Ok(Self(record))
        }

        fn expires_at(record: &SystemTime) -> Option<SystemTime> {
            Some(*record)
        }
    }

    impl Parkable for Asked {
        fn parking_key(_: &SystemTime) -> &'static str {
            "asked"
        }
    }

    #[tokio::test]
    async fn a_librarys_flow_waits_until_its_end_whatever_the_machines_clock_says() {
        let now = SystemTime::now() - Duration::from_hours(24);
        let client = scripted::client(scripted::good).clock(move || now);
        let client = client.build().expect("a client");
        let flows = ParkedFlows::new(MemoryStore::new());
        let tenant = scripted::receipts();
        let ends = client.platform_clock() + Duration::from_hours(1);
        let asked = tenant.flow(&client).extend(|_| Asked(ends));
        flows.park(asked.suspend()).await.expect("a place");
        let claimed: Result<(Flow<_, Asked>, ()), _> =
            flows.claim_by_key("asked", &tenant, &client).await;
        assert!(claimed.is_ok(), "{:?}", claimed.err());
    }

    #[tokio::test]
    async fn a_key_gives_out_the_flow_of_its_own_state_only() {
        let client = client();
        let flows = ParkedFlows::new(MemoryStore::new());
        let tenant = scripted::receipts();
        let state = park(&tenant, &flows, &client).await;
        let claimed: Result<(Flow<_, AwaitingCallback<Verifier>>, u8), _> =
            flows.claim_by_key(&state, &tenant, &client).await;
        let error = claimed.expect_err("the attached data is text");
        assert!(
            matches!(error, Error::Suspended(SuspendedError::Damaged)),
            "{error}"
        );
        let (awaiting, user): (Flow<_, AwaitingCallback<Verifier>>, String) = flows
            .claim_by_key(&state, &tenant, &client)
            .await
            .expect("it was put back");
        assert_eq!((awaiting.state(), user.as_str()), (state.as_str(), "Ada"));
        let again: Result<(Flow<_, AwaitingCallback<Verifier>>, String), _> =
            flows.claim_by_key(&state, &tenant, &client).await;
        let error = again.expect_err("it was claimed");
        assert!(
            matches!(error, Error::Store(StoreError::NothingParked)),
            "{error}"
        );
    }
}
