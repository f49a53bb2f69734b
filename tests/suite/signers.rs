//! Contracts whose key is not in memory, but behind the application's own signer.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use digime::error::{Operation, RequestError, SignerError};
use digime::request::Request;
use digime::store::{MemoryStore, SharedTokens};
use digime::{
    ApplicationId, Authorized, AwaitingCallback, Callback, Client, ContractId, Error, Flow,
    PostboxItem, PrivateKey, RedirectUri, Signer, Verifier, async_trait, digime_contract,
};
use digime_sandbox::{Endpoint, Sandbox};
use serde_json::Value;

use crate::set_up::{
    consent, contract, found, in_time, item, once_json, ongoing_json, quick, sandbox, until,
};

#[digime_contract(ongoing)]
pub(crate) struct Receipts<K: Signer + Clone> {
    application_id: ApplicationId,
    contract_id: ContractId,
    pub(crate) private_key: K,
    redirect_uri: RedirectUri,
}

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    #[digime(private_key)]
    signer: Arc<dyn Signer>,
    redirect_uri: RedirectUri,
}

/// What a signer does instead of signing.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It signs all the same.
    None,
    Busy,
    Denied,
    Hangs,
    Panics,
    PanicsAtOnce,
    Returns(usize),
    /// It repeats what it was asked to sign.
    Echoes,
    /// It signs after some time.
    Slow(Duration),
}

/// A signer that misbehaves as its script says, and then signs.
#[derive(Clone, Debug)]
pub(crate) struct Hsm(Arc<State>);

#[derive(Debug)]
struct State {
    key: PrivateKey,
    faults: Mutex<VecDeque<Fault>>,
    /// How often it was asked.
    asked: Mutex<u64>,
    /// Shared by all signatures under way.
    under_way: Arc<()>,
}

impl Hsm {
    fn new(contract: &Value) -> Self {
        let pem = contract["private_key"].as_str().expect("a key");
        Self(Arc::new(State {
            key: PrivateKey::from_pem(pem).expect("a key"),
            faults: Mutex::default(),
            asked: Mutex::default(),
            under_way: Arc::default(),
        }))
    }

    pub(crate) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.faults.lock().expect("the faults").extend(faults);
    }

    fn asked(&self) -> u64 {
        *self.0.asked.lock().expect("the count")
    }

    fn under_way(&self) -> usize {
        Arc::strong_count(&self.0.under_way) - 1
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the HSM says: {0}")]
struct HsmError(String);

#[async_trait]
impl Signer for Hsm {
    fn key_id(&self) -> &'static str {
        "hsm/receipts"
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let _under_way = self.0.under_way.clone();
        *self.0.asked.lock().expect("the count") += 1;
        let fault = self.0.faults.lock().expect("the faults").pop_front();
        let says = |what: &str| HsmError(what.to_owned());
        match fault {
            None | Some(Fault::None) => {}
            Some(Fault::Busy) => return Err(SignerError::unavailable(says("busy"))),
            Some(Fault::Denied) => return Err(SignerError::refused(says("denied"))),
            Some(Fault::Hangs) => pending().await,
            Some(Fault::Panics) => {
                tokio::task::yield_now().await;
                panic!("a defect of the signer");
            }
            Some(Fault::PanicsAtOnce) => panic!("a defect of the signer"),
            Some(Fault::Returns(length)) => return Ok(vec![7; length]),
            Some(Fault::Echoes) => {
                let message = String::from_utf8_lossy(message);
                return Err(SignerError::refused(says(&message)));
            }
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        }
        self.0.key.sign(message).await
    }
}

pub(crate) type ReceiptsOfHsm = Receipts<Hsm>;

pub(crate) fn receipts(sandbox: &Sandbox) -> ReceiptsOfHsm {
    let json = ongoing_json(sandbox);
    with_signer(&json, Hsm::new(&json))
}

fn with_signer<K: Signer + Clone>(json: &Value, private_key: K) -> Receipts<K> {
    let text = |name: &str| json[name].as_str().expect("a string");
    Receipts {
        application_id: text("application_id").parse().expect("an id"),
        contract_id: text("contract_id").parse().expect("an id"),
        private_key,
        redirect_uri: text("redirect_uri").parse().expect("a URI"),
    }
}

async fn awaiting<K: Signer + Clone>(
    receipts: &Receipts<K>,
    sandbox: &Sandbox,
    client: &Client,
) -> (Flow<Receipts<K>, AwaitingCallback<Verifier>>, Callback) {
    let flow = receipts.flow(client);
    let session = flow.establish_session().await.expect("a session");
    let awaiting = flow.create_postbox(session).await.expect("a link");
    let callback = consent(sandbox, awaiting.url()).await;
    (awaiting, callback)
}

