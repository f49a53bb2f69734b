//! The promises that hold at run time: nothing is sent twice, lost, or waited for without end.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use digime::error::{CallbackError, RequestError, StoreError};
use digime::scope::{Scope, TimeRange, Unit};
use digime::store::{MemoryStore, ParkedFlows, SharedTokens};
use digime::{Callback, Client, DeliveryStatus, Error, PostboxItem, Suspended};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use futures_util::future::join_all;
use serde_json::json;

use crate::set_up::{
    FOREVER, Receipts, authorized, authorized_with, awaiting_ongoing, awaiting_with, client,
    consent, contract, customer, found, in_time, item, ongoing_json, parked, quick, ready_with,
    receipts, sandbox, until, welcome,
};

/// How long the platform delays an answer for which the client no longer waits.
const TOO_LONG: Duration = Duration::from_secs(3);

/// Waits until the platform has received `count` requests.
async fn requests(sandbox: &Sandbox, endpoint: Endpoint, count: u64) {
    while sandbox.requests(endpoint) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn pushes_that_wait_for_a_refresh_share_its_failure() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).build().expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    let before = sandbox.requests(Endpoint::Token);
    sandbox.expire_access_tokens();
    sandbox.inject(Endpoint::Token, Fault::LoseAnswer);
    for pushed in join_all((0..20).map(|_| flow.push(item()))).await {
        let error = pushed.expect_err("the refresh has no answer");
        assert!(
            matches!(
                error,
                Error::Request(RequestError::AnswerLost { .. }) | Error::RefreshInDoubt
            ),
            "{error}"
        );
    }
    assert_eq!(sandbox.requests(Endpoint::Token), before + 1);

    let error = flow.push(item()).await.expect_err("the token may be spent");
    assert!(matches!(error, Error::RefreshInDoubt), "{error}");
    assert!(error.to_string().contains("flow.refresh()"), "{error}");
    assert_eq!(sandbox.requests(Endpoint::Token), before + 1);
}

#[tokio::test]
async fn an_explicit_refresh_finds_that_a_doubtful_token_is_unused() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.expire_access_tokens();
    sandbox.inject(Endpoint::Token, Fault::DisconnectAfter(0));
    let error = flow.push(item()).await.expect_err("no answer");
    assert!(error.may_have_taken_effect(), "{error}");
    flow.refresh().await.expect("the token was not used");
    let _ = flow.push(item()).await.expect("a delivery");
}

#[tokio::test]
async fn an_abandoned_refresh_sends_one_request() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let before = sandbox.requests(Endpoint::Token);
    sandbox.expire_access_tokens();
    sandbox.inject(Endpoint::Token, Fault::Delay(TOO_LONG));
    tokio::select! {
        pushed = join_all((0..20).map(|_| flow.push(item()))) => panic!("{pushed:?}"),
        () = requests(&sandbox, Endpoint::Token, before + 1) => {}
    }
    drop(flow);
    tokio::time::sleep(TOO_LONG * 2).await;
    assert_eq!(sandbox.requests(Endpoint::Token), before + 1);
}

