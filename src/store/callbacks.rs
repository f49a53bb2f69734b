//! The callback of a web application, in one call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::keys::{key, parking_key};
use super::taken::Taken;
use super::unsaved::{Place, Save};
use super::user_record::{Data, RecordFormat, to_data, token_record};
use super::{FlowStore, Found, SharedTokens, StoreError, TokenStore};
use crate::callback::{Callback, CallbackError};
use crate::error::Error;
use crate::flow::contract;
use crate::flow::grant::TokenContract;
use crate::flow::received_consent::ReceivedConsent;
use crate::flow::suspended::{ContractIds, Durable, Suspended, SuspendedError, SuspendedRecord};
use crate::flow::{Flow, Trace};
use crate::platform::Platform;
use crate::platform::client::Client;
use crate::platform::error::Operation;

/// The note that replaces a flow whose code was exchanged.
#[derive(Serialize, Deserialize)]
struct Connected {
    /// Identifies the code, so that only the same callback is answered.
    code_sha256: String,
    /// The user's key in the token store.
    user: String,
    /// The data that the application attached to the flow, as JSON.
    data: String,
}

/// What a callback's task and its caller know of each other.
#[derive(Debug)]
struct Decision {
    /// When the caller gives up.
    deadline: Option<Instant>,
    /// Whether the code is sent, or the caller has given up before that. The first decides.
    course: OnceLock<Course>,
    /// Why the code was not used, although it was to be sent.
    unused: OnceLock<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// The flow is taken and its code is sent.
    Sends,
    /// Nothing is sent.
    GivesUp,
}

/// The result of a callback.
struct Received<C: TokenContract, D> {
    flow: Flow<C, C::Granted>,
    data: D,
    /// The saving of new tokens.
    saving: Option<JoinHandle<()>>,
}

