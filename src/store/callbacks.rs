//! The callback of a web application, in one call.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::refresher::kept;
use super::taken::Taken;
use super::unsaved::{Place, Save};
use super::{FlowStore, SharedTokens, StoreError, TokenStore, key};
use crate::callback::{Callback, CallbackError};
use crate::client::Client;
use crate::contract::OngoingContract;
use crate::error::{Error, Internal, Operation};
use crate::flow::{Authorized, AwaitingCallback, Flow, Verifier};
use crate::platform::{Platform, lost};
use crate::random;
use crate::suspended::{Ids, Suspended, SuspendedError, Written};

/// What is parked in place of a flow whose callback has come.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Its code may have been sent, by whoever has this id.
    Exchanging { by: String },
    /// Its code was exchanged.
    Connected(Connected),
}

#[derive(Serialize, Deserialize)]
pub struct Connected {
    /// Identifies the code, so that only the same callback is answered.
    code_sha256: String,
    /// The user's key in the token store.
    user: String,
    /// What the application attached to the flow, as JSON.
    data: String,
}

/// A mark as it is stored. The name tells it from a suspended flow.
#[derive(Serialize, Deserialize)]
struct Stored {
    mark: Mark,
}

impl Mark {
    pub fn read(record: &str) -> Option<Self> {
        serde_json::from_str(record)
            .ok()
            .map(|Stored { mark }| mark)
    }

    /// Leaves a mark as it was found. One of an exchange is not put back, which could overwrite what its owner puts in its
    /// place; one of a connection is the last that is put.
    pub async fn give_back<S: FlowStore>(&self, mut taken: Taken<S>) {
        match self {
            Self::Exchanging { .. } => drop(taken.hand_over()),
            Self::Connected(_) => taken.put_back().await,
        }
    }

    fn write(self) -> Result<String, SuspendedError> {
        serde_json::to_string(&Stored { mark: self }).map_err(|_| SuspendedError::Damaged)
    }
}

impl<S: FlowStore + TokenStore> SharedTokens<S> {
    /// Takes the callback of a web application: claims the flow that waits for it, exchanges the code, and keeps the tokens
    /// for the user. Gives the authorized flow, and what the application attached when it parked the flow. `user` names
    /// the user by what was attached.
    ///
    /// It goes on when it is dropped, as when the user's browser closes the connection. What it does can be found again:
    /// the same callback, called once more, gives the same result, and [`find`](Self::find) gives the flow. As long as
    /// nothing can have been used, a failure leaves the flow parked, so that the user can reload the page.
    ///
    /// ```
    /// use digime::store::MemoryStore;
    /// use digime::{Callback, Client, Error, OngoingContract, SharedTokens};
    ///
    /// async fn called_back<C: OngoingContract + 'static>(
    ///     tokens: &SharedTokens<MemoryStore>,
    ///     contract: &C,
    ///     client: &Client,
    ///     query: &str,
    /// ) -> Result<String, Error> {
    ///     let callback = Callback::from_query(query)?;
    ///     let user = |customer: &String| customer.clone();
    ///     let (_flow, customer) = tokens.receive_callback(callback, contract, client, user).await?;
    ///     Ok(format!("{customer} is connected"))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Callback`] when the callback is not a good answer, as when the user declined; the flow waits on.
    /// [`StoreError::NothingParked`] when no flow waits for it. [`StoreError::InProgress`] when another request exchanges
    /// its code. [`Error::Request`] when the exchange failed: where [`Error::may_have_taken_effect`] is true the code may
    /// be spent, else the flow waits on. [`Error::Store`] when the store failed, [`Error::Suspended`] when this machine
    /// can't read what was parked; the flow waits on.
    pub fn receive_callback<C, D, U>(
        &self,
        callback: Callback,
        contract: &C,
        client: &Client,
        user: U,
    ) -> impl Future<Output = Result<(Flow<C, Authorized>, D), Error>> + Send + use<S, C, D, U>
    where
        C: OngoingContract + 'static,
        D: Serialize + DeserializeOwned + Send + 'static,
        U: FnOnce(&D) -> String + Send + 'static,
    {
        let tokens = self.clone();
        let platform = Platform::new(contract, client);
        let limit = client.call_timeout();
        async move {
            let receiving = tokio::spawn(tokens.receive(callback, platform, user));
            match tokio::time::timeout(limit, receiving).await {
                Ok(received) => {
                    // A panic of `user` may have said anything, so its words go no further.
                    received.unwrap_or_else(|_| Err(Internal("taking a callback").into()))
                }
                // The code may be on its way.
                Err(_) => Err(lost(Operation::ExchangeCode, "timed out")),
            }
        }
    }