#[tokio::test]
async fn an_answer_after_the_end_of_its_call_is_not_lost() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .call_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let flow = authorized(&sandbox)
        .await
        .suspend()
        .resume(receipts(&sandbox), &client)
        .expect("the flow");
    let before = flow.access_token();
    sandbox.inject(Endpoint::Token, Fault::Delay(TOO_LONG));
    let error = flow.refresh().await.expect_err("no answer in time");
    assert!(error.may_have_taken_effect(), "{error}");
    in_time(flow.refreshed_token(&before)).await;
    let _ = flow.push(item()).await.expect("a delivery");
    assert_eq!(sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_dropped_exchange_is_found_by_the_next_call_with_its_code() {
    let sandbox = sandbox().await;
    let client = client(&sandbox);
    let awaiting = awaiting_with(&sandbox, &client).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    let copy = serde_json::to_string(&awaiting.suspend()).expect("JSON");
    let resume = || {
        let suspended: Suspended<Receipts, _> = serde_json::from_str(&copy).expect("the flow");
        suspended
            .resume(receipts(&sandbox), &client)
            .expect("the flow")
    };
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_millis(500)));
    tokio::select! {
        exchanged = resume().exchange_code(callback.clone()) => panic!("{exchanged:?}"),
        () = requests(&sandbox, Endpoint::Token, 1) => {}
    }
    let flow = resume()
        .exchange_code(callback.clone())
        .await
        .expect("what the dropped exchange has brought");
    let _ = flow.push(item()).await.expect("a delivery");

    let rejected = resume()
        .exchange_code(callback)
        .await
        .expect_err("its tokens were taken");
    assert!(
        matches!(
            rejected.error(),
            Error::Callback(CallbackError::AlreadyExchanged)
        ),
        "{rejected}"
    );
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn one_of_two_concurrent_exchanges_of_a_code_gets_the_tokens() {
    let sandbox = sandbox().await;
    let client = client(&sandbox);
    let awaiting = awaiting_with(&sandbox, &client).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    let copy = serde_json::to_string(&awaiting.suspend()).expect("JSON");
    let exchange = || {
        let suspended: Suspended<Receipts, _> = serde_json::from_str(&copy).expect("the flow");
        let flow = suspended.resume(receipts(&sandbox), &client);
        flow.expect("the flow").exchange_code(callback.clone())
    };
    let exchanged = join_all([exchange(), exchange(), exchange()]).await;
    let successes = exchanged.iter().filter(|result| result.is_ok()).count();
    assert_eq!(successes, 1, "{exchanged:?}");
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn receive_callback_does_everything_in_one_call() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    let (flow, attached) = tokens
        .receive_callback(callback.clone(), &receipts, &client, customer)
        .await
        .expect("the flow");
    assert_eq!(attached, "customer-42");
    let _ = flow.push(item()).await.expect("a delivery");

    let (again, attached) = tokens
        .receive_callback(callback.clone(), &receipts, &client, customer)
        .await
        .expect("a page that is loaded again shows the same");
    assert_eq!(attached, "customer-42");
    assert_eq!(again.access_token(), flow.access_token());
    assert_eq!(sandbox.requests(Endpoint::Token), 1);

    let forged = Callback::from_query(&format!(
        "result=SUCCESS&code=guessed&postboxId=p&publicKey=k&state={}",
        callback.state().expect("a state")
    ));
    let error = tokens
        .receive_callback(forged.expect("a callback"), &receipts, &client, customer)
        .await
        .expect_err("another code");
    assert!(
        matches!(error, Error::Store(StoreError::NothingParked)),
        "{error}"
    );
    let error = ParkedFlows::new(store.clone())
        .claim::<_, _, String>(&callback, &receipts, &client)
        .await
        .expect_err("it was claimed");
    assert!(
        matches!(error, Error::Store(StoreError::NothingParked)),
        "{error}"
    );
}

#[tokio::test]
async fn a_callback_whose_request_is_dropped_still_connects_the_customer() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_millis(500)));
    let receiving = tokens.receive_callback(callback.clone(), &receipts, &client, customer);
    tokio::select! {
        received = receiving => panic!("{received:?}"),
        () = requests(&sandbox, Endpoint::Token, 1) => {}
    }
    let reload = || tokens.receive_callback(callback.clone(), &receipts, &client, customer);
    let error = reload()
        .await
        .expect_err("the first request is still at it");
    assert!(
        matches!(error, Error::Store(StoreError::InProgress)),
        "{error}"
    );
    let find = async || {
        let found = tokens.find("customer-42", &receipts, &client).await;
        found.expect("the store works")
    };
    let found = found(find).await;
    let _ = found.push(item()).await.expect("a delivery");
    until(async || reload().await.is_ok()).await;
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_callback_that_failed_without_effect_can_be_retried() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    let load = |callback: &Callback| {
        tokens.receive_callback(callback.clone(), &receipts, &client, customer)
    };

    let state = callback.state().expect("a state").to_owned();
    let declined = Callback::from_query(&format!("result=CANCEL&state={state}"));
    let error = load(&declined.expect("a callback")).await.expect_err("no");
    assert!(
        matches!(error, Error::Callback(CallbackError::Cancelled)),
        "{error}"
    );
    for fault in [
        Fault::RetryAfter(503, 3600),
        Fault::Refuse(401, "InvalidJWT"),
    ] {
        sandbox.inject(Endpoint::Token, fault);
        let error = load(&callback).await.expect_err("a refusal");
        assert!(!error.may_have_taken_effect(), "{error}");
    }
    let _ = load(&callback).await.expect("nothing was used so far");
}

