//! What a log contains about calls, requests and stores, at which level, and what it never contains.

use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use digime::error::StoreError;
use digime::store::{MemoryStore, ParkedFlows, SharedTokens, TokenRecord, TokenStore};
use digime::{Callback, PostboxItem, async_trait};
use digime_sandbox::{Endpoint, Fault};
use tracing::Level;

#[path = "traces/log.rs"]
mod log;

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "suite/set_up.rs"]
mod set_up;

use log::Log;
use set_up::{
    FOREVER, authorized, authorized_with, awaiting_ongoing, client, consent, customer, item,
    parked, quick, ready, receipts, sandbox, until,
};

#[tokio::test]
async fn a_log_has_each_call_and_each_request_and_no_secret() {
    let (log, _collecting) = Log::collect();
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let stale = flow.access_token();
    sandbox.inject(Endpoint::Push, Fault::Status(503));
    sandbox.expire_access_tokens();
    let item = PostboxItem::bytes("name.txt", "hush, data");
    let _ = flow.push(item).await.expect("a delivery");
    let ready = ready(&sandbox).await;
    let error = ready.push(PostboxItem::file("/no/such/file")).await;
    assert!(error.is_err());

    let contract = "contract=sandbox-ongoing";
    for parts in [
        vec![contract, "state=Unstarted call=establish_session", "done"],
        vec![contract, "state=Unstarted call=create_postbox", "done"],
        vec![
            contract,
            "state=AwaitingCallback<Verifier> call=exchange_code",
            "done",
        ],
        vec![contract, "state=Authorized call=push", "done"],
        vec![
            "call=push",
            "operation=push",
            "attempt=1 bytes=16 status=503",
            "failed",
        ],
        vec![
            "call=push",
            "operation=push",
            "attempt=2 bytes=16 status=200",
            "answered",
        ],
        vec![
            "call=push",
            "operation=refresh the access token",
            "status=200",
        ],
        vec![
            "DEBUG",
            "trying again",
            "can't push: the platform refused (503)",
        ],
        vec!["contract=sandbox-once", "call=receive_postbox", "done"],
        vec![
            "WARN",
            "contract=sandbox-once",
            "call=push",
            "failed",
            "can't read `/no/such/file`",
        ],
    ] {
        log.assert_has(&parts);
    }

    let suspended = serde_json::to_value(flow.suspend()).expect("JSON");
    let tokens = &suspended["state_data"]["tokens"];
    let session = &suspended["state_data"]["destination"]["session"];
    let secrets = [
        stale.secret(),
        tokens["access_token"].as_str().expect("a token"),
        tokens["refresh_token"].as_str().expect("a token"),
        session["sessionKey"].as_str().expect("a key"),
        session["sessionExchangeToken"].as_str().expect("a token"),
        "hush",
        "Bearer",
    ];
    for secret in secrets {
        assert!(!log.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn what_succeeds_is_debug_and_so_is_a_retry_that_then_succeeds() {
    let (log, _collecting) = Log::collect();
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.inject(Endpoint::Push, Fault::Status(503));
    let _ = flow.push(item()).await.expect("a delivery");
    log.assert_has(&["digime::request DEBUG", "trying again", "pause_ms=number"]);
    log.assert_has(&[
        "digime::call DEBUG",
        "call=push",
        "done",
        "duration_ms=number",
    ]);
    assert_eq!(log.above_debug(), Vec::<String>::new());
}

#[tokio::test]
async fn a_final_failure_is_one_warning_with_its_call() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let (log, _collecting) = Log::collect();
    for _ in 0..3 {
        sandbox.inject(Endpoint::Push, Fault::Status(503));
    }
    flow.push(item()).await.expect_err("no delivery");
    log.assert_one(&[
        "digime::call WARN",
        "contract=sandbox-ongoing",
        " state=Authorized call=push",
        "failed",
        "duration_ms=number",
        "(503)",
    ]);
}

#[tokio::test]
async fn a_log_of_warnings_alone_says_which_call_each_is_about() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let (log, _collecting) = Log::collect_up_to(Level::WARN);
    sandbox.inject(Endpoint::Push, Fault::Status(400));
    flow.push(item()).await.expect_err("no delivery");
    log.assert_one(&["WARN", "contract=sandbox-ongoing", "call=push"]);
}

#[tokio::test]
async fn a_wrong_setting_is_an_error_that_names_it() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    for (code, named) in [
        ("InvalidJWT", "is that of the contract `sandbox-ongoing"),
        ("InvalidRedirectUri", "register the redirect URI `http"),
        (
            "InvalidContractId",
            "check the contract id, `sandbox-ongoing",
        ),
    ] {
        let (log, _collecting) = Log::collect();
        sandbox.inject(Endpoint::Push, Fault::Refuse(401, code));
        flow.push(item()).await.expect_err("a refusal");
        log.assert_one(&["digime::call ERROR", "call=push", "failed", code, named]);
    }
}