pub(crate) async fn authorized<K: Signer + Clone>(
    receipts: &Receipts<K>,
    sandbox: &Sandbox,
    client: &Client,
) -> Flow<Receipts<K>, Authorized> {
    let (awaiting, callback) = awaiting(receipts, sandbox, client).await;
    awaiting.exchange_code(callback).await.expect("a token")
}

/// A client whose signer has no time.
fn impatient(sandbox: &Sandbox) -> Client {
    let client = quick(sandbox).timeout(Duration::from_millis(50));
    client.max_retries(1).build().expect("a client")
}

async fn is_dropped_while_signing(call: impl Future, hsm: &Hsm) {
    tokio::select! {
        _ = call => panic!("it ended before"),
        () = until(async || hsm.under_way() == 1) => {}
    }
}

fn unsigned(error: &Error) -> (Operation, &SignerError) {
    match error {
        Error::Request(RequestError::Unsigned {
            operation, source, ..
        }) => (*operation, source),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_token_of_both_flows_is_signed_by_the_signer() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let flow = authorized(&receipts, &sandbox, &client).await;
    let _ = flow.refresh().await.expect("a token");
    let _ = flow.push(item()).await.expect("a delivery");
    assert_eq!(receipts.private_key.asked(), 4);

    let json = once_json(&sandbox);
    let hsm = Hsm::new(&json);
    let Receipts {
        application_id,
        contract_id,
        private_key,
        redirect_uri,
    } = with_signer(&json, hsm.clone());
    let welcome = Welcome {
        application_id,
        contract_id,
        signer: Arc::new(private_key),
        redirect_uri,
    };
    let flow = welcome.flow(&client);
    let session = flow.establish_session().await.expect("a session");
    let awaiting = flow.create_postbox(session).await.expect("a link");
    let callback = consent(&sandbox, awaiting.url()).await;
    let ready = awaiting.receive_postbox(callback).expect("a postbox");
    let _ = ready.push(item()).await.expect("a delivery");
    assert_eq!(hsm.asked(), 1);
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_private_key_is_a_signer_among_others() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let pem: Value = ongoing_json(&sandbox)["private_key"].clone();
    let receipts = with_signer(&ongoing_json(&sandbox), contract::<PrivateKey>(pem));
    let flow = authorized(&receipts, &sandbox, &client).await;
    let _ = flow.push(item()).await.expect("a delivery");
    assert_eq!(receipts.private_key.key_id().len(), 43);
}

#[tokio::test]
async fn a_signature_that_fails_for_now_is_tried_again_and_uses_nothing_up() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let hsm = &receipts.private_key;
    let twice = || [Fault::Busy, Fault::Busy];

    let (awaiting, callback) = awaiting(&receipts, &sandbox, &client).await;
    hsm.inject(twice());
    let flow = awaiting.exchange_code(callback).await.expect("a token");
    hsm.inject(twice());
    let _ = flow.refresh().await.expect("a token");
    hsm.inject(twice());
    let _ = flow.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.requests(Endpoint::Token), 2);
    assert_eq!(sandbox.requests(Endpoint::Push), 1);
    assert_eq!(hsm.asked(), 1 + 3 * 3);
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_code_and_a_refresh_token_are_unspent_if_nobody_signs_for_them() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let hsm = &receipts.private_key;

    let (awaiting, callback) = awaiting(&receipts, &sandbox, &client).await;
    hsm.inject([Fault::Denied]);
    let rejected = awaiting.exchange_code(callback.clone()).await;
    let rejected = rejected.expect_err("nobody signs");
    let (operation, source) = unsigned(rejected.error());
    assert_eq!(operation, Operation::ExchangeCode);
    assert!(matches!(source, SignerError::Refused(_)));
    assert!(!rejected.error().may_have_taken_effect());
    assert_eq!(
        rejected.error().report().to_string(),
        "can't exchange the code: the request was not signed with the key `hsm/receipts`, and so not sent; \
         check that this application may sign with the key, by PS512: the key can't be used: \
         the HSM says: denied"
    );
    assert_eq!(sandbox.requests(Endpoint::Token), 0);

    let awaiting = rejected.into_flow();
    let flow = awaiting.exchange_code(callback).await.expect("a token");
    hsm.inject([Fault::Denied]);
    sandbox.expire_access_tokens();
    let error = flow.refresh().await.expect_err("nobody signs");
    assert_eq!(unsigned(&error).0, Operation::RefreshToken);
    assert!(!error.may_have_taken_effect());
    // A push refreshes by itself only if the refresh token is not in doubt.
    let _ = flow.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_signer_that_hangs_is_a_timeout_and_nothing_was_sent() {
    let sandbox = sandbox().await;
    let (patient, client) = (
        quick(&sandbox).build().expect("a client"),
        impatient(&sandbox),
    );
    let receipts = receipts(&sandbox);
    let hsm = &receipts.private_key;
    let flow = authorized(&receipts, &sandbox, &patient).await;
    let flow = flow.suspend().resume(&receipts, &client).expect("the flow");
    let before = sandbox.requests(Endpoint::Token);
    for call in ["push", "refresh"] {
        hsm.inject([Fault::Hangs, Fault::Hangs]);
        let error = match call {
            "push" => in_time(flow.push(item())).await.expect_err("no signature"),
            _ => in_time(flow.refresh()).await.expect_err("no signature"),
        };
        assert!(matches!(unsigned(&error).1, SignerError::Unavailable(_)));
        assert!(!error.may_have_taken_effect());
        let report = error.report().to_string();
        assert!(report.ends_with("did not answer within 50ms"), "{report}");
        assert_eq!(hsm.under_way(), 0);
    }
    assert_eq!(sandbox.requests(Endpoint::Token), before);
    assert_eq!(sandbox.requests(Endpoint::Push), 0);
}