#[tokio::test]
async fn a_callback_whose_code_may_be_spent_is_not_sent_again() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    sandbox.inject(Endpoint::Token, Fault::LoseAnswer);
    let load = || tokens.receive_callback(callback.clone(), &receipts, &client, customer);
    let error = load().await.expect_err("a lost answer");
    assert!(error.may_have_taken_effect(), "{error}");
    let error = load().await.expect_err("it may be spent");
    assert!(
        matches!(error, Error::Store(StoreError::InProgress)),
        "{error}"
    );
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_misconfigured_machine_ends_nobodys_consent() {
    let sandbox = sandbox().await;
    let client = client(&sandbox);
    let tokens = SharedTokens::new(MemoryStore::new());
    let flow = authorized(&sandbox).await;
    let _ = tokens
        .keep("customer-42", flow)
        .await
        .expect("they are kept");
    sandbox.expire_access_tokens();

    let changed = |name: &str, value: &str| {
        let mut json = ongoing_json(&sandbox);
        json[name] = json!(value);
        contract::<Receipts>(json)
    };
    let wrong_key = changed("private_key", include_str!("../keys/contract.pem"));
    let wrong_uri = changed("redirect_uri", "https://other.example/");
    let two_days_ahead = quick(&sandbox)
        .clock(|| SystemTime::now() + Duration::from_hours(48))
        .build()
        .expect("a client");
    for (receipts, client, message) in [
        (&wrong_key, &client, "check that the private key"),
        (&wrong_uri, &client, "use a redirect URI"),
        (
            &receipts(&sandbox),
            &two_days_ahead,
            "ahead of the platform's",
        ),
    ] {
        let flow = tokens.find("customer-42", receipts, client).await;
        let flow = flow.expect("the store works").expect("the flow");
        let error = flow.refresh().await.expect_err("a refusal");
        assert!(error.to_string().contains(message), "{error}");
        assert!(!matches!(error, Error::ConsentEnded { .. }), "{error}");
    }

    let flow = tokens
        .find("customer-42", &receipts(&sandbox), &client)
        .await;
    let flow = flow
        .expect("the store works")
        .expect("the tokens are there");
    let _ = flow.push(item()).await.expect("a delivery");
}

#[tokio::test]
async fn a_flow_kept_during_a_refresh_has_the_new_token() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let tokens = SharedTokens::new(MemoryStore::new());
    let flow = authorized(&sandbox).await;
    let before = flow.access_token();
    sandbox.expire_access_tokens();
    let requests_before = sandbox.requests(Endpoint::Token);
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_millis(500)));
    tokio::select! {
        pushed = flow.push(item()) => panic!("{pushed:?}"),
        () = requests(&sandbox, Endpoint::Token, requests_before + 1) => {}
    }
    let suspended = serde_json::to_value(flow.suspend()).expect("JSON");
    let _ = tokens
        .keep("customer-42", flow)
        .await
        .expect("they are kept");
    let found = tokens.find("customer-42", &receipts, &client).await;
    let found = found.expect("the store works").expect("the flow");
    assert_ne!(found.access_token(), before);
    let _ = found.push(item()).await.expect("a delivery");

    let suspended: Suspended<Receipts, digime::Authorized> =
        serde_json::from_value(suspended).expect("the flow");
    let resumed = suspended.resume(&receipts, &client).expect("the flow");
    let refreshes = sandbox.requests(Endpoint::Token);
    sandbox.expire_access_tokens();
    let error = resumed.push(item()).await.expect_err("a spent token");
    assert!(matches!(error, Error::RefreshInDoubt), "{error}");
    assert_eq!(sandbox.requests(Endpoint::Token), refreshes);
}

