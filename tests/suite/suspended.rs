//! Flows that are suspended, sealed, parked and resumed.

use std::marker::PhantomData;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use digime::error::{StoreError, SuspendedError};
use digime::extend::ExtensionState;
use digime::kind::Ongoing;
use digime::store::{MemoryStore, ParkedFlows, SharedTokens};
use digime::suspended::{Durable, Resuming};
use digime::{
    ApplicationId, Authorized, AwaitingCallback, Callback, Contract, ContractId, Error, Flow,
    NoVerifier, OngoingContract, PostboxItem, PostboxReady, PrivateKey, RedirectUri, SealingKeys,
    Suspended, Verifier, digime_contract,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::set_up::{
    Receipts, Welcome, authorized, awaiting_once, awaiting_ongoing, client, consent, contract,
    once_json, ongoing_json, ready, receipts, sandbox, welcome,
};

type AwaitingOnce = Suspended<Welcome, AwaitingCallback<NoVerifier>>;
type AwaitingOngoing = Suspended<Receipts, AwaitingCallback<Verifier>>;

/// Through the text that a database would keep.
fn stored<T: serde::Serialize, U: DeserializeOwned>(suspended: &T) -> U {
    let text = serde_json::to_string(suspended).expect("JSON");
    serde_json::from_str(&text).expect("what was written")
}

#[tokio::test]
async fn a_flow_goes_on_from_each_state_that_it_was_suspended_in() {
    let sandbox = sandbox().await;
    let (client, welcome, receipts) = (client(&sandbox), welcome(&sandbox), receipts(&sandbox));
    let item = || PostboxItem::bytes("a.txt", "abc");

    let awaiting = awaiting_once(&sandbox).await;
    let (url, state) = (awaiting.url().clone(), awaiting.state().to_owned());
    let suspended: AwaitingOnce = stored(&awaiting.suspend());
    let awaiting = suspended.resume(&welcome, &client).expect("the flow");
    assert_eq!((awaiting.url(), awaiting.state()), (&url, state.as_str()));
    let callback = consent(&sandbox, &url).await;
    let ready = awaiting.receive_postbox(callback).expect("a postbox");
    let suspended: Suspended<Welcome, PostboxReady> = stored(&ready.suspend());
    let ready = suspended.resume(welcome, &client).expect("the flow");
    let _ = ready.push(item()).await.expect("a delivery");

    let awaiting = awaiting_ongoing(&sandbox).await;
    let (url, guest) = (awaiting.url().clone(), awaiting.guest_url().clone());
    let suspended: AwaitingOngoing = stored(&awaiting.suspend());
    let awaiting = suspended.resume(&receipts, &client).expect("the flow");
    assert_eq!((awaiting.url(), awaiting.guest_url()), (&url, &guest));
    let callback = consent(&sandbox, &url).await;
    let authorized = awaiting.exchange_code(callback).await.expect("tokens");
    let suspended: Suspended<Receipts, Authorized> = stored(&authorized.suspend());
    let resumed = suspended.resume(receipts, &client).expect("the flow");
    assert_eq!(resumed.access_token(), authorized.access_token());
    sandbox.expire_access_tokens();
    let _ = resumed.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.inbox().len(), 2);
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn what_is_attached_comes_back_typed_and_the_contracts_key_is_never_in_it() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_ongoing(&sandbox).await;
    let suspended = awaiting.suspend().with((42, "customer".to_owned()));
    assert!(!format!("{suspended:?}").contains("customer"));
    let text = serde_json::to_string(&suspended).expect("JSON");
    let key = ongoing_json(&sandbox)["private_key"]
        .as_str()
        .map(str::to_owned);
    assert!(!text.contains(key.expect("PEM").lines().nth(1).expect("a line")));
    let read: Suspended<Receipts, AwaitingCallback<Verifier>, (u8, String)> =
        serde_json::from_str(&text).expect("what was written");
    assert_eq!(read.data().0, 42);
    let (flow, (number, name)) = read.into_parts();
    assert_eq!((number, name.as_str()), (42, "customer"));
    assert!(flow.resume(receipts(&sandbox), &client(&sandbox)).is_ok());
}

