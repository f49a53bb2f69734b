//! Calls share a request that may be sent only once, and handle the end of its runtime.

use std::time::Duration;

use digime::error::{Operation, RequestError, StoreError};
use digime::store::{MemoryStore, SharedTokens};
use digime::{Authorized, Error, Flow, Suspended};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use futures_util::future::join_all;

use crate::set_up::{
    Receipts, authorized, authorized_with, awaiting_ongoing, awaiting_with, client, consent, item,
    quick, ready, receipts,
};

/// A platform whose access tokens are valid for such a short time that each push refreshes them first.
async fn sandbox() -> Sandbox {
    Sandbox::builder()
        .access_token_lifetime(Duration::from_secs(20))
        .start()
        .await
        .expect("a port")
}

/// A flow whose refresh token was sent but not used. Only the platform knows that.
async fn in_doubt(sandbox: &Sandbox) -> Flow<Receipts, Authorized> {
    let flow = authorized(sandbox).await;
    sandbox.inject(Endpoint::Token, Fault::DisconnectAfter(0));
    let error = flow.push(item()).await.expect_err("no answer");
    assert!(error.may_have_taken_effect(), "{error}");
    flow
}

fn assert_in_doubt<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.expect_err("the token is in doubt");
    assert!(matches!(error, Error::RefreshInDoubt), "{error}");
}

#[tokio::test]
async fn an_explicit_refresh_beside_a_push_sends_the_doubtful_token_once() {
    let sandbox = sandbox().await;
    let flow = in_doubt(&sandbox).await;
    let before = sandbox.requests(Endpoint::Token);
    // The push is polled first, so its renewal is running when the others come.
    let (pushed, first, second) = tokio::join!(flow.push(item()), flow.refresh(), flow.refresh());
    assert_in_doubt(pushed);
    assert_eq!(first.expect("a token"), second.expect("a token"));
    assert_eq!(sandbox.requests(Endpoint::Token), before + 1);
}

#[tokio::test]
async fn an_explicit_refresh_beside_a_push_sends_a_doubtful_shared_token_once() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let tokens = SharedTokens::new(MemoryStore::new());
    let kept = tokens.keep("customer-42", in_doubt(&sandbox).await).await;
    drop(kept.expect("they are kept"));
    let found = tokens.find("customer-42", &receipts, &client).await;
    let flow = found.expect("the store works").expect("the flow");
    let before = sandbox.requests(Endpoint::Token);
    let (pushed, first, second) = tokio::join!(flow.push(item()), flow.refresh(), flow.refresh());
    assert_in_doubt(pushed);
    assert_eq!(first.expect("a token"), second.expect("a token"));
    assert_eq!(sandbox.requests(Endpoint::Token), before + 1);
}

#[tokio::test]
async fn an_explicit_refresh_shares_the_lost_answer_of_a_push() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let before = sandbox.requests(Endpoint::Token);
    sandbox.inject(Endpoint::Token, Fault::LoseAnswer);
    let (by_push, by_name) =
        tokio::join!(join_all((0..20).map(|_| flow.push(item()))), flow.refresh());
    let by_push = by_push.into_iter().map(|result| result.map(drop));
    for result in by_push.chain([by_name.map(drop)]) {
        let error = result.expect_err("a lost answer");
        assert!(
            matches!(error, Error::Request(RequestError::AnswerLost { .. })),
            "{error}"
        );
    }
    assert_eq!(sandbox.requests(Endpoint::Token), before + 1);
}

