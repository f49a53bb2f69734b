//! Stores that fail, hang or answer late, and machines that pause: no consent is lost by them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use digime::error::{StoreError, SuspendedError};
use digime::store::{
    FlowRecord, FlowStore, Found, MemoryStore, ParkedFlows, SharedTokens, TokenRecord, TokenStore,
    async_trait,
};
use digime::{Authorized, Client, Error, Flow};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use tokio::sync::watch;

use crate::set_up::{
    Receipts, authorized, awaiting_ongoing, client, consent, customer, item, parked, quick,
    receipts, sandbox, until,
};

/// A call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Put,
    Peek,
    Take,
    PutBack,
    LeaveNote,
    Load,
    Lease,
    Release,
    Replace,
    Remove,
    List,
}

impl Call {
    const ALL: [Self; 10] = [
        Self::Put,
        Self::Peek,
        Self::Take,
        Self::PutBack,
        Self::LeaveNote,
        Self::Load,
        Self::Lease,
        Self::Release,
        Self::Replace,
        Self::Remove,
    ];
}

/// What befalls a call.
#[derive(Clone, Copy, Debug)]
enum Befalls {
    /// It fails, and nothing was done.
    Fails,
    /// It is done, and its answer is lost.
    LosesItsAnswer,
    /// It is done, its answer is lost, and every call after it fails.
    CutsOff,
    /// It is done when the store is mended.
    Hangs,
    /// It is done, and its answer never comes.
    NeverAnswers,
    /// It fails, and the database does it a moment later.
    IsLate,
}

/// A store in memory as one machine reaches it.
#[derive(Clone)]
struct Reached {
    store: MemoryStore,
    faults: Arc<Mutex<HashMap<Call, Befalls>>>,
    /// How often each call was made.
    calls: Arc<Mutex<HashMap<Call, u32>>>,
    mended: watch::Sender<u32>,
}

impl Reached {
    fn new(store: &MemoryStore) -> Self {
        Self {
            store: store.clone(),
            faults: Arc::default(),
            calls: Arc::default(),
            mended: watch::Sender::new(0),
        }
    }

    /// Lets a call fail from now on.
    fn break_call(&self, call: Call, befalls: Befalls) {
        self.faults.lock().expect("no panic").insert(call, befalls);
    }

    /// Lets every call be as it should.
    fn mend(&self) {
        self.faults.lock().expect("no panic").clear();
        self.mended.send_modify(|times| *times += 1);
    }

    /// Waits until a call was made so many times.
    async fn until_reached(&self, call: Call, times: u32) {
        let made = || self.calls.lock().expect("no panic").get(&call).copied();
        until(async || made().unwrap_or_default() >= times).await;
    }

    async fn reach<T: Send + 'static>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut mended = self.mended.subscribe();
        *self
            .calls
            .lock()
            .expect("no panic")
            .entry(call)
            .or_default() += 1;
        let befalls = self.faults.lock().expect("no panic").get(&call).copied();
        match befalls {
            None => work.await,
            Some(Befalls::Fails) => Err(StoreError::failed("the store is away")),
            Some(Befalls::LosesItsAnswer) => {
                work.await?;
                Err(StoreError::failed("the answer was lost"))
            }
            Some(Befalls::CutsOff) => {
                work.await?;
                for call in Call::ALL {
                    self.break_call(call, Befalls::Fails);
                }
                Err(StoreError::failed("the answer was lost"))
            }
            Some(Befalls::Hangs) => {
                let _ = mended.changed().await;
                work.await
            }
            Some(Befalls::NeverAnswers) => {
                work.await?;
                std::future::pending().await
            }
            Some(Befalls::IsLate) => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    work.await
                });
                Err(StoreError::failed("the connection was reset"))
            }
        }
    }
}

#[async_trait]
impl FlowStore for Reached {
    async fn put(&self, key: &str, parked: &FlowRecord) -> Result<(), StoreError> {
        let (store, key, parked) = (self.store.clone(), key.to_owned(), parked.clone());
        self.reach(Call::Put, async move { store.put(&key, &parked).await })
            .await
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let (store, key) = (self.store.clone(), key.to_owned());
        self.reach(Call::Peek, async move { store.peek(&key).await })
            .await
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        let (store, [key, claim]) = (self.store.clone(), [key, claim].map(str::to_owned));
        self.reach(Call::Take, async move { store.take(&key, &claim).await })
            .await
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        let (store, [key, claim]) = (self.store.clone(), [key, claim].map(str::to_owned));
        self.reach(
            Call::PutBack,
            async move { store.put_back(&key, &claim).await },
        )
        .await
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        let texts = [key, claim, note].map(str::to_owned);
        let (store, [key, claim, note]) = (self.store.clone(), texts);
        self.reach(Call::LeaveNote, async move {
            store.leave_note(&key, &claim, &note).await
        })
        .await
    }
}