/// A library's state whose contract `C` is not that of the flow inside.
struct Mixed<C, D> {
    flow: Flow<D, Authorized>,
    contract: PhantomData<C>,
}

impl<C, D> ExtensionState for Mixed<C, D> {}

impl<C: OngoingContract, D: OngoingContract> Durable for Mixed<C, D> {
    const NAME: &str = "suite::Mixed";
    type Kind = Ongoing;
    type Record = Suspended<D, Authorized>;

    fn record(&self) -> Self::Record {
        self.flow.suspend()
    }

    fn from_record(record: Self::Record, resuming: &Resuming<'_>) -> Result<Self, SuspendedError> {
        Ok(Self {
            flow: resuming.flow(record)?,
            contract: PhantomData,
        })
    }
}

#[digime_contract(ongoing)]
struct Results {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[tokio::test]
async fn the_state_of_a_library_does_not_turn_a_flow_into_one_of_another_contract() {
    let sandbox = sandbox().await;
    let (client, receipts) = (client(&sandbox), receipts(&sandbox));
    let own = authorized(&sandbox).await.extend(|flow| Mixed {
        flow,
        contract: PhantomData::<Receipts>,
    });
    let own = own.suspend();
    let mixed: Suspended<Receipts, Mixed<Receipts, Results>> = stored(&own);
    assert!(own.resume(&receipts, &client).is_ok());
    let error = mixed.resume(&receipts, &client).err().expect("an error");
    let report = error.report().to_string();
    assert!(
        report.contains("set_up::Receipts, not") && report.contains("suspended::Results"),
        "{report}"
    );
}

#[tokio::test]
async fn data_of_another_contract_state_or_version_is_told_apart() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_once(&sandbox).await.suspend();
    let written = serde_json::to_value(&awaiting).expect("JSON");

    let mut other = once_json(&sandbox);
    other["contract_id"] = json!("another");
    let other: Welcome = contract(other);
    let error = awaiting.resume(&other, &client(&sandbox)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Suspended(SuspendedError::AnotherContract { .. })
        ),
        "{error}"
    );

    let why = |written: &Value| {
        let error = serde_json::from_value::<AwaitingOnce>(written.clone()).unwrap_err();
        error.to_string()
    };
    let error = serde_json::from_value::<AwaitingOngoing>(written.clone()).unwrap_err();
    assert!(
        error.to_string().contains(
            "is in the state `AwaitingCallback<NoVerifier>`, not `AwaitingCallback<Verifier>`"
        ),
        "{error}"
    );
    let mut later = written.clone();
    later["fmt"] = json!(2);
    later["state_data"] = json!("of another shape");
    assert!(why(&later).contains("by a later version of digime (format 2)"));
    let mut damaged = written.clone();
    damaged["state_data"]["session"] = json!(null);
    assert!(!why(&damaged).is_empty());
}

