//! Mistakes that only show while a program runs: each ends in one line that says what to do, and holds no secret.

use std::time::{Duration, SystemTime};

use digime::Error;
use digime_sandbox::{Endpoint, Fault, Sandbox};
use serde_json::Value;

use crate::set_up::{
    Receipts, Welcome, authorized, awaiting_ongoing, client, consent, contract, once_json,
    ongoing_json, quick, receipts, sandbox, welcome,
};

fn changed(mut json: Value, name: &str, value: &str) -> Value {
    json[name] = value.into();
    json
}

/// What beginning an ongoing flow fails with.
async fn failure(sandbox: &Sandbox, json: Value) -> Error {
    let flow = contract::<Receipts>(json).flow(&client(sandbox));
    match flow.establish_session().await {
        Err(error) => error,
        Ok(session) => flow
            .create_postbox(session)
            .await
            .expect_err("a rejection")
            .into(),
    }
}

fn assert_one_line(error: &Error, remedy: &str) {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 400, "{text}");
    assert!(text.contains(remedy), "{text}");
}

#[tokio::test]
async fn a_wrong_key_is_named() {
    let sandbox = sandbox().await;
    let other = include_str!("../keys/contract.pem");
    let error = failure(
        &sandbox,
        changed(ongoing_json(&sandbox), "private_key", other),
    )
    .await;
    assert_one_line(
        &error,
        "check that the private key `oXaN9Pu9lJ5mpMhbI-pJGQfWDfOJAZTQXgmwdx_0Zjc` is that of the contract `sandbox-ongoing",
    );
}

#[tokio::test]
async fn an_unknown_contract_is_named() {
    let sandbox = sandbox().await;
    let error = failure(
        &sandbox,
        changed(ongoing_json(&sandbox), "contract_id", "nope"),
    )
    .await;
    assert_one_line(&error, "check the contract id, `nope`");
}

#[tokio::test]
async fn an_unknown_application_is_named() {
    let sandbox = sandbox().await;
    let error = failure(
        &sandbox,
        changed(ongoing_json(&sandbox), "application_id", "nope"),
    )
    .await;
    assert_one_line(&error, "check the application id, `nope`");
}

#[tokio::test]
async fn a_redirect_uri_that_is_not_whitelisted_is_named() {
    let sandbox = sandbox().await;
    let error = failure(
        &sandbox,
        changed(
            ongoing_json(&sandbox),
            "redirect_uri",
            "https://evil.example/",
        ),
    )
    .await;
    assert_one_line(
        &error,
        "register the redirect URI `https://evil.example/` with digi.me",
    );
}

#[tokio::test]
async fn a_session_that_has_expired_is_replaced_by_hand() {
    let sandbox = Sandbox::builder()
        .session_lifetime(Duration::ZERO)
        .start()
        .await
        .expect("a port");
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    let session = flow.establish_session().await.expect("a session");
    let rejected = flow.create_postbox(session).await.expect_err("a rejection");
    assert!(matches!(rejected.error(), Error::SessionExpired));
    assert_one_line(
        rejected.error(),
        "establish another with `flow.establish_session().await?`",
    );
    let _ = rejected
        .into_flow()
        .establish_session()
        .await
        .expect("another session");
}

#[tokio::test]
async fn a_clock_that_is_an_hour_ahead_is_named() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .clock(|| SystemTime::now() + Duration::from_hours(1))
        .build()
        .expect("a client");
    let flow = receipts(&sandbox).flow(&client);
    let session = flow.establish_session().await.expect("a session");
    let rejected = flow.create_postbox(session).await.expect_err("a rejection");
    assert_one_line(rejected.error(), "this machine's clock");
}

#[tokio::test]
async fn a_contract_of_the_other_kind_is_refused_by_the_platform() {
    let sandbox = sandbox().await;
    let error = failure(&sandbox, once_json(&sandbox)).await;
    assert_one_line(&error, "the platform refused");
    let flow = contract::<Welcome>(ongoing_json(&sandbox)).flow(&client(&sandbox));
    let session = flow.establish_session().await.expect("a session");
    let awaiting = flow.create_postbox(session).await.expect("a link");
    sandbox
        .consent(awaiting.url())
        .await
        .expect_err("the user's client refuses");
}

#[tokio::test]
async fn a_code_that_is_spent_is_named() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_ongoing(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    sandbox.inject(Endpoint::Token, Fault::LoseAnswer);
    let lost = awaiting.exchange_code(callback.clone()).await;
    let awaiting = lost.expect_err("the answer is lost").into_flow();
    let refused = awaiting.exchange_code(callback).await;
    let error = refused.expect_err("the code is spent").into();
    assert_one_line(&error, "begin a new flow");
    let violations = sandbox.violations();
    assert!(
        matches!(violations.as_slice(), [only] if only.contains("the code is spent")),
        "{violations:?}"
    );
}

#[tokio::test]
async fn no_state_and_no_value_shows_a_secret() {
    let sandbox = sandbox().await;
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    let session = flow.establish_session().await.expect("a session");
    let awaiting = awaiting_ongoing(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    let authorized = authorized(&sandbox).await;
    let token = authorized.access_token();
    let shown = format!("{flow:?} {session:?} {awaiting:?} {callback:?} {authorized:?} {token:?}");
    let parameter = |wanted: &str| {
        let found = awaiting
            .url()
            .query_pairs()
            .find(|(name, _)| name == wanted);
        found.expect("a parameter of the link").1.into_owned()
    };
    let secrets = [
        &parameter("preauthorizationCode"),
        &parameter("sessionKey"),
        awaiting.state(),
        token.secret(),
    ];
    for secret in secrets {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(
        shown.contains("AwaitingCallback") && shown.contains("Authorized"),
        "{shown}"
    );
}

#[test]
fn a_call_outside_of_a_tokio_runtime_panics_with_words_that_name_tokio() {
    use futures_util::FutureExt;

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime.block_on(sandbox());
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    let call = std::panic::AssertUnwindSafe(|| flow.establish_session().now_or_never());
    let panic = std::panic::catch_unwind(call).expect_err("a panic");
    let words = panic.downcast_ref::<&str>().map(ToString::to_string);
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
    assert!(words.expect("words").contains("Tokio 1.x runtime"));
}