#[async_trait]
impl TokenStore for Reached {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        let (store, user) = (self.store.clone(), user.to_owned());
        self.reach(Call::Load, async move { store.load(&user).await })
            .await
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        let texts = [user, version, holder].map(str::to_owned);
        let (store, [user, version, holder]) = (self.store.clone(), texts);
        self.reach(Call::Lease, async move {
            store.lease(&user, &version, &holder, duration).await
        })
        .await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        let (store, [user, holder]) = (self.store.clone(), [user, holder].map(str::to_owned));
        self.reach(
            Call::Release,
            async move { store.release(&user, &holder).await },
        )
        .await
    }

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        kept: &TokenRecord,
    ) -> Result<bool, StoreError> {
        let (store, user) = (self.store.clone(), user.to_owned());
        let (version, kept) = (version.map(str::to_owned), kept.clone());
        self.reach(Call::Replace, async move {
            store.replace(&user, version.as_deref(), &kept).await
        })
        .await
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        let (store, [user, version]) = (self.store.clone(), [user, version].map(str::to_owned));
        self.reach(
            Call::Remove,
            async move { store.remove(&user, &version).await },
        )
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        let (store, prefix) = (self.store.clone(), prefix.to_owned());
        let after = after.map(str::to_owned);
        self.reach(Call::List, async move {
            store.list(&prefix, after.as_deref(), limit).await
        })
        .await
    }
}

/// A machine that reaches the store that all share.
struct Machine {
    store: Reached,
    tokens: SharedTokens<Reached>,
}

impl Machine {
    fn new(shared: &MemoryStore) -> Self {
        let store = Reached::new(shared);
        let tokens = SharedTokens::new(store.clone()).lease_duration(Duration::from_millis(100));
        Self { store, tokens }
    }

    /// The customer's flow, as this machine finds it.
    async fn flow(&self, sandbox: &Sandbox) -> Flow<Receipts, Authorized> {
        let (receipts, client) = (receipts(sandbox), client(sandbox));
        let found = self.tokens.find("customer-42", &receipts, &client).await;
        found.expect("the store works").expect("the flow")
    }
}

/// Two machines, and a customer who has consented and whose access token has expired.
async fn two_machines(sandbox: &Sandbox) -> (Machine, Machine) {
    let shared = MemoryStore::new();
    let (one, other) = (Machine::new(&shared), Machine::new(&shared));
    let flow = authorized(sandbox).await;
    let _ = one.tokens.keep("customer-42", flow).await.expect("kept");
    sandbox.expire_access_tokens();
    (one, other)
}

/// Lets `work` run until the platform is asked for a token, and drops it.
async fn drop_when_sent(sandbox: &Sandbox, work: impl Future) {
    let before = sandbox.requests(Endpoint::Token);
    tokio::select! {
        _ = work => panic!("it was to be dropped"),
        () = until(async || sandbox.requests(Endpoint::Token) > before) => {}
    }
}

#[tokio::test]
async fn tokens_that_are_kept_again_after_an_error_overwrite_no_newer_ones() {
    let sandbox = sandbox().await;
    let shared = MemoryStore::new();
    let (one, other) = (Machine::new(&shared), Machine::new(&shared));
    one.store.break_call(Call::Replace, Befalls::LosesItsAnswer);
    let flow = authorized(&sandbox).await;
    let rejected = one.tokens.keep("customer-42", flow).await;
    let flow = rejected.expect_err("the answer was lost").into_flow();
    sandbox.expire_access_tokens();
    let others = other.flow(&sandbox).await;
    let _ = others.push(item()).await.expect("a delivery");
    one.store.mend();
    let _ = one.tokens.keep("customer-42", flow).await.expect("kept");
    let found = other.flow(&sandbox).await;
    assert_eq!(found.access_token(), others.access_token());
}