/// Begins a call in a runtime that ends as soon as the platform has received the call's request to an endpoint.
fn run_until_requested(
    call: impl Future<Output: std::fmt::Debug>,
    sandbox: &Sandbox,
    endpoint: Endpoint,
) {
    let before = sandbox.requests(endpoint);
    sandbox.inject(endpoint, Fault::Delay(Duration::from_secs(60 * 60)));
    runtime().block_on(async {
        let requested = async {
            while sandbox.requests(endpoint) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = call => panic!("{ended:?}"),
            () = requested => {}
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A runtime with a thread of its own, as the platform needs.
fn platforms_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn assert_lost<T: std::fmt::Debug>(result: Result<T, Error>, expected: Operation) {
    match result.expect_err("the renewal has ended") {
        Error::Request(RequestError::AnswerLost { operation, .. }) => {
            assert_eq!(operation, expected);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_refresh_token_whose_runtime_ended_is_in_doubt() {
    let platform = platforms_runtime();
    let sandbox = platform.block_on(sandbox());
    let flow = platform.block_on(authorized(&sandbox));
    run_until_requested(flow.push(item()), &sandbox, Endpoint::Token);
    let before = sandbox.requests(Endpoint::Token);
    runtime().block_on(async {
        assert_lost(flow.push(item()).await, Operation::RefreshToken);
        assert_in_doubt(flow.push(item()).await);
        assert_eq!(sandbox.requests(Endpoint::Token), before);
        flow.refresh().await.expect("the platform had not used it");
    });
}

#[test]
fn a_session_whose_runtime_ended_is_established_by_the_second_push_after_it() {
    let platform = platforms_runtime();
    let sandbox = platform.block_on(sandbox());
    let flow = platform.block_on(ready(&sandbox));
    sandbox.end_sessions();
    run_until_requested(flow.push(item()), &sandbox, Endpoint::Session);
    runtime().block_on(async {
        assert_lost(flow.push(item()).await, Operation::EstablishSession);
        let _ = flow.push(item()).await.expect("a delivery");
    });
}

#[test]
fn a_code_whose_runtime_ended_is_sent_again_after_an_error() {
    let platform = platforms_runtime();
    let sandbox = platform.block_on(sandbox());
    let awaiting = platform.block_on(awaiting_ongoing(&sandbox));
    let callback = platform.block_on(consent(&sandbox, awaiting.url()));
    let copy = serde_json::to_string(&awaiting.suspend()).expect("JSON");
    let client = client(&sandbox);
    let exchange = || {
        let suspended: Suspended<Receipts, _> = serde_json::from_str(&copy).expect("the flow");
        let flow = suspended.resume(receipts(&sandbox), &client);
        flow.expect("the flow").exchange_code(callback.clone())
    };
    run_until_requested(exchange(), &sandbox, Endpoint::Token);
    let before = sandbox.requests(Endpoint::Token);
    runtime().block_on(async {
        assert_lost(
            exchange().await.map_err(Error::from),
            Operation::ExchangeCode,
        );
        assert_eq!(sandbox.requests(Endpoint::Token), before);
        let flow = exchange().await.expect("the platform had not used it");
        let _ = flow.push(item()).await.expect("a delivery");
    });
}

#[test]
fn a_client_outlives_the_runtimes_that_use_it() {
    let platform = platforms_runtime();
    let sandbox = platform.block_on(sandbox());
    let client = client(&sandbox);
    for _ in 0..5 {
        // The connections end with the runtime.
        let awaiting = runtime().block_on(awaiting_with(&sandbox, &client));
        let flow = runtime().block_on(async {
            let callback = consent(&sandbox, awaiting.url()).await;
            awaiting.exchange_code(callback).await.expect("tokens")
        });
        let _ = runtime().block_on(flow.push(item())).expect("a delivery");
    }
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_flow_whose_refresh_does_not_end_is_given_back_and_not_kept() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .call_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_hours(1)));
    let error = flow.refresh().await.expect_err("no answer in time");
    assert!(error.may_have_taken_effect(), "{error}");
    let tokens = SharedTokens::new(MemoryStore::new());
    let rejected = tokens.keep("customer-42", flow).await;
    let rejected = rejected.expect_err("the refresh is running");
    assert!(
        matches!(rejected.error(), Error::Store(StoreError::Busy)),
        "{rejected}"
    );
    let suspended = serde_json::to_value(rejected.into_flow().suspend()).expect("JSON");
    assert!(!suspended["state_data"]["tokens"]["refresh"].is_null());
}