impl<S: FlowStore + TokenStore> SharedTokens<S> {
    /// Takes the callback of a web application: claims the flow that waits for it, exchanges the code, and keeps the tokens
    /// for the user. Returns the authorized flow, and the data that the application attached when it parked the flow.
    /// `user` names the user for that data.
    ///
    /// The data stays with the tokens, and [`connection`](Self::connection) returns it. If nothing was attached, the data of
    /// an earlier consent of the user stays.
    ///
    /// If it is dropped, as when the user's browser closes the connection, it continues in the background. Its result can be
    /// found later: the same callback, called once more, returns the same result, and [`find`](Self::find) returns the flow.
    /// A failure leaves the flow parked unless the code may be spent, so that the user can reload the page.
    ///
    /// ```
    /// use digime::store::{MemoryStore, SharedTokens};
    /// use digime::{Callback, Client, Error, OngoingContract};
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
    /// [`Error::Callback`] if the callback does not fit the flow, or the user declined; the flow still waits.
    /// [`StoreError::NothingParked`] if no flow waits for it. [`StoreError::InProgress`] if another request has claimed it.
    /// [`Error::Request`] if the exchange failed: if [`Error::may_have_taken_effect`] is true the code may be spent, otherwise
    /// the flow still waits. [`Error::Store`] if the store failed, [`Error::Suspended`] if this machine can't read what was
    /// parked; the flow still waits.
    // The future is boxed: with a named type a contract of the wrong kind is one error, and not one for each use of it.
    #[allow(
        clippy::type_complexity,
        reason = "an alias would hide what comes back"
    )]
    pub fn receive_callback<C, D, U>(
        &self,
        callback: Callback,
        contract: &C,
        client: &Client,
        user: U,
    ) -> BoxFuture<'static, Result<(Flow<C, C::Granted>, D), Error>>
    where
        C: TokenContract + 'static,
        D: Serialize + DeserializeOwned + Send + 'static,
        U: FnOnce(&D) -> String + Send + 'static,
    {
        let tokens = self.clone();
        let platform = contract::platform(contract, client);
        let limit = client.call_timeout();
        Box::pin(async move {
            let trace = Trace::new(&platform, C::Awaiting::NAME, "receive_callback");
            let deadline = Instant::now().checked_add(limit);
            let decision = Arc::new(Decision {
                deadline,
                course: OnceLock::new(),
                unused: OnceLock::new(),
            });
            let receiving = tokens.receive(callback, platform, user, decision.clone());
            // It continues without its caller, and says how it ended then too.
            let receiving = trace.of_the_same_call().of(receiving);
            let received = in_time(deadline, tokio::spawn(receiving)).await;
            let Received { flow, data, saving } = match received {
                Some(Ok(received)) => {
                    trace.leave();
                    received?
                }
                Some(Err(_)) => {
                    return trace.end(Err(unfinished(&decision, "its task ended early")));
                }
                None => return trace.end(Err(unfinished(&decision, "timed out"))),
            };
            // The tokens are in this process, which saves them also after the time of the call.
            if let Some(saving) = saving {
                let _ = in_time(deadline, saving).await;
            }
            Ok((flow, data))
        })
    }

    async fn receive<C, D>(
        self,
        callback: Callback,
        platform: Platform,
        user: impl FnOnce(&D) -> String,
        decision: Arc<Decision>,
    ) -> Result<Received<C, D>, Error>
    where
        C: TokenContract + 'static,
        D: Serialize + DeserializeOwned + Send + 'static,
    {
        let state = callback.state().ok_or(CallbackError::Missing("state"))?;
        let parked = parking_key::<C::Awaiting>(&ContractIds::of(&platform.credentials), state);
        let record = match self.store.peek(&parked).await? {
            Some(Found::Waiting(record)) => record,
            Some(Found::Taken(note)) => {
                return self.received_before(note, &callback, platform).await;
            }
            None => return Err(StoreError::NothingParked.into()),
        };
        let waiting = Waiting::read(&record, &callback, &platform, user)?;
        let taken = Taken::take(&self.store, parked.clone()).await?;
        let Some(taken) = taken.filter(|taken| taken.record() == record) else {
            // Another callback has taken it in between.
            let note = match self.store.peek(&parked).await? {
                Some(Found::Taken(note)) => note,
                _ => None,
            };
            return self.received_before(note, &callback, platform).await;
        };
        if *decision.course.get_or_init(|| Course::Sends) == Course::GivesUp {
            taken.put_back().await;
            return Err(StoreError::Busy.into());
        }
        self.connect(taken, waiting, &callback, &decision).await
    }

    /// The result of an earlier callback, as its note says.
    async fn received_before<C: TokenContract + 'static, D: DeserializeOwned>(
        &self,
        note: Option<String>,
        callback: &Callback,
        platform: Platform,
    ) -> Result<Received<C, D>, Error> {
        let note = note.ok_or(StoreError::InProgress)?;
        let connected: Connected =
            serde_json::from_str(&note).map_err(|_| SuspendedError::Damaged)?;
        if callback.code_sha256().as_ref() != Some(&connected.code_sha256) {
            return Err(StoreError::NothingParked.into());
        }
        let data = serde_json::from_str(&connected.data).map_err(|_| SuspendedError::Damaged)?;
        let flow = self.find_by_key(connected.user, platform).await?;
        Ok(Received {
            flow: flow.ok_or(StoreError::NothingParked)?,
            data,
            saving: None,
        })
    }

    /// Exchanges the code. A process that dies after this point leaves the flow taken, so that the code is not sent again.
    async fn connect<C: TokenContract + 'static, D>(
        &self,
        taken: Taken<S>,
        waiting: Waiting<C, D>,
        callback: &Callback,
        decision: &Decision,
    ) -> Result<Received<C, D>, Error> {
        let Waiting {
            flow,
            data,
            attached,
            user,
            note,
        } = waiting;
        let claim = taken.hand_over();
        let format = RecordFormat::of::<C::Granted>();
        let renewed = flow.renews();
        let earlier = self.consent_of(user.clone(), format);
        let flow = match flow.redeem_in_full(callback, decision.deadline).await {
            Ok(flow) => flow,
            Err(error) => {
                if !error.may_have_taken_effect() {
                    // The store may take longer than the caller waits.
                    let _ = decision.unused.set(error.clone());
                    claim.put_back().await;
                }
                return Err(error);
            }
        };
        let suspended = flow.suspended().with(attached);
        let save = Save {
            store: self.store.clone(),
            user: user.clone(),
            record: token_record(suspended.record())?,
            format,
            place: Place::Consent {
                earlier: found(earlier).await.or(renewed),
            },
        };
        // The tokens are in this process from now on, until the store has taken them.
        let saving = self.unsaved.save(save);
        let saving = tokio::spawn(async move {
            saving.await;
            claim.leave_note(note).await;
        });
        Ok(Received {
            flow: flow.refreshed_by(self.refresher::<C::Granted>(user)),
            data,
            saving: Some(saving),
        })
    }

    /// Looks for the user's earlier consent, in the background.
    fn consent_of(
        &self,
        user: String,
        format: RecordFormat,
    ) -> JoinHandle<Option<ReceivedConsent>> {
        let tokens = self.clone();
        tokio::spawn(async move {
            let kept = tokens.newest(&user).await.ok()??;
            (format.read)(&kept.record).map(|kept| kept.consent())
        })
    }
}