#[tokio::test]
async fn new_tokens_are_saved_when_the_store_comes_back() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    // The mark is the first replacement; the store fails from then on.
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_millis(500)));
    let before = sandbox.requests(Endpoint::Token);
    let broken = async {
        until(async || sandbox.requests(Endpoint::Token) > before).await;
        for call in [Call::Load, Call::Replace] {
            one.store.break_call(call, Befalls::Fails);
        }
    };
    let (pushed, ()) = tokio::join!(flow.push(item()), broken);
    let _ = pushed.expect("the flow has its new token although the store has not");
    assert_eq!(one.tokens.unsaved(), 1);
    let error = other.flow(&sandbox).await.push(item()).await;
    let error = error.expect_err("only the first machine has the tokens");
    assert!(matches!(error, Error::RefreshInDoubt), "{error}");

    one.store.mend();
    one.tokens.flush().await;
    assert_eq!(one.tokens.unsaved(), 0);
    let _ = other
        .flow(&sandbox)
        .await
        .push(item())
        .await
        .expect("a delivery");
    assert_eq!(sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_store_that_loses_its_answers_changes_nothing() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    for call in [Call::Replace, Call::Lease, Call::Release] {
        one.store.break_call(call, Befalls::LosesItsAnswer);
    }
    let _ = flow.push(item()).await.expect("a delivery");
    until(async || one.tokens.unsaved() == 0).await;
    let _ = other
        .flow(&sandbox)
        .await
        .push(item())
        .await
        .expect("a delivery");
    assert_eq!(sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_mark_that_is_left_behind_by_a_failing_store_is_taken_away() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    one.store.break_call(Call::Replace, Befalls::CutsOff);
    let before = sandbox.requests(Endpoint::Token);
    let error = flow.push(item()).await.expect_err("the store is away");
    assert!(matches!(error, Error::Store(_)), "{error}");
    assert_eq!(
        sandbox.requests(Endpoint::Token),
        before,
        "nothing was sent"
    );
    assert!(!is_unsent(&other, &sandbox).await, "the mark is there");
    one.store.mend();
    one.tokens.flush().await;
    until(async || is_unsent(&other, &sandbox).await).await;
    let _ = other
        .flow(&sandbox)
        .await
        .push(item())
        .await
        .expect("a delivery");
    assert_eq!(sandbox.refreshes(), 1);
}

/// Under which key a store has the tokens of the customer 42.
fn key_of_customer_42(sandbox: &Sandbox) -> String {
    let contract = &sandbox.contracts().ongoing;
    format!(
        "{}/{} customer-42",
        contract.application_id, contract.contract_id
    )
}

/// Whether the record says that the refresh token was not sent.
async fn is_unsent(machine: &Machine, sandbox: &Sandbox) -> bool {
    let key = key_of_customer_42(sandbox);
    let kept = machine.store.store.load(&key).await.expect("it works");
    !kept.expect("a record").record.contains("\"sent\"")
}

#[tokio::test]
async fn a_machine_that_pauses_past_its_lease_saves_what_it_got() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let (flow, others) = (one.flow(&sandbox).await, other.flow(&sandbox).await);
    let before = sandbox.requests(Endpoint::Token);
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_millis(500)));
    let pauses = async {
        until(async || sandbox.requests(Endpoint::Token) > before).await;
        one.store.break_call(Call::Replace, Befalls::Hangs);
        until(async || sandbox.refreshes() == 1).await;
        let error = others.push(item()).await.expect_err("the sender pauses");
        assert!(matches!(error, Error::RefreshInDoubt), "{error}");
        let error = others.refresh().await.expect_err("the token is spent");
        assert!(matches!(error, Error::ConsentEnded { .. }), "{error}");
        one.store.mend();
    };
    let (pushed, ()) = tokio::join!(flow.push(item()), pauses);
    let _ = pushed.expect("a delivery");
    one.tokens.flush().await;
    let _ = others
        .push(item())
        .await
        .expect("the sender has saved its tokens");
    assert_eq!(sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_token_whose_sender_died_is_sent_again_only_by_name() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    // The platform never sees the request, and the sender never learns of it.
    sandbox.inject(Endpoint::Token, Fault::DisconnectAfter(0));
    let error = flow.push(item()).await.expect_err("no answer");
    assert!(error.may_have_taken_effect(), "{error}");
    drop((flow, one));

    let flow = other.flow(&sandbox).await;
    let before = sandbox.requests(Endpoint::Token);
    let error = flow.push(item()).await.expect_err("it may be spent");
    assert!(matches!(error, Error::RefreshInDoubt), "{error}");
    assert_eq!(sandbox.requests(Endpoint::Token), before);
    flow.refresh().await.expect("it was not");
    let _ = other
        .flow(&sandbox)
        .await
        .push(item())
        .await
        .expect("a delivery");
}

