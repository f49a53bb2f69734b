//! Wrong callbacks: each is a distinct error, and the flow can still take the right callback.

use digime::error::CallbackError;
use digime::url::Url;
use digime::{Callback, Error};

use crate::set_up::{awaiting_once, awaiting_ongoing, consent, sandbox};

/// A callback URL with a parameter changed, or removed if there is no value.
fn with(url: &Url, name: &str, value: Option<&str>) -> Callback {
    let mut changed = url.clone();
    let others = url.query_pairs().filter(|(own, _)| own != name);
    let value = value.map(|value| (name.into(), value.into()));
    changed
        .query_pairs_mut()
        .clear()
        .extend_pairs(others.chain(value));
    Callback::from_url(changed).expect("a callback")
}

/// Every kind of wrong callback, with its error.
fn wrong_ones(good: &Url) -> Vec<(Callback, CallbackError)> {
    let short = include_str!("../keys/rsa-1024.pem");
    let elliptic = include_str!("../keys/p-256.pem");
    vec![
        (
            with(good, "result", Some("CANCEL")),
            CallbackError::Cancelled,
        ),
        (with(good, "result", Some("ERROR")), CallbackError::Failed),
        (
            with(good, "result", Some("success")),
            CallbackError::UnknownResult,
        ),
        (with(good, "result", None), CallbackError::Missing("result")),
        (with(good, "state", None), CallbackError::Missing("state")),
        (
            with(good, "state", Some("forged")),
            CallbackError::AnotherFlow,
        ),
        (with(good, "state", Some("")), CallbackError::AnotherFlow),
        (
            with(good, "postboxId", None),
            CallbackError::Missing("postboxId"),
        ),
        (
            with(good, "postboxId", Some("")),
            CallbackError::Missing("postboxId"),
        ),
        (
            with(good, "postboxId", Some("..")),
            CallbackError::PostboxId,
        ),
        (
            with(good, "publicKey", None),
            CallbackError::Missing("publicKey"),
        ),
        (
            with(good, "publicKey", Some("no key")),
            CallbackError::PublicKey,
        ),
        (
            with(good, "publicKey", Some(short)),
            CallbackError::PublicKey,
        ),
        (
            with(good, "publicKey", Some(elliptic)),
            CallbackError::PublicKey,
        ),
    ]
}

fn reason(error: &Error) -> &CallbackError {
    match error {
        Error::Callback(reason) => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_one_off_flow_survives_every_wrong_callback() {
    let sandbox = sandbox().await;
    let mut awaiting = awaiting_once(&sandbox).await;
    let good = sandbox.consent(awaiting.url()).await.expect("a callback");
    for (callback, why) in wrong_ones(&good) {
        let rejected = awaiting.receive_postbox(callback).expect_err("a rejection");
        assert_eq!(reason(rejected.error()), &why);
        awaiting = rejected.into_flow();
    }
    let _ = awaiting
        .receive_postbox(Callback::from_url(good).expect("a callback"))
        .expect("a postbox");
}

#[tokio::test]
async fn an_ongoing_flow_survives_every_wrong_callback_and_sends_nothing() {
    let sandbox = sandbox().await;
    let mut awaiting = awaiting_ongoing(&sandbox).await;
    let good = sandbox.consent(awaiting.url()).await.expect("a callback");
    let mut wrong = wrong_ones(&good);
    wrong.push((with(&good, "code", None), CallbackError::Missing("code")));
    for (callback, why) in wrong {
        let rejected = awaiting
            .exchange_code(callback)
            .await
            .expect_err("a rejection");
        assert_eq!(reason(rejected.error()), &why);
        assert!(!rejected.error().may_have_taken_effect());
        awaiting = rejected.into_flow();
    }
    let _ = awaiting
        .exchange_code(Callback::from_url(good).expect("a callback"))
        .await
        .expect("a token");
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_user_who_declined_can_be_asked_again_with_the_same_link() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_ongoing(&sandbox).await;
    let declined = Callback::from_url(sandbox.decline(awaiting.url()).await.expect("a callback"))
        .expect("a callback");
    let rejected = awaiting
        .exchange_code(declined)
        .await
        .expect_err("a rejection");
    assert_eq!(reason(rejected.error()), &CallbackError::Cancelled);
    let awaiting = rejected.into_flow();
    let failed = Callback::from_url(sandbox.fail(awaiting.url()).await.expect("a callback"))
        .expect("a callback");
    let rejected = awaiting
        .exchange_code(failed)
        .await
        .expect_err("a rejection");
    assert_eq!(reason(rejected.error()), &CallbackError::Failed);
    let awaiting = rejected.into_flow();
    let callback = consent(&sandbox, awaiting.url()).await;
    let _ = awaiting.exchange_code(callback).await.expect("a token");
}

#[tokio::test]
async fn the_callback_of_another_user_is_refused() {
    let sandbox = sandbox().await;
    let (ours, theirs) = (
        awaiting_ongoing(&sandbox).await,
        awaiting_ongoing(&sandbox).await,
    );
    let callback = consent(&sandbox, theirs.url()).await;
    assert_eq!(callback.state(), Some(theirs.state()));
    let rejected = ours
        .exchange_code(callback.clone())
        .await
        .expect_err("a rejection");
    assert_eq!(reason(rejected.error()), &CallbackError::AnotherFlow);
    let _ = theirs.exchange_code(callback).await.expect("a token");
}