#[tokio::test]
async fn a_signer_that_hangs_for_longer_than_a_call_may_take_spends_no_code() {
    let sandbox = sandbox().await;
    let patient = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let (awaiting, callback) = awaiting(&receipts, &sandbox, &patient).await;
    let client = quick(&sandbox).call_timeout(Duration::from_secs(4));
    let client = client.max_retries(0).build().expect("a client");
    let awaiting = awaiting.suspend().resume(&receipts, &client);
    receipts.private_key.inject([Fault::Hangs]);
    let exchanging = awaiting.expect("the flow").exchange_code(callback.clone());
    let rejected = in_time(exchanging).await.expect_err("no signature");
    assert!(!rejected.error().may_have_taken_effect(), "{rejected}");
    let exchanging = rejected.into_flow().exchange_code(callback);
    let _ = exchanging.await.expect("a token");
}

#[tokio::test]
async fn a_signature_of_an_impossible_length_is_not_sent() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let flow = authorized(&receipts, &sandbox, &client).await;
    for length in [0, 255, 1025, 1 << 20] {
        receipts.private_key.inject([Fault::Returns(length)]);
        let error = flow.push(item()).await.expect_err("no signature");
        assert!(matches!(unsigned(&error).1, SignerError::Refused(_)));
        let report = error.report().to_string();
        assert!(
            report.contains(&format!("returned {length} bytes")),
            "{report}"
        );
    }
    assert_eq!(sandbox.requests(Endpoint::Push), 0);
    receipts.private_key.inject([Fault::Returns(256)]);
    let error = flow.push(item()).await.expect_err("a wrong signature");
    assert!(
        error
            .to_string()
            .contains("check that the private key `hsm/receipts` is"),
        "{error}"
    );
}

#[tokio::test]
async fn a_signer_that_panics_fails_its_call_alone() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let flow = authorized(&receipts, &sandbox, &client).await;
    receipts.private_key.inject(vec![Fault::Panics; 3]);
    let error = flow.push(item()).await.expect_err("no signature");
    assert!(error.report().to_string().contains("the signer panicked"));
    let _ = flow.push(item()).await.expect("a delivery");
}

#[tokio::test]
async fn a_signer_that_panics_spends_no_code_and_no_token() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).max_retries(0).build().expect("a client");
    let receipts = receipts(&sandbox);
    let hsm = &receipts.private_key;
    let (mut awaiting, callback) = awaiting(&receipts, &sandbox, &client).await;
    for fault in [Fault::Panics, Fault::PanicsAtOnce] {
        hsm.inject([fault]);
        let exchanging = awaiting.exchange_code(callback.clone()).await;
        let rejected = exchanging.expect_err("no signature");
        assert!(!rejected.error().may_have_taken_effect(), "{rejected}");
        awaiting = rejected.into_flow();
    }
    let flow = awaiting.exchange_code(callback).await.expect("a token");
    for fault in [Fault::Panics, Fault::PanicsAtOnce] {
        hsm.inject([fault]);
        let error = flow.refresh().await.expect_err("no signature");
        assert!(!error.may_have_taken_effect(), "{error}");
    }
    let _ = flow.refresh().await.expect("a token");
}

