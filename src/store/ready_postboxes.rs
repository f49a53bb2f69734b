use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::bounded::Bounded;
use super::keys::{contract_ids, postbox_key};
use super::{TokenRecord, TokenStore};
use crate::error::Error;
use crate::flow::contract::{self, Contract};
use crate::flow::suspended::{Durable, Reaches, Suspended};
use crate::flow::{Flow, PostboxReady, Rejected, Trace};
use crate::platform::client::Client;

/// The postboxes of one-off contracts whose data comes later, kept in a [`TokenStore`] under a name that the application chooses.
///
/// A laboratory asks for consent when the sample is taken, and pushes the result days later, from another process. The
/// flow keeps its place here in between. Any number of machines may find it and push with it.
///
/// Cloning is cheap, and a clone uses the same store.
///
/// ```
/// use digime::store::{ReadyPostboxes, Store};
/// use digime::{Client, Error, Flow, OnceContract, PostboxItem, PostboxReady};
///
/// /// After the callback.
/// async fn keep<C: OnceContract>(
///     postboxes: &ReadyPostboxes<impl Store>,
///     ready: Flow<C, PostboxReady>,
///     patient: &str,
/// ) -> Result<(), Error> {
///     postboxes.keep(patient, ready).await?;
///     Ok(())
/// }
///
/// /// Days later.
/// async fn push<C: OnceContract>(
///     postboxes: &ReadyPostboxes<impl Store>,
///     contract: &C,
///     client: &Client,
///     patient: &str,
///     result: PostboxItem,
/// ) -> Result<(), Error> {
///     if let Some(ready) = postboxes.find(patient, contract, client).await? {
///         ready.push(result).await?;
///         postboxes.forget(patient, contract).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct ReadyPostboxes<S> {
    store: Bounded<S>,
}

impl<S: TokenStore> ReadyPostboxes<S> {
    /// Keeps postboxes in `store`.
    pub fn new(store: S) -> Self {
        Self {
            store: Bounded::new(store),
        }
    }

    /// How long one call of the store may take. Default: 20 seconds. A call that takes longer fails with
    /// [`StoreError::TimedOut`](crate::error::StoreError::TimedOut).
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store = self.store.with_timeout(timeout);
        self
    }

    /// Keeps a flow that has its postbox under a name, in place of an earlier one. The flow comes back.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed. The flow comes back then too.
    pub async fn keep<C>(
        &self,
        name: &str,
        flow: Flow<C, PostboxReady>,
    ) -> Result<Flow<C, PostboxReady>, Rejected<Flow<C, PostboxReady>>> {
        match self.replace(name, &flow.suspend()).await {
            Ok(()) => Ok(flow),
            Err(error) => Err(Rejected::new(flow, error)),
        }
    }

    /// Keeps a suspended flow, with the data attached to it, as [`keep`](Self::keep) does.
    ///
    /// ```
    /// use digime::store::{ReadyPostboxes, Store};
    /// use digime::{Error, Flow, PostboxReady};
    ///
    /// async fn keep<C>(
    ///     postboxes: &ReadyPostboxes<impl Store>,
    ///     ready: &Flow<C, PostboxReady>,
    ///     sample: u64,
    /// ) -> Result<(), Error> {
    ///     Ok(postboxes.keep_suspended("patient-7", ready.suspend().with(sample)).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Suspended`] if the attached data can't be serialized. The suspended
    /// flow comes back.
    pub async fn keep_suspended<C, D: Serialize>(
        &self,
        name: &str,
        flow: Suspended<C, PostboxReady, D>,
    ) -> Result<(), Rejected<Suspended<C, PostboxReady, D>>> {
        match self.replace(name, &flow).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Rejected::new(flow, error)),
        }
    }

    async fn replace<C, D: Serialize>(
        &self,
        name: &str,
        flow: &Suspended<C, PostboxReady, D>,
    ) -> Result<(), Error> {
        let contract = &flow.record().contract;
        let trace = Trace::of_ids(contract, PostboxReady::NAME, "keep");
        let key = postbox_key(contract, name);
        let keeping = async {
            let record = TokenRecord::new(flow.to_json()?);
            loop {
                let found = self.store.load(&key).await?;
                let version = found.as_ref().map(|found| found.version.as_str());
                if self.store.replace(&key, version, &record).await? {
                    return Ok::<_, Error>(());
                }
            }
        };
        trace.of(keeping).await
    }

    /// The flow that is kept under a name; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Suspended`] if this machine can't read what was kept.
    pub async fn find<C: Reaches<PostboxReady>>(
        &self,
        name: &str,
        contract: &C,
        client: &Client,
    ) -> Result<Option<Flow<C, PostboxReady>>, Error> {
        let found = self.find_suspended::<C, IgnoredAny>(name, contract).await?;
        let resumed = found.map(|found| {
            let (flow, _) = found.into_parts();
            flow.resume_on(contract::platform(contract, client))
        });
        Ok(resumed.transpose()?)
    }

    /// The flow that is kept under a name, with the data attached to it, to be resumed.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Suspended`] if this machine can't read what was kept, or the data is
    /// of another type.
    pub async fn find_suspended<C: Contract, D: DeserializeOwned>(
        &self,
        name: &str,
        contract: &C,
    ) -> Result<Option<Suspended<C, PostboxReady, D>>, Error> {
        let contract = contract_ids(contract);
        let trace = Trace::of_ids(&contract, PostboxReady::NAME, "find");
        let key = postbox_key(&contract, name);
        let finding = async {
            let found = self.store.load(&key).await?;
            let flow = found.map(|found| Suspended::from_json(&found.record));
            Ok::<_, Error>(flow.transpose()?)
        };
        trace.of(finding).await
    }

    /// Forgets the flow that is kept under a name. The postbox itself stays with the platform.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed.
    pub async fn forget<C: Contract>(&self, name: &str, contract: &C) -> Result<(), Error> {
        let contract = contract_ids(contract);
        let trace = Trace::of_ids(&contract, PostboxReady::NAME, "forget");
        let key = postbox_key(&contract, name);
        trace.of(self.store.forget(&key)).await
    }
}

impl<S> Clone for ReadyPostboxes<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
        }
    }
}

impl<S> fmt::Debug for ReadyPostboxes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyPostboxes")
            .field("store_timeout", &self.store.timeout())
            .finish_non_exhaustive()
    }
}