#[tokio::test]
async fn what_the_platform_did_not_use_is_tried_by_the_next_machine() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    sandbox.inject(Endpoint::Token, Fault::RetryAfter(503, 3600));
    let error = flow.push(item()).await.expect_err("a refusal");
    assert!(!error.may_have_taken_effect(), "{error}");
    let _ = other
        .flow(&sandbox)
        .await
        .push(item())
        .await
        .expect("a delivery");
}

#[tokio::test]
async fn consent_that_is_given_anew_is_not_overwritten_by_a_late_refresh() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_secs(1)));
    drop_when_sent(&sandbox, flow.push(item())).await;
    let anew = authorized(&sandbox).await;
    let token = anew.access_token();
    let _ = other.tokens.keep("customer-42", anew).await.expect("kept");
    let old = flow.access_token();
    flow.refreshed_token(&old).await;
    one.tokens.flush().await;
    assert_eq!(other.flow(&sandbox).await.access_token(), token);
}

#[tokio::test]
async fn consent_that_is_given_anew_is_not_removed_with_the_old_one() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    one.store.break_call(Call::Remove, Befalls::Hangs);
    sandbox.inject(Endpoint::Token, Fault::Refuse(401, "InvalidGrant"));
    drop_when_sent(&sandbox, flow.push(item())).await;
    let anew = authorized(&sandbox).await;
    let token = anew.access_token();
    let _ = other.tokens.keep("customer-42", anew).await.expect("kept");
    one.store.mend();
    let ended = flow.push(item()).await;
    assert!(ended.is_err() || flow.access_token() == token, "{ended:?}");
    assert_eq!(other.flow(&sandbox).await.access_token(), token);
}

#[tokio::test]
async fn a_sender_that_has_no_answer_blocks_no_other_machine_until_its_lease_ends() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let long = one.tokens.clone().lease_duration(Duration::from_hours(1));
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let found = long.find("customer-42", &receipts, &client).await;
    let flow = found.expect("the store works").expect("the flow");
    sandbox.inject(Endpoint::Token, Fault::LoseAnswer);
    let error = flow.push(item()).await.expect_err("no answer");
    assert!(error.may_have_taken_effect(), "{error}");
    let error = other.flow(&sandbox).await.push(item()).await;
    let error = error.expect_err("the token may be spent");
    assert!(matches!(error, Error::RefreshInDoubt), "{error}");
}

#[tokio::test]
async fn a_customer_who_is_forgotten_stays_so_after_a_late_refresh() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_secs(1)));
    drop_when_sent(&sandbox, flow.push(item())).await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let forgotten = other.tokens.forget("customer-42", &receipts).await;
    forgotten.expect("the store works");
    let old = flow.access_token();
    flow.refreshed_token(&old).await;
    one.tokens.flush().await;
    let found = other.tokens.find("customer-42", &receipts, &client).await;
    assert!(found.expect("the store works").is_none());
}

#[tokio::test]
async fn a_store_that_hangs_holds_no_call_and_costs_nothing() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let tokens = one.tokens.clone().store_timeout(Duration::from_millis(300));
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let find = || tokens.find("customer-42", &receipts, &client);
    let flow = find().await.expect("the store works").expect("the flow");
    let before = sandbox.requests(Endpoint::Token);
    for call in [Call::Load, Call::Replace] {
        one.store.break_call(call, Befalls::Hangs);
        let error = flow.push(item()).await.expect_err("the store hangs");
        assert!(
            matches!(error, Error::Store(StoreError::TimedOut(_))),
            "{error}"
        );
    }
    let error = find().await.expect_err("the store hangs");
    assert!(
        matches!(error, Error::Store(StoreError::TimedOut(_))),
        "{error}"
    );
    assert_eq!(
        sandbox.requests(Endpoint::Token),
        before,
        "nothing was sent"
    );

    one.store.mend();
    until(async || is_unsent(&other, &sandbox).await).await;
    let _ = flow.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_push_uses_new_tokens_before_a_slow_store_has_them() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let receipts = receipts(&sandbox);
    // The call ends before a save that hangs is left to itself.
    let client = quick(&sandbox)
        .call_timeout(Duration::from_secs(4))
        .build()
        .expect("a client");
    let found = one.tokens.find("customer-42", &receipts, &client).await;
    let flow = found.expect("the store works").expect("the flow");
    let before = flow.access_token();
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_secs(2)));
    let hang = async {
        until(async || sandbox.requests(Endpoint::Token) > 1).await;
        one.store.break_call(Call::Replace, Befalls::Hangs);
        flow.refreshed_token(&before).await;
        serde_json::to_value(flow.suspend()).expect("JSON")
    };
    let (pushed, suspended) = tokio::join!(flow.push(item()), hang);
    let _ = pushed.expect("the tokens are in this process");
    assert_eq!(one.tokens.unsaved(), 1);
    let kept = &suspended["state_data"]["tokens"];
    assert_eq!(kept["access_token"], flow.access_token().secret());
    assert!(kept["refresh"].is_null(), "the new token was not sent");

    one.store.mend();
    one.tokens.flush().await;
    let others = other.flow(&sandbox).await;
    let _ = others.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_lease_of_any_length_refreshes() {
    let sandbox = sandbox().await;
    for lease in [Duration::ZERO, Duration::from_secs(u64::MAX), Duration::MAX] {
        let store = MemoryStore::new();
        let tokens = SharedTokens::new(store).lease_duration(lease);
        let flow = authorized(&sandbox).await;
        let flow = tokens.keep("customer-42", flow).await.expect("kept");
        sandbox.expire_access_tokens();
        let _ = flow.push(item()).await.expect("a delivery");
    }
}