#[tokio::test]
async fn what_each_version_wrote_still_resumes() {
    let sandbox = sandbox().await;
    let ids = |mut json: Value| {
        json["application_id"] = json!("app-1");
        json["contract_id"] = json!("contract-1");
        json
    };
    let welcome: Welcome = contract(ids(once_json(&sandbox)));
    let receipts: Receipts = contract(ids(ongoing_json(&sandbox)));
    let client = client(&sandbox);

    let sample = include_str!("../samples/suspended-v1/awaiting_once.json");
    let suspended: Suspended<Welcome, AwaitingCallback<NoVerifier>, String> =
        serde_json::from_str(sample).expect("version 1");
    let (suspended, customer) = suspended.into_parts();
    assert_eq!(customer, "customer-42");
    let awaiting = suspended.resume(&welcome, &client).expect("the flow");
    assert_eq!(awaiting.state(), "a-state");

    let sample = include_str!("../samples/suspended-v1/awaiting_ongoing.json");
    let suspended: AwaitingOngoing = serde_json::from_str(sample).expect("version 1");
    let awaiting = suspended.resume(&receipts, &client).expect("the flow");
    assert!(
        awaiting
            .url()
            .as_str()
            .contains("preauthorizationCode=a-code")
    );

    let sample = include_str!("../samples/suspended-v1/postbox_ready.json");
    let suspended: Suspended<Welcome, PostboxReady> =
        serde_json::from_str(sample).expect("version 1");
    let ready = suspended.resume(&welcome, &client).expect("the flow");
    assert_eq!(ready.postbox_id(), "a-postbox");

    let sample = include_str!("../samples/suspended-v1/authorized.json");
    let suspended: Suspended<Receipts, Authorized> =
        serde_json::from_str(sample).expect("version 1");
    let authorized = suspended.resume(&receipts, &client).expect("the flow");
    assert_eq!(authorized.access_token().secret(), "an-access-token");
}

fn keys() -> SealingKeys {
    SealingKeys::new("2026-11", [7; 32])
}

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn a_sealed_flow_fits_a_cookie_and_opens_under_its_key_alone() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_ongoing(&sandbox).await;
    let state = awaiting.state().to_owned();
    let sealed = awaiting.suspend().seal(&keys(), HOUR).expect("a string");
    assert!(sealed.len() < 4000, "{} bytes", sealed.len());
    assert!(
        sealed
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
        "{sealed}"
    );
    assert!(!sealed.contains(&state));

    let rotated = SealingKeys::new("2026-12", [8; 32]).accept("2026-11", [7; 32]);
    for keys in [&keys(), &rotated] {
        let suspended = AwaitingOngoing::unseal(&sealed, keys).expect("the flow");
        let awaiting = suspended.resume(receipts(&sandbox), &client(&sandbox));
        assert_eq!(awaiting.expect("the flow").state(), state);
    }
    let why = |sealed: &str, keys: &SealingKeys| AwaitingOngoing::unseal(sealed, keys).unwrap_err();
    assert_eq!(
        why(&sealed, &SealingKeys::new("2027", [7; 32])),
        SuspendedError::UnknownKey("2026-11".into())
    );
    assert_eq!(
        why(&sealed, &SealingKeys::new("2026-11", [9; 32])),
        SuspendedError::Damaged
    );
    for text in [
        "",
        ".",
        "digime1",
        "digime1.MjAyNi0xMQ.",
        "digime1.MjAyNi0xMQ.AAAA",
    ] {
        assert_eq!(why(text, &keys()), SuspendedError::Damaged, "{text}");
    }
    let another_state = Suspended::<Welcome, PostboxReady>::unseal(&sealed, &keys()).unwrap_err();
    assert!(matches!(another_state, SuspendedError::AnotherState { .. }));
}

#[tokio::test]
async fn a_sealed_flow_that_was_changed_anywhere_does_not_open() {
    let sandbox = sandbox().await;
    let suspended = awaiting_once(&sandbox).await.suspend();
    let sealed = suspended.seal(&keys(), HOUR).expect("a string");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("a string");
        assert!(AwaitingOnce::unseal(&changed, &keys()).is_err(), "{at}");
    }
}

#[tokio::test]
async fn a_sealed_flow_whose_head_names_another_key_does_not_open() {
    let sandbox = sandbox().await;
    let suspended = awaiting_once(&sandbox).await.suspend();
    let sealed = suspended.seal(&keys(), HOUR).expect("a string");
    let (head, body) = sealed.rsplit_once('.').expect("a head");
    let renamed = |id: &str| format!("digime1.{}.{body}", BASE64_URL_SAFE_NO_PAD.encode(id));
    assert_eq!(renamed("2026-11"), format!("{head}.{body}"));

    // The same key bytes under both ids, so that only the head differs from what was sealed.
    let both = keys().accept("2026-12", [7; 32]);
    assert!(AwaitingOnce::unseal(&sealed, &both).is_ok());
    assert_eq!(
        AwaitingOnce::unseal(&renamed("2026-12"), &both).unwrap_err(),
        SuspendedError::Damaged
    );
}