#[tokio::test]
async fn a_push_inside_the_loop_over_other_pushes_ends() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.end_sessions();
    sandbox.expire_access_tokens();
    for endpoint in [Endpoint::Session, Endpoint::Token] {
        sandbox.inject(endpoint, Fault::Delay(Duration::from_millis(300)));
    }
    in_time(async {
        let mut pushes = flow.push_many((0..8).map(|_| item())).concurrency(4);
        while let Some(pushed) = pushes.next().await {
            let _ = pushed.result.expect("a delivery");
            let _ = flow.push(item()).await.expect("a delivery");
        }
    })
    .await;
    assert_eq!(sandbox.inbox().len(), 16);
}

#[tokio::test]
async fn a_push_beside_one_that_is_no_longer_polled_ends() {
    let sandbox = Sandbox::builder()
        .session_lifetime(Duration::ZERO)
        .start()
        .await
        .expect("a port");
    let flow = ready_without_session(&sandbox).await;
    sandbox.inject(Endpoint::Session, Fault::Delay(Duration::from_millis(300)));
    let mut kept = Box::pin(flow.push(item()));
    assert!(futures_util::poll!(&mut kept).is_pending());
    let pushed = in_time(flow.push(item())).await;
    // This sandbox's sessions end at once, so each push is refused.
    assert!(pushed.is_err());
    drop(kept);
}

/// A flow whose session has ended.
async fn ready_without_session(
    sandbox: &Sandbox,
) -> digime::Flow<crate::set_up::Welcome, digime::PostboxReady> {
    let other = crate::set_up::sandbox().await;
    let ready = ready_with(&other, &client(&other)).await;
    let mut suspended = serde_json::to_value(ready.suspend()).expect("JSON");
    suspended["state_data"]["session"]["expiry"] = json!(0);
    let contract = &sandbox.contracts().once;
    suspended["contract"] = json!({
        "application_id": contract.application_id, "contract_id": contract.contract_id,
    });
    let suspended: Suspended<crate::set_up::Welcome, digime::PostboxReady> =
        serde_json::from_value(suspended).expect("the flow");
    suspended
        .resume(welcome(sandbox), &client(sandbox))
        .expect("the flow")
}

#[tokio::test]
async fn an_answer_counts_however_late_the_push_is_polled() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .max_retries(0)
        .stall_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    let mut pushes = flow.push_many((0..12).map(|_| item())).concurrency(4);
    while let Some(pushed) = pushes.next().await {
        let _ = pushed.result.expect("a delivery");
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    assert_eq!(sandbox.inbox().len(), 12);
}

#[tokio::test]
async fn a_panic_in_on_progress_disturbs_no_upload() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let item = PostboxItem::bytes("a.bin", vec![0; 1_000_000]).on_progress(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("the application's own")
    });
    let delivery = flow.push(item).await.expect("a delivery");
    assert_eq!(delivery.status(), DeliveryStatus::Delivered);
    assert_eq!(sandbox.requests(Endpoint::Push), 1);
    assert_eq!(calls.load(Ordering::Relaxed), 1, "it is not called again");
}

#[tokio::test]
async fn a_session_that_is_replaced_keeps_its_scope() {
    let sandbox = sandbox().await;
    let client = client(&sandbox);
    let flow = receipts(&sandbox).flow(&client);
    let scope = Scope::new().time_range(TimeRange::last(6, Unit::Months));
    let session = flow
        .establish_session_with(&scope)
        .await
        .expect("a session");
    let awaiting = flow.create_postbox(session).await.expect("a link");
    let callback = consent(&sandbox, awaiting.url()).await;
    let authorized = awaiting.exchange_code(callback).await.expect("tokens");
    let stored = serde_json::to_string(&authorized.suspend()).expect("JSON");
    let stored: Suspended<Receipts, digime::Authorized> =
        serde_json::from_str(&stored).expect("the flow");
    let authorized = stored
        .resume(receipts(&sandbox), &client)
        .expect("the flow");
    sandbox.end_sessions();
    let _ = authorized.push(item()).await.expect("a delivery");
    let limited = json!({"timeRanges": [{"last": "6m"}]});
    assert_eq!(sandbox.scopes(), [limited.clone(), limited]);
}