#[tokio::test]
async fn a_claim_that_is_dropped_leaves_its_flow_parked() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let flows = ParkedFlows::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    store.break_call(Call::Take, Befalls::Hangs);
    let claim = async || {
        let claimed = flows.claim::<_, _, String>(&callback, &receipts, &client);
        claimed.await
    };
    let dropped = tokio::time::timeout(Duration::from_millis(50), claim()).await;
    assert!(dropped.is_err(), "the store hangs");
    store.mend();
    until(async || claim().await.is_ok()).await;
}

#[tokio::test]
async fn a_flow_that_could_not_be_put_back_is_put_back_later_and_the_first_error_is_told() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let flows = ParkedFlows::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    store.break_call(Call::PutBack, Befalls::Fails);
    let mends = async {
        store.until_reached(Call::PutBack, 6).await;
        store.mend();
    };
    // The attached data is a string, and not a number.
    let (claimed, ()) = tokio::join!(
        flows.claim::<_, _, u64>(&callback, &receipts, &client),
        mends
    );
    let error = claimed.expect_err("of another type");
    assert!(
        matches!(error, Error::Suspended(SuspendedError::Damaged)),
        "{error}"
    );
    until(async || {
        let claimed = flows.claim::<_, _, String>(&callback, &receipts, &client);
        claimed.await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_callback_whose_tokens_the_store_does_not_take_yet_is_answered() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    store.break_call(Call::Replace, Befalls::Fails);
    let (flow, _) = tokens
        .receive_callback(callback, &receipts, &client, customer)
        .await
        .expect("the flow");
    assert_eq!(tokens.unsaved(), 1);
    let _ = flow.push(item()).await.expect("a delivery");
    store.mend();
    tokens.flush().await;
    let found = tokens.find("customer-42", &receipts, &client).await;
    assert!(found.expect("the store works").is_some());
}

#[tokio::test]
async fn a_callback_is_tried_again_whichever_call_of_the_store_fails_before_the_code_is_sent() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    for befalls in [Befalls::Fails, Befalls::LosesItsAnswer] {
        for call in [Call::Peek, Call::Take] {
            let store = Reached::new(&MemoryStore::new());
            let tokens = SharedTokens::new(store.clone());
            let callback = parked(&sandbox, &store).await;
            let before = sandbox.requests(Endpoint::Token);
            store.break_call(call, befalls);
            let load = || tokens.receive_callback(callback.clone(), &receipts, &client, customer);
            let error = load().await.expect_err("the store is away");
            assert!(matches!(error, Error::Store(_)), "{error}");
            assert_eq!(sandbox.requests(Endpoint::Token), before);
            store.mend();
            until(async || load().await.is_ok()).await;
        }
    }
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_leaves_its_flow_parked() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let flows = ParkedFlows::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    store.break_call(Call::Take, Befalls::LosesItsAnswer);
    let claim = async || {
        let claimed = flows.claim::<_, _, String>(&callback, &receipts, &client);
        claimed.await
    };
    let error = claim().await.expect_err("the answer was lost");
    assert!(
        matches!(error, Error::Store(StoreError::Failed(_))),
        "{error}"
    );
    store.mend();
    until(async || claim().await.is_ok()).await;
}