#[tokio::test]
async fn what_the_user_decides_alarms_nobody() {
    let sandbox = sandbox().await;
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let declined = Callback::from_query("result=CANCEL").expect("a callback");
    let unknown = Callback::from_query("result=SUCCESS&state=unknown").expect("a callback");
    let awaiting = awaiting_ongoing(&sandbox).await;

    let (log, collecting) = Log::collect();
    awaiting
        .exchange_code(declined)
        .await
        .expect_err("a decline");
    log.assert_one(&[
        "digime::call INFO",
        "call=exchange_code",
        "not done",
        "declined",
    ]);
    drop(collecting);

    let (log, collecting) = Log::collect();
    let received = tokens.receive_callback(unknown, &receipts, &client, customer);
    received.await.expect_err("no flow");
    log.assert_one(&[
        "digime::call INFO",
        "call=receive_callback",
        "not done",
        "no flow waits",
    ]);
    drop(collecting);

    let flow = authorized(&sandbox).await;
    sandbox.end_consent();
    sandbox.expire_access_tokens();
    let (log, _collecting) = Log::collect();
    flow.push(item()).await.expect_err("the consent has ended");
    log.assert_one(&[
        "digime::call INFO",
        "call=push",
        "not done",
        "consent has ended",
    ]);
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_a_line() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let (log, _collecting) = Log::collect();
    drop(flow.push(item()));
    assert_eq!(log.text(), "", "a call that was never polled has not begun");
    let mut push = Box::pin(flow.push(item()));
    poll_fn(|context| Poll::Ready(push.as_mut().poll(context).is_pending())).await;
    drop(push);
    log.assert_one(&[
        "digime::call INFO",
        "call=push",
        "dropped",
        "duration_ms=number",
    ]);
}

#[tokio::test]
async fn a_callback_whose_caller_has_gone_says_how_it_ended_nevertheless() {
    let sandbox = sandbox().await;
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let callback = parked(&sandbox, &store).await;
    let (log, _collecting) = Log::collect();
    let mut call = tokens.receive_callback(callback, &receipts, &client, customer);
    poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
    drop(call);
    until(async || log.text().contains("done")).await;
    log.assert_has(&["digime::call INFO", "call=receive_callback", "dropped"]);
    log.assert_has(&["digime::call DEBUG", "call=receive_callback", "done"]);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_a_warning() {
    let sandbox = sandbox().await;
    let hasty = quick(&sandbox)
        .timeout(Duration::from_millis(50))
        .max_retries(0);
    let flow = receipts(&sandbox).flow(&hasty.build().expect("a client"));
    sandbox.inject(Endpoint::Session, Fault::Delay(FOREVER));
    let (log, _collecting) = Log::collect();
    flow.establish_session().await.expect_err("no answer");
    log.assert_one(&[
        "digime::call WARN",
        "call=establish_session",
        "failed",
        "timed out",
    ]);
}

/// A store that is away.
#[derive(Clone)]
struct Away;

#[async_trait]
impl TokenStore for Away {
    async fn load(&self, _: &str) -> Result<Option<TokenRecord>, StoreError> {
        Err(away())
    }

    async fn lease(&self, _: &str, _: &str, _: &str, _: Duration) -> Result<bool, StoreError> {
        Err(away())
    }

    async fn release(&self, _: &str, _: &str) -> Result<(), StoreError> {
        Err(away())
    }

    async fn replace(&self, _: &str, _: Option<&str>, _: &TokenRecord) -> Result<bool, StoreError> {
        Err(away())
    }

    async fn remove(&self, _: &str, _: &str) -> Result<bool, StoreError> {
        Err(away())
    }

    async fn list(
        &self,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        pending().await
    }
}

fn away() -> StoreError {
    StoreError::failed("db.example:5432: connection refused")
}

#[tokio::test]
async fn a_store_that_is_away_is_an_error_in_the_words_of_its_database() {
    let sandbox = sandbox().await;
    let flow = authorized_with(&sandbox, &client(&sandbox)).await;
    let tokens = SharedTokens::new(Away);
    let (log, _collecting) = Log::collect();
    tokens
        .keep("customer-42", flow)
        .await
        .expect_err("it is away");
    log.assert_one(&[
        "digime::call ERROR",
        "call=keep",
        "the store failed",
        "db.example:5432: connection refused",
    ]);
}

#[tokio::test]
async fn a_flow_that_is_parked_and_claimed_alarms_nobody() {
    let sandbox = sandbox().await;
    let flows = ParkedFlows::new(MemoryStore::new());
    let (log, _collecting) = Log::collect();
    let awaiting = awaiting_ongoing(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    let suspended = awaiting.suspend().with("customer-42".to_owned());
    flows.park(suspended).await.expect("it is parked");
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let claimed: Result<(_, String), _> = flows.claim(&callback, &receipts, &client).await;
    claimed.expect("the flow");
    log.assert_has(&["digime::call DEBUG", "call=park", "done"]);
    log.assert_has(&["digime::call DEBUG", "call=claim", "done"]);
    assert_eq!(log.above_debug(), Vec::<String>::new());
}