#[tokio::test]
async fn a_sealed_flow_has_a_longest_length() {
    let sandbox = sandbox().await;
    let attached = |length: usize| "a".repeat(length);
    let suspended = ready(&sandbox).await.suspend();
    let sealed = suspended.seal(&keys(), HOUR).expect("a string");
    let room = (64 * 1024 - sealed.len()) * 3 / 4;
    let fits = suspended.with(attached(room - 8));
    let sealed = fits.seal(&keys(), HOUR).expect("a string");
    assert!(Suspended::<Welcome, PostboxReady, String>::unseal(&sealed, &keys()).is_ok());

    let (suspended, _) = fits.into_parts();
    let too_long = suspended.with(attached(room + 8));
    let error = too_long.seal(&keys(), HOUR).expect_err("it is too long");
    assert!(
        matches!(error, Error::Suspended(SuspendedError::TooLong)),
        "{error}"
    );
    let text = format!("{sealed}{}", attached(64 * 1024));
    assert_eq!(
        AwaitingOnce::unseal(&text, &keys()).unwrap_err(),
        SuspendedError::TooLong
    );
}

/// Short, and one line.
fn assert_short(error: &impl std::fmt::Display) {
    let text = error.to_string();
    assert!(text.len() < 1000, "{} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[tokio::test]
async fn an_error_quotes_little_of_what_was_stored_and_no_secret() {
    let sandbox = sandbox().await;
    let long = "hush\n\u{202e}".repeat(50_000);
    let id = BASE64_URL_SAFE_NO_PAD.encode("a\n".repeat(10_000));
    let error = AwaitingOnce::unseal(&format!("digime1.{id}.AAAA"), &keys()).unwrap_err();
    assert!(matches!(error, SuspendedError::UnknownKey(_)), "{error}");
    assert_short(&error);

    let written = serde_json::to_value(awaiting_once(&sandbox).await.suspend()).expect("JSON");
    let read = |json: &Value| serde_json::from_str::<AwaitingOnce>(&json.to_string());
    let mut of_another_contract = written.clone();
    of_another_contract["contract"]["contract_id"] = json!(long);
    let suspended = read(&of_another_contract).expect("a suspended flow");
    let error = suspended
        .resume(welcome(&sandbox), &client(&sandbox))
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Suspended(SuspendedError::AnotherContract { .. })
        ),
        "{error}"
    );
    assert_short(&error);

    let refused = |json: &Value| {
        let error = read(json).unwrap_err();
        assert_short(&error);
        error.to_string()
    };
    let mut in_another_state = written.clone();
    in_another_state["state"] = json!(long);
    assert!(refused(&in_another_state).contains("is in the state"));
    let values = [
        json!(long),
        json!([long]),
        json!({ long.as_str(): 1 }),
        json!(7),
    ];
    for value in &values {
        for path in [
            "",
            "/fmt",
            "/contract",
            "/contract/application_id",
            "/state_data",
            "/state_data/session",
            "/state_data/session/expiry",
            "/user_data",
        ] {
            let mut changed = written.clone();
            *changed.pointer_mut(path).expect("a part") = value.clone();
            if read(&changed).is_err() {
                assert!(!refused(&changed).contains("hush"), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn states_and_verifiers_can_not_be_guessed() {
    const FLOWS: usize = 64;
    let sandbox = sandbox().await;
    let mut pairs = Vec::new();
    for _ in 0..FLOWS {
        let written = serde_json::to_value(awaiting_ongoing(&sandbox).await.suspend());
        let data = written.expect("JSON")["state_data"].take();
        let bits = |value: &Value| {
            let text = value.as_str().expect("a string");
            assert_eq!(text.len(), 43);
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url");
            <[u8; 32]>::try_from(bytes).expect("256 bits")
        };
        pairs.push((
            bits(&data["state"]),
            bits(&data["verifier"]["code_verifier"]),
        ));
    }
    let states = pairs.iter().map(|(state, _)| *state);
    let verifiers = pairs.iter().map(|(_, verifier)| *verifier);
    let differences = pairs
        .iter()
        .map(|(state, verifier)| std::array::from_fn(|at| state[at] ^ verifier[at]));
    assert_random("the states", states);
    assert_random("the verifiers", verifiers);
    assert_random("what states and verifiers differ in", differences);

    let hash = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
    for (state, verifier) in pairs {
        for (one, other) in [(state, verifier), (verifier, state)] {
            let text = BASE64_URL_SAFE_NO_PAD.encode(other);
            assert_ne!(one.to_vec(), hash(&other), "a hash of the other's bytes");
            assert_ne!(one.to_vec(), hash(text.as_bytes()), "a hash of the other");
        }
    }
}

/// Whether every bit is one in some of the values and zero in others, and no value comes twice.
fn assert_random(what: &str, values: impl Iterator<Item = [u8; 32]>) {
    let values: Vec<_> = values.collect();
    let distinct: std::collections::BTreeSet<_> = values.iter().collect();
    assert_eq!(distinct.len(), values.len(), "{what} are not all different");
    for bit in 0..256 {
        let ones = values
            .iter()
            .filter(|value| value[bit / 8] >> (bit % 8) & 1 == 1)
            .count();
        assert!(
            (1..values.len()).contains(&ones),
            "bit {bit} of {what} is always the same"
        );
    }
}

#[tokio::test]
async fn a_sealed_flow_expires() {
    let sandbox = sandbox().await;
    let suspended = ready(&sandbox).await.suspend();
    let sealed = suspended.seal(&keys(), Duration::ZERO).expect("a string");
    assert_eq!(
        Suspended::<Welcome, PostboxReady>::unseal(&sealed, &keys()).unwrap_err(),
        SuspendedError::Expired
    );
    let sealed = suspended.seal(&keys(), Duration::MAX).expect("a string");
    assert!(Suspended::<Welcome, PostboxReady>::unseal(&sealed, &keys()).is_ok());
}

async fn claim<C: Contract<Kind = digime::kind::Once>>(
    flows: &ParkedFlows<MemoryStore>,
    callback: &Callback,
    contract: &C,
    client: &digime::Client,
) -> Result<(Flow<C, AwaitingCallback<NoVerifier>>, String), Error> {
    flows.claim(callback, contract, client).await
}

#[tokio::test]
async fn a_callback_claims_the_flow_that_waits_for_it_once() {
    let sandbox = sandbox().await;
    let (welcome, client) = (welcome(&sandbox), client(&sandbox));
    let flows = ParkedFlows::new(MemoryStore::new());
    let awaiting = awaiting_once(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    let suspended = awaiting.suspend().with("customer-42".to_owned());
    flows.park(suspended).await.expect("it is parked");

    let mut other = once_json(&sandbox);
    other["contract_id"] = json!("another");
    let other: Welcome = contract(other);
    let nothing = claim(&flows, &callback, &other, &client).await.unwrap_err();
    assert!(matches!(nothing, Error::Store(StoreError::NothingParked)));

    let (awaiting, customer) = claim(&flows, &callback, &welcome, &client)
        .await
        .expect("the flow, which another contract's claim has left");
    assert_eq!(customer, "customer-42");
    let again = claim(&flows, &callback, &welcome, &client)
        .await
        .unwrap_err();
    assert!(matches!(again, Error::Store(StoreError::NothingParked)));
    assert!(again.to_string().contains("claimed before"), "{again}");
    assert!(awaiting.receive_postbox(callback).is_ok());

    let stateless = Callback::from_query("result=SUCCESS").expect("a callback");
    let error = claim(&flows, &stateless, &welcome, &client)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Callback(_)), "{error}");
}

#[tokio::test]
async fn what_can_not_be_read_by_this_machine_is_left_for_another() {
    let sandbox = sandbox().await;
    let (welcome, client) = (welcome(&sandbox), client(&sandbox));
    let flows = ParkedFlows::new(MemoryStore::new());
    let awaiting = awaiting_once(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    let suspended = awaiting.suspend().with("customer-42".to_owned());
    flows.park(suspended).await.expect("it is parked");

    let error = flows
        .claim::<_, _, u64>(&callback, &welcome, &client)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Suspended(SuspendedError::Damaged)),
        "{error}"
    );
    assert!(claim(&flows, &callback, &welcome, &client).await.is_ok());
}

#[tokio::test]
async fn a_store_in_memory_is_bounded_and_gives_back_what_it_can_not_keep() {
    let sandbox = sandbox().await;
    let flows = ParkedFlows::new(MemoryStore::with_capacity(1));
    let one = awaiting_once(&sandbox).await.suspend();
    flows.park(one).await.expect("there is room");
    let other = awaiting_once(&sandbox).await;
    let state = other.state().to_owned();
    let rejected = flows.park(other.suspend()).await.unwrap_err();
    assert!(matches!(
        rejected.error(),
        Error::Store(StoreError::Full(1))
    ));
    let other = rejected
        .into_suspended()
        .resume(welcome(&sandbox), &client(&sandbox));
    assert_eq!(other.expect("the flow").state(), state);
}

#[tokio::test]
async fn flows_that_share_tokens_refresh_once_and_learn_that_consent_has_ended() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let tokens = SharedTokens::new(MemoryStore::new());
    let one = authorized(&sandbox).await;
    let one = tokens
        .keep("customer-42", one)
        .await
        .expect("they are kept");
    let other = tokens.find("customer-42", &receipts, &client).await;
    let other = other.expect("the store works").expect("the flow");
    assert!(
        tokens
            .find("customer-43", &receipts, &client)
            .await
            .expect("the store works")
            .is_none()
    );

    sandbox.expire_access_tokens();
    let item = || PostboxItem::bytes("a.txt", "abc");
    let (first, second) = tokio::join!(one.push(item()), other.push(item()));
    let _ = (first.expect("a delivery"), second.expect("a delivery"));
    assert_eq!(sandbox.refreshes(), 1);
    assert_eq!(one.access_token(), other.access_token());

    sandbox.end_consent();
    let (first, second) = tokio::join!(one.refresh(), other.refresh());
    for refreshed in [first, second] {
        let error = refreshed.expect_err("consent has ended");
        assert!(matches!(error, Error::ConsentEnded { .. }), "{error}");
    }
    let found = tokens.find("customer-42", &receipts, &client).await;
    assert!(found.expect("the store works").is_none());
}

#[tokio::test]
async fn tokens_that_were_forgotten_are_found_no_more() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let tokens = SharedTokens::new(MemoryStore::new());
    let flow = authorized(&sandbox).await;
    let flow = tokens
        .keep("customer-42", flow)
        .await
        .expect("they are kept");
    tokens
        .forget("customer-42", &receipts)
        .await
        .expect("the store works");
    assert!(
        tokens
            .find("customer-42", &receipts, &client)
            .await
            .expect("the store works")
            .is_none()
    );
    let error = flow.refresh().await.expect_err("no tokens are kept");
    assert!(matches!(error, Error::ConsentEnded { .. }), "{error}");
    assert_eq!(sandbox.refreshes(), 0);
}