#[tokio::test]
async fn a_flow_that_is_parked_again_after_a_lost_answer_is_claimed_once() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let flows = ParkedFlows::new(store.clone());
    let awaiting = awaiting_ongoing(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    store.break_call(Call::Put, Befalls::LosesItsAnswer);
    let rejected = flows.park(awaiting.suspend()).await;
    let suspended = rejected.expect_err("the answer was lost").into_suspended();
    let claim = || flows.claim::<_, _, ()>(&callback, &receipts, &client);
    let (awaiting, ()) = claim().await.expect("it was parked");
    store.mend();
    flows.park(suspended).await.expect("the store works");
    let error = claim().await.expect_err("it was claimed");
    assert!(
        matches!(error, Error::Store(StoreError::NothingParked)),
        "{error}"
    );
    flows.park(awaiting.suspend()).await.expect("it is parked");
    let again = claim().await;
    assert!(again.is_ok(), "whoever has the flow can park it again");
}

#[tokio::test]
async fn a_store_that_hangs_before_the_code_is_sent_uses_nothing() {
    let sandbox = sandbox().await;
    let receipts = receipts(&sandbox);
    let client = Client::builder()
        .base_url(sandbox.base_url())
        .call_timeout(Duration::from_millis(300))
        .build()
        .expect("a client");
    for call in [Call::Peek, Call::Take] {
        let store = Reached::new(&MemoryStore::new());
        let tokens = SharedTokens::new(store.clone());
        let callback = parked(&sandbox, &store).await;
        let before = sandbox.requests(Endpoint::Token);
        store.break_call(call, Befalls::Hangs);
        let receive =
            |client| tokens.receive_callback(callback.clone(), &receipts, client, customer);
        let error = receive(&client).await.expect_err("the store hangs");
        assert!(
            matches!(error, Error::Store(StoreError::Failed(_))),
            "{error}"
        );
        store.mend();
        let patient = crate::set_up::client(&sandbox);
        until(async || receive(&patient).await.is_ok()).await;
        assert_eq!(
            sandbox.requests(Endpoint::Token),
            before + 1,
            "the call that had given up sent nothing"
        );
    }
}

#[tokio::test]
async fn a_store_that_hangs_after_the_answer_does_not_hide_it() {
    let sandbox = sandbox().await;
    let receipts = receipts(&sandbox);
    let client = Client::builder()
        .base_url(sandbox.base_url())
        .call_timeout(Duration::from_secs(3))
        .build()
        .expect("a client");
    for call in [Call::Load, Call::Replace, Call::LeaveNote] {
        let store = Reached::new(&MemoryStore::new());
        let tokens = SharedTokens::new(store.clone());
        let callback = parked(&sandbox, &store).await;
        store.break_call(call, Befalls::Hangs);
        let received = tokens.receive_callback(callback, &receipts, &client, customer);
        let (flow, _) = received.await.expect("the tokens are in this process");
        let _ = flow.push(item()).await.expect("a delivery");
        store.mend();
        tokens.flush().await;
    }
}

#[tokio::test]
async fn an_earlier_consent_whose_save_was_held_up_replaces_no_later_one() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let shared = MemoryStore::new();
    let (one, other) = (Machine::new(&shared), Machine::new(&shared));
    let callback = parked(&sandbox, &one.store).await;
    one.store.break_call(Call::Replace, Befalls::Fails);
    let receiving = one
        .tokens
        .receive_callback(callback, &receipts, &client, customer);
    assert!(receiving.await.is_ok(), "the tokens are in this process");
    // Consents within a few milliseconds of each other may come in any order.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let later = authorized(&sandbox).await;
    let token = later.access_token();
    let _ = other.tokens.keep("customer-42", later).await.expect("kept");
    one.store.mend();
    one.tokens.flush().await;
    assert_eq!(other.flow(&sandbox).await.access_token(), token);
}

#[tokio::test]
async fn tokens_of_an_earlier_consent_are_not_kept_over_a_later_one() {
    let sandbox = sandbox().await;
    let machine = Machine::new(&MemoryStore::new());
    let earlier = authorized(&sandbox).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let later = authorized(&sandbox).await;
    let token = later.access_token();
    let _ = machine
        .tokens
        .keep("customer-42", later)
        .await
        .expect("kept");
    let rejected = machine.tokens.keep("customer-42", earlier).await;
    let rejected = rejected.expect_err("there is a later consent");
    assert!(
        matches!(rejected.error(), Error::Store(StoreError::LaterConsent)),
        "{}",
        rejected.error()
    );
    assert_eq!(machine.flow(&sandbox).await.access_token(), token);
}