#[tokio::test]
async fn an_item_that_can_be_read_once_is_unread_if_nobody_signs() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let flow = authorized(&receipts, &sandbox, &client).await;
    receipts.private_key.inject([Fault::Busy]);
    let once = PostboxItem::reader("a.txt", std::io::Cursor::new("hello")).length(5);
    let _ = flow.push(once).await.expect("a delivery");
    assert_eq!(sandbox.inbox()[0].size, 5);
}

#[tokio::test]
async fn an_error_shows_no_secret_that_a_signer_repeats() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let flow = authorized(&receipts, &sandbox, &client).await;
    let token = flow.access_token();
    receipts.private_key.inject([Fault::Echoes]);
    let error = flow.push(item()).await.expect_err("no signature");
    let (_, source) = unsigned(&error);
    let shown = format!("{} {source:?}", error.report());
    assert!(shown.contains("[redacted]"), "{shown}");
    assert!(!shown.contains(token.secret()), "{shown}");
    // The tokens of the sandbox are JSON in base64url, in which their beginning is encoded.
    assert!(!shown.contains("eyJ"), "{shown}");
}

#[tokio::test]
async fn an_error_shows_nothing_of_a_signed_header_that_a_signer_repeats() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let flow = receipts.flow(&client);
    receipts
        .private_key
        .inject([Fault::None, Fault::Echoes, Fault::Echoes, Fault::Echoes]);
    let request = Request::post(["import"], Operation::custom("import"))
        .claims(&serde_json::json!({}))
        .signed_header(
            "FileDescriptor",
            &serde_json::json!({"tags": ["pregnancy"]}),
        );
    let error = flow.request(request).await.expect_err("no signature");
    let (_, source) = unsigned(&error);
    let shown = format!("{} {source:?}", error.report());
    assert!(shown.contains("[redacted]"), "{shown}");
    assert!(!shown.contains("eyJ"), "{shown}");
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_no_signature_behind() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let hsm = &receipts.private_key;
    let flow = authorized(&receipts, &sandbox, &client).await;
    hsm.inject([Fault::Hangs]);
    is_dropped_while_signing(flow.push(item()), hsm).await;
    until(async || hsm.under_way() == 0).await;
    assert_eq!(sandbox.requests(Endpoint::Push), 0);
}

#[tokio::test]
async fn what_outlives_a_dropped_call_waits_for_a_slow_signer() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let hsm = &receipts.private_key;
    let slow = || [Fault::Slow(Duration::from_millis(30))];

    let (awaiting, callback) = awaiting(&receipts, &sandbox, &client).await;
    let copy = serde_json::to_string(&awaiting.suspend()).expect("JSON");
    let exchange = || {
        let suspended: digime::Suspended<ReceiptsOfHsm, AwaitingCallback<Verifier>> =
            serde_json::from_str(&copy).expect("the flow");
        let flow = suspended.resume(&receipts, &client).expect("the flow");
        flow.exchange_code(callback.clone())
    };
    hsm.inject(slow());
    is_dropped_while_signing(exchange(), hsm).await;
    until(async || sandbox.requests(Endpoint::Token) == 1).await;
    let flow = exchange().await.expect("the tokens of the dropped call");

    let before = flow.access_token();
    hsm.inject(slow());
    is_dropped_while_signing(flow.refresh(), hsm).await;
    let _ = in_time(flow.refreshed_token(&before)).await;
    assert_eq!(sandbox.requests(Endpoint::Token), 2);
}

#[tokio::test]
async fn machines_that_share_tokens_lose_none_to_a_signer_that_fails() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let receipts = receipts(&sandbox);
    let tokens = SharedTokens::new(MemoryStore::new());
    let flow = authorized(&receipts, &sandbox, &client).await;
    let flow = tokens.keep("customer-42", flow).await.expect("it is kept");
    sandbox.expire_access_tokens();
    receipts.private_key.inject([Fault::Denied]);
    let error = flow.refresh().await.expect_err("nobody signs");
    assert!(!error.may_have_taken_effect());
    let other = found(async || {
        let found = tokens.find("customer-42", &receipts, &client).await;
        found.expect("the store works")
    });
    let _ = other.await.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_signer_that_fails_at_once_and_is_asked_without_pauses_blocks_nobody() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).retry_pauses(|| std::iter::repeat(Duration::ZERO));
    let client = client.build().expect("a client");
    let receipts = receipts(&sandbox);
    let flow = authorized(&receipts, &sandbox, &client).await;
    let hsm = &receipts.private_key;
    hsm.inject(vec![Fault::Busy; 1_000_000]);
    tokio::select! {
        pushed = flow.push(item()) => panic!("{pushed:?}"),
        () = until(async || hsm.asked() > 1_000) => {}
    }
}