#[tokio::test]
async fn a_session_that_the_platform_has_ended_is_replaced_once() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.end_sessions();
    let sessions = sandbox.sessions();
    for pushed in join_all((0..4).map(|_| flow.push(item()))).await {
        let _ = pushed.expect("a delivery");
    }
    assert_eq!(sandbox.sessions(), sessions + 1);
    let once = PostboxItem::reader("a.txt", Cursor::new("abc"));
    let _ = flow.push(once).await.expect("a delivery");
}

#[tokio::test]
async fn a_clock_that_is_ahead_is_reported_and_ends_no_session() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .clock(|| SystemTime::now() + Duration::from_hours(1))
        .build()
        .expect("a client");
    let flow = receipts(&sandbox).flow(&client);
    let session = flow.establish_session().await.expect("a session");
    let rejected = flow.create_postbox(session).await.expect_err("a refusal");
    let message = rejected.to_string();
    assert!(
        message.contains("set this machine's clock") && message.contains("seconds ahead of"),
        "{message}"
    );
    let ready = ready_with(&sandbox, &client).await;
    let message = ready.push(item()).await.expect_err("a refusal").to_string();
    assert!(message.contains("set this machine's clock"), "{message}");
}

#[tokio::test]
async fn a_silent_platform_holds_no_call_longer_than_its_timeout() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .max_retries(1000)
        .timeout(Duration::from_secs(1))
        .call_timeout(Duration::from_secs(2))
        .build()
        .expect("a client");
    for _ in 0..1000 {
        sandbox.inject(Endpoint::Session, Fault::Delay(FOREVER));
    }
    let flow = welcome(&sandbox).flow(&client);
    let error = in_time(flow.establish_session())
        .await
        .expect_err("no answer");
    assert!(error.report().to_string().contains("timed out"), "{error}");
}