#[tokio::test]
async fn tokens_that_were_refreshed_outside_the_store_are_kept() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let machine = Machine::new(&MemoryStore::new());
    let flow = authorized(&sandbox).await;
    let suspended = flow.suspend();
    let _ = machine
        .tokens
        .keep("customer-42", flow)
        .await
        .expect("kept");
    // The tokens may be of the same second.
    let outside = suspended.resume(&receipts, &client).expect("the flow");
    let token = outside.refresh().await.expect("new tokens");
    let _ = machine
        .tokens
        .keep("customer-42", outside)
        .await
        .expect("kept");
    assert_eq!(machine.flow(&sandbox).await.access_token(), token);
}

#[tokio::test]
async fn a_customer_who_is_forgotten_stays_so_after_a_keep_that_was_dropped() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let tokens = SharedTokens::new(store.clone()).store_timeout(Duration::from_millis(100));
    let flow = authorized(&sandbox).await;
    store.break_call(Call::Replace, Befalls::Hangs);
    let keeping = tokens.keep("customer-42", flow);
    let dropped = tokio::time::timeout(Duration::from_millis(20), keeping).await;
    assert!(dropped.is_err(), "the store hangs");
    until(async || tokens.unsaved() == 1).await;
    let forgotten = tokens.forget("customer-42", &receipts).await;
    forgotten.expect("the store works");
    store.mend();
    tokens.flush().await;
    let found = tokens.find("customer-42", &receipts, &client).await;
    assert!(found.expect("the store works").is_none());
}

#[tokio::test]
async fn a_callback_that_is_overtaken_brings_what_the_other_brought() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let shared = MemoryStore::new();
    let (one, other) = (Machine::new(&shared), Machine::new(&shared));
    let callback = parked(&sandbox, &one.store).await;
    let receive = |machine: &Machine| {
        let tokens = machine.tokens.clone();
        tokens.receive_callback(callback.clone(), &receipts, &client, customer)
    };
    // The first has seen the flow, and takes it after the second.
    one.store.break_call(Call::Take, Befalls::Hangs);
    let winner = async {
        one.store.until_reached(Call::Take, 1).await;
        let (flow, _) = receive(&other).await.expect("the flow");
        one.store.mend();
        flow.access_token()
    };
    let (overtaken, token) = tokio::join!(receive(&one), winner);
    let (flow, attached) = overtaken.expect("the same flow");
    assert_eq!(
        (flow.access_token(), attached.as_str()),
        (token, "customer-42")
    );
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_later_consent_that_is_not_saved_yet_outlives_a_refresh_of_the_earlier_one() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let (one, other) = two_machines(&sandbox).await;
    let flow = one.flow(&sandbox).await;
    let callback = parked(&sandbox, &one.store).await;
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_secs(1)));
    let old = flow.access_token();
    drop_when_sent(&sandbox, flow.push(item())).await;
    one.store.break_call(Call::Replace, Befalls::Fails);
    let received = one
        .tokens
        .receive_callback(callback, &receipts, &client, customer);
    let (anew, _) = received.await.expect("the tokens are in this process");
    flow.refreshed_token(&old).await;
    one.store.mend();
    one.tokens.flush().await;
    let found = other.flow(&sandbox).await;
    assert_eq!(found.access_token(), anew.access_token());
}

#[tokio::test]
async fn new_tokens_that_are_not_saved_yet_outlive_a_keep_of_older_ones() {
    let sandbox = sandbox().await;
    let (one, other) = two_machines(&sandbox).await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let flow = one.flow(&sandbox).await;
    let copy = flow.suspend().resume(&receipts, &client).expect("the flow");
    let before = sandbox.requests(Endpoint::Token);
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_millis(500)));
    let broken = async {
        until(async || sandbox.requests(Endpoint::Token) > before).await;
        one.store.break_call(Call::Replace, Befalls::Fails);
    };
    let (pushed, ()) = tokio::join!(flow.push(item()), broken);
    let _ = pushed.expect("the flow has its new token");
    let _ = one.tokens.keep("customer-42", copy).await.expect("kept");
    assert_eq!(one.tokens.unsaved(), 1);
    one.store.mend();
    one.tokens.flush().await;
    let found = other.flow(&sandbox).await;
    assert_eq!(found.access_token(), flow.access_token());
}