    async fn receive<C, D>(
        self,
        callback: Callback,
        platform: Platform,
        user: impl FnOnce(&D) -> String,
    ) -> Result<(Flow<C, Authorized>, D), Error>
    where
        C: OngoingContract + 'static,
        D: Serialize + DeserializeOwned + Send + 'static,
    {
        let state = callback.state().ok_or(CallbackError::Missing("state"))?;
        let parked = key(&Ids::of(&platform.credentials), state);
        if let Some(mark) = self.mark(&parked).await? {
            return self.received_before(mark, &callback, platform).await;
        }
        let taken = Taken::take(&self.store, parked)
            .await?
            .ok_or(StoreError::InProgress)?;
        if let Some(mark) = Mark::read(taken.record()) {
            // It came since the look at it.
            mark.give_back(taken).await;
            return self.received_before(mark, &callback, platform).await;
        }
        match waiting(&taken, &callback, &platform, user) {
            Ok(waiting) => self.connect(taken, waiting, &callback).await,
            Err(error) => {
                taken.put_back().await;
                Err(error)
            }
        }
    }

    /// The mark in place of a flow whose callback has come before; nothing where the flow waits. Another request may have
    /// taken it and not put its mark yet, so that nothing is there only if nothing comes.
    async fn mark(&self, parked: &str) -> Result<Option<Mark>, StoreError> {
        for pause in [25, 50, 100].map(Duration::from_millis) {
            if let Some(record) = self.store.peek(parked).await? {
                return Ok(Mark::read(&record));
            }
            tokio::time::sleep(pause).await;
        }
        Err(StoreError::NothingParked)
    }

    /// What a callback that came before has brought.
    async fn received_before<C: OngoingContract + 'static, D: DeserializeOwned>(
        &self,
        mark: Mark,
        callback: &Callback,
        platform: Platform,
    ) -> Result<(Flow<C, Authorized>, D), Error> {
        let Mark::Connected(connected) = mark else {
            return Err(StoreError::InProgress.into());
        };
        if callback.code_sha256().as_ref() != Some(&connected.code_sha256) {
            return Err(StoreError::NothingParked.into());
        }
        let data = serde_json::from_str(&connected.data).map_err(|_| SuspendedError::Damaged)?;
        let flow = self.find_by_key(connected.user, platform).await?;
        Ok((flow.ok_or(StoreError::NothingParked)?, data))
    }

    /// Exchanges the code and keeps the tokens.
    async fn connect<C: OngoingContract + 'static, D: Serialize>(
        &self,
        mut taken: Taken<S>,
        waiting: Waiting<C, D>,
        callback: &Callback,
    ) -> Result<(Flow<C, Authorized>, D), Error> {
        let Waiting {
            flow,
            data,
            connected,
        } = waiting;
        // A process that dies from here on leaves the mark, which says why the code is not sent again.
        let mark = Mark::Exchanging {
            by: random::url_safe_256(),
        };
        taken.try_mark(mark.write()?).await?;
        // From here on nothing puts the flow back but the platform's word that the code was not used.
        let record = taken.hand_over();
        let flow = match flow.redeem_in_full(callback).await {
            Ok(flow) => flow,
            Err(error) => {
                if !error.may_have_taken_effect() {
                    taken.replace(record).await;
                }
                return Err(error);
            }
        };
        let user = connected.user.clone();
        self.keep_in_any_case(&user, &flow).await?;
        taken.replace(Mark::Connected(connected).write()?).await;
        Ok((flow.refreshed_by(self.refresher(user)), data))
    }

    /// Keeps the tokens of a new consent, for as long as it takes the store to take them.
    async fn keep_in_any_case<C: 'static>(
        &self,
        user: &str,
        flow: &Flow<C, Authorized>,
    ) -> Result<(), Error> {
        let suspended = flow.suspend();
        let written = suspended.written();
        let save = Save {
            store: self.store.clone(),
            user: user.to_owned(),
            record: kept(written)?,
            place: Place::Consent,
        };
        self.unsaved.save(save).await;
        Ok(())
    }
}

/// A flow that waits for the callback that has come.
struct Waiting<C, D> {
    flow: Flow<C, AwaitingCallback<Verifier>>,
    data: D,
    connected: Connected,
}

/// Checks all that can be checked before anything is used.
fn waiting<S: FlowStore, C: OngoingContract, D: Serialize + DeserializeOwned>(
    taken: &Taken<S>,
    callback: &Callback,
    platform: &Platform,
    user: impl FnOnce(&D) -> String,
) -> Result<Waiting<C, D>, Error> {
    let (flow, data) = Suspended::of(Written::from_json(taken.record())?).into_parts();
    let flow: Flow<C, AwaitingCallback<Verifier>> = flow.go_on(platform.clone())?;
    flow.check(callback)?;
    let connected = Connected {
        code_sha256: callback.code_sha256().unwrap_or_default(),
        user: key(&Ids::of(&platform.credentials), &user(&data)),
        data: serde_json::to_string(&data).map_err(|_| SuspendedError::Damaged)?,
    };
    Ok(Waiting {
        flow,
        data,
        connected,
    })
}