#[tokio::test]
async fn an_unreadable_retry_after_is_still_a_pause() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .retry_delays(Duration::from_millis(1), Duration::from_millis(50))
        .build()
        .expect("a client");
    let flow = welcome(&sandbox).flow(&client);
    sandbox.inject(Endpoint::Session, Fault::RetryAfter(503, u64::MAX));
    match flow.establish_session().await.expect_err("too long") {
        Error::Request(RequestError::Refused { refusal, .. }) => {
            assert_eq!(refusal.retry_after, Some(Duration::MAX));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_echoed_secret_is_in_no_error() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let record = serde_json::to_value(flow.suspend()).expect("JSON");
    let secret = |pointer: &str| {
        let value = record.pointer(pointer).and_then(|value| value.as_str());
        value.expect("a secret").to_owned()
    };
    sandbox.inject(Endpoint::Push, Fault::Echo(400));
    sandbox.inject(Endpoint::Token, Fault::Echo(400));
    let pushed = flow.push(item()).await.expect_err("an echo");
    let refreshed = flow.refresh().await.expect_err("an echo");
    let awaiting = awaiting_ongoing(&sandbox).await;
    let state = awaiting.state().to_owned();
    let callback_url = sandbox.consent(awaiting.url()).await.expect("a callback");
    let code = callback_url
        .query_pairs()
        .find_map(|(name, value)| (name == "code").then(|| value.into_owned()))
        .expect("a code");
    sandbox.inject(Endpoint::Token, Fault::Echo(400));
    let callback = Callback::from_url(callback_url).expect("a callback");
    let (awaiting, exchanged) = awaiting
        .exchange_code(callback)
        .await
        .expect_err("an echo")
        .into_parts();
    let waiting = serde_json::to_value(awaiting.suspend()).expect("JSON");
    let verifier = waiting["state_data"]["verifier"]["code_verifier"].as_str();
    let verifier = verifier.expect("a verifier").to_owned();
    let message =
        format!("{pushed} {pushed:?} {refreshed} {refreshed:?} {exchanged} {exchanged:?}");
    assert!(message.contains("[redacted]"), "{message}");
    for secret in [
        secret("/state_data/tokens/access_token"),
        secret("/state_data/tokens/refresh_token"),
        secret("/state_data/destination/session/sessionKey"),
        code,
        state,
        verifier,
    ] {
        assert!(!message.contains(&secret), "{message}");
    }
}

#[tokio::test]
async fn a_client_that_never_connects_reports_only_that() {
    let sandbox = sandbox().await;
    let client = Client::builder()
        .base_url("http://127.0.0.1:1/v1.5")
        .max_retries(0)
        .build()
        .expect("a client");
    let error = welcome(&sandbox)
        .flow(&client)
        .establish_session()
        .await
        .expect_err("nobody");
    assert!(error.to_string().contains("was not reached"), "{error}");
}

#[tokio::test]
async fn a_panic_of_the_application_loses_no_flow_and_is_in_no_error() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    let panics = |customer: &String| -> String { panic!("a secret of {customer}") };
    let error = tokens
        .receive_callback(callback.clone(), &receipts, &client, panics)
        .await
        .expect_err("a panic");
    let message = format!("{error} {error:?}");
    assert!(!message.contains("secret"), "{message}");
    assert!(
        matches!(error, Error::Callback(CallbackError::UserPanicked)),
        "{error}"
    );
    let received = tokens.receive_callback(callback, &receipts, &client, customer);
    assert!(received.await.is_ok(), "the flow still waits");
}

#[tokio::test]
async fn a_callback_that_takes_too_long_says_that_its_code_may_be_spent() {
    let sandbox = sandbox().await;
    let receipts = receipts(&sandbox);
    let client = quick(&sandbox)
        .call_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let store = MemoryStore::new();
    let tokens = SharedTokens::new(store.clone());
    let callback = parked(&sandbox, &store).await;
    sandbox.inject(Endpoint::Token, Fault::Delay(TOO_LONG));
    let load = || tokens.receive_callback(callback.clone(), &receipts, &client, customer);
    let error = load().await.expect_err("no answer in time");
    assert!(error.may_have_taken_effect(), "{error}");
    until(async || load().await.is_ok()).await;
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn an_item_that_never_opens_ends_its_push() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .stall_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    let item = PostboxItem::open_with("a.bin", || {
        std::future::pending::<std::io::Result<Cursor<Vec<u8>>>>()
    });
    let error = in_time(flow.push(item)).await.expect_err("no reader");
    assert!(matches!(error, Error::Item(_)), "{error}");
    assert_eq!(sandbox.requests(Endpoint::Push), 0);
}

#[tokio::test]
async fn an_item_whose_reader_never_gives_anything_ends_its_push() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .max_retries(0)
        .stall_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    // Nothing writes to the other end.
    let (_kept, reader) = tokio::io::duplex(64);
    let pushed = in_time(flow.push(PostboxItem::reader("a.bin", reader))).await;
    let error = pushed.expect_err("nothing was read");
    assert!(matches!(error, Error::Item(_)), "{error}");
    assert!(sandbox.inbox().is_empty());
}

#[tokio::test]
async fn a_session_is_accepted_whatever_else_the_platform_says_about_it() {
    let sandbox = sandbox().await;
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    for scope in ["null", "\"all\"", "{\"timeRanges\":null}"] {
        let answer = format!(
            r#"{{"sessionKey":"k","sessionExchangeToken":"t","expiry":4000000000000,"scope":{scope}}}"#
        );
        sandbox.inject(Endpoint::Session, Fault::Answer(answer));
        let established = flow.establish_session().await;
        assert!(established.is_ok(), "{scope}: {established:?}");
    }
}