#[test]
fn new_tokens_are_saved_by_another_runtime_when_theirs_has_ended() {
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let platform = runtime();
    let sandbox = platform.block_on(sandbox());
    let store = Reached::new(&MemoryStore::new());
    let tokens = SharedTokens::new(store.clone());
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    runtime().block_on(async {
        let callback = parked(&sandbox, &store).await;
        store.break_call(Call::Replace, Befalls::Fails);
        let received = tokens.receive_callback(callback, &receipts, &client, customer);
        assert!(received.await.is_ok(), "the tokens are in this process");
    });
    assert_eq!(tokens.unsaved(), 1);
    store.mend();
    runtime().block_on(async {
        let flushed = tokio::time::timeout(Duration::from_mins(1), tokens.flush()).await;
        flushed.expect("another runtime saves them");
        let found = tokens.find("customer-42", &receipts, &client).await;
        assert!(found.expect("the store works").is_some());
    });
}

#[tokio::test]
async fn a_customer_who_is_forgotten_while_the_store_is_asked_stays_so() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    store.break_call(Call::Replace, Befalls::Hangs);
    let received = tokens.receive_callback(callback, &receipts, &client, customer);
    assert!(received.await.is_ok(), "the tokens are in this process");
    let forgotten = tokens.forget("customer-42", &receipts).await;
    forgotten.expect("the store works");
    store.mend();
    // The store does what it was asked before, and is asked to undo it.
    store.until_reached(Call::Remove, 1).await;
    let found = async || tokens.find("customer-42", &receipts, &client).await;
    until(async || found().await.expect("the store works").is_none()).await;
}

#[tokio::test]
async fn a_claim_that_the_store_executes_late_or_never_answers_leaves_its_flow_parked() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    for befalls in [Befalls::NeverAnswers, Befalls::IsLate] {
        let store = Reached::new(&MemoryStore::new());
        let tokens = SharedTokens::new(store.clone()).store_timeout(Duration::from_millis(200));
        let callback = parked(&sandbox, &store).await;
        store.break_call(Call::Take, befalls);
        let load = || tokens.receive_callback(callback.clone(), &receipts, &client, customer);
        let error = load().await.expect_err("the store fails");
        assert!(matches!(error, Error::Store(_)), "{error}");
        store.mend();
        let waits = async || {
            tokio::time::sleep(Duration::from_millis(400)).await;
            load().await.is_ok()
        };
        until(waits).await;
    }
}

#[tokio::test]
async fn a_removal_that_the_store_executes_late_removes_no_new_consent() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = Reached::new(&MemoryStore::new());
    let tokens = SharedTokens::new(store.clone());
    let flow = authorized(&sandbox).await;
    let _ = tokens.keep("customer-42", flow).await.expect("kept");
    let callback = parked(&sandbox, &store).await;
    store.break_call(Call::Remove, Befalls::IsLate);
    let forgotten = tokens.forget("customer-42", &receipts).await;
    forgotten.expect_err("the connection was reset");
    store.mend();
    let received = tokens.receive_callback(callback, &receipts, &client, customer);
    let (flow, _) = received.await.expect("the flow");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let found = tokens.find("customer-42", &receipts, &client).await;
    let found = found.expect("the store works").expect("the new consent");
    assert_eq!(found.access_token(), flow.access_token());
}

#[tokio::test]
async fn tokens_that_an_earlier_version_refreshed_are_not_replaced_by_older_ones() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let flow = authorized(&sandbox).await;
    let copy = flow.suspend().resume(&receipts, &client).expect("the flow");
    let flow = tokens.keep("customer-42", flow).await.expect("kept");
    // Times of expiry are in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    flow.refresh().await.expect("new tokens");
    tokens.flush().await;
    let key = key_of_customer_42(&sandbox);
    let kept = store.load(&key).await.expect("it works").expect("a record");
    let mut record: serde_json::Value = serde_json::from_str(&kept.record).expect("JSON");
    let state = record["state_data"]["tokens"].as_object_mut();
    let state = state.expect("the tokens");
    for field in ["consented_at", "refreshes"] {
        assert!(state.remove(field).is_some(), "{field}");
    }
    let written = TokenRecord {
        version: "of an earlier version".into(),
        record: record.to_string(),
    };
    let replaced = store.replace(&key, Some(&kept.version), &written).await;
    assert!(replaced.expect("it works"));
    let _ = tokens.keep("customer-42", copy).await.expect("kept");
    let found = tokens.find("customer-42", &receipts, &client).await;
    let found = found.expect("the store works").expect("the flow");
    assert_eq!(found.access_token(), flow.access_token());
}