/// A flow that waits for the callback that has come.
struct Waiting<C: TokenContract, D> {
    flow: Flow<C, C::Awaiting>,
    data: D,
    /// The same data as JSON, which stays with the tokens.
    attached: Data,
    /// The user's key in the token store.
    user: String,
    /// The note that replaces it once its code was exchanged.
    note: String,
}

impl<C: TokenContract, D: Serialize + DeserializeOwned> Waiting<C, D> {
    /// Makes all checks that are possible before anything is used up.
    fn read(
        record: &str,
        callback: &Callback,
        platform: &Platform,
        user: impl FnOnce(&D) -> String,
    ) -> Result<Self, Error> {
        let record = SuspendedRecord::<C::Awaiting, D>::from_json(record)?;
        let (flow, data) = Suspended::of(record).into_parts();
        let flow: Flow<C, C::Awaiting> = flow.resume_on(platform.clone())?;
        flow.check(callback)?;
        let user = key(
            &ContractIds::of(&platform.credentials),
            &named(&data, user)?,
        );
        let connected = Connected {
            code_sha256: callback.code_sha256().unwrap_or_default(),
            user: user.clone(),
            data: serde_json::to_string(&data).map_err(|_| SuspendedError::Damaged)?,
        };
        let note = serde_json::to_string(&connected).map_err(|_| SuspendedError::Damaged)?;
        let attached = to_data(&data)?;
        Ok(Self {
            flow,
            data,
            attached,
            user,
            note,
        })
    }
}

/// The earlier consent, if it was found by now.
async fn found(earlier: JoinHandle<Option<ReceivedConsent>>) -> Option<ReceivedConsent> {
    if earlier.is_finished() {
        earlier.await.ok().flatten()
    } else {
        earlier.abort();
        None
    }
}

/// The output of a future. `None` if it takes longer than the deadline, if there is one.
async fn in_time<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, work).await.ok(),
        None => Some(work.await),
    }
}

/// Why a callback was not received. Unless its code is being sent already, nothing is sent from now on.
fn unfinished(decision: &Decision, cause: &'static str) -> Error {
    match decision.course.get_or_init(|| Course::GivesUp) {
        Course::GivesUp => StoreError::failed(cause).into(),
        Course::Sends => decision
            .unused
            .get()
            .cloned()
            .unwrap_or_else(|| Error::answer_lost(Operation::ExchangeCode, cause)),
    }
}

/// The user whom the application names for the attached data. The message of a panic may contain secrets.
fn named<D>(data: &D, user: impl FnOnce(&D) -> String) -> Result<String, CallbackError> {
    catch_unwind(AssertUnwindSafe(|| user(data))).map_err(|_| CallbackError::UserPanicked)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::platform::scripted;
    use crate::store::{MemoryStore, ParkedFlows};

    /// A client whose platform gives no date unless it is given one.
    fn client(own_clock: SystemTime, date: Option<SystemTime>) -> Client {
        let answer = move |path: &str| match date {
            Some(date) => {
                let date = httpdate::fmt_http_date(date);
                scripted::with_header(scripted::good(path), "date", &date)
            }
            None => scripted::good(path),
        };
        let client = scripted::client(answer).clock(move || own_clock);
        client.build().expect("a client")
    }

    /// Connects the customer, and gives the access token.
    async fn connect(store: &MemoryStore, client: &Client, postbox: &str) -> String {
        let tokens = SharedTokens::new(store.clone());
        let receipts = scripted::receipts();
        let flow = receipts.flow(client);
        let session = flow.establish_session().await.expect("a session");
        let awaiting = flow.create_postbox(session).await.expect("a link");
        let callback = scripted::callback(awaiting.state(), postbox);
        let flows = ParkedFlows::new(store.clone());
        let parked = flows.park(awaiting.suspend().with(42)).await;
        parked.expect("it is parked");
        let user = |customer: &u32| customer.to_string();
        let received = tokens.receive_callback(callback, &receipts, client, user);
        let (flow, _) = received.await.expect("the flow");
        tokens.flush().await;
        flow.access_token().secret().to_owned()
    }

    #[tokio::test]
    async fn the_later_of_two_consents_is_kept_whatever_the_clocks_say() {
        let (now, hour) = (SystemTime::now(), Duration::from_hours(1));
        for (first, second) in [
            (client(now + hour, None), client(now, None)),
            (client(now, None), client(now - hour, None)),
            (client(now, Some(now + hour)), client(now, Some(now))),
        ] {
            let store = MemoryStore::new();
            connect(&store, &first, "first").await;
            let later = connect(&store, &second, "second").await;
            let tokens = SharedTokens::new(store);
            let found = tokens.find("42", &scripted::receipts(), &second).await;
            let found = found.expect("the store works").expect("the flow");
            assert_eq!(found.access_token().secret(), later);
        }
    }
}
