//! Expired access tokens and forged platform tokens.

use std::time::Duration;

use digime::error::{PlatformTokenError, RequestError};
use digime::{DeliveryStatus, Error};
use digime_sandbox::{Endpoint, Fault, Sandbox};

use crate::set_up::{authorized, awaiting_ongoing, client, consent, item, receipts, sandbox};

#[tokio::test]
async fn an_expired_token_is_refreshed_before_the_push() {
    let sandbox = Sandbox::builder()
        .access_token_lifetime(Duration::ZERO)
        .start()
        .await
        .expect("a port");
    let flow = authorized(&sandbox).await;
    let _ = flow.push(item()).await.expect("a delivery");
    assert!(sandbox.refreshes() >= 1);
}

#[tokio::test]
async fn a_token_that_expired_early_is_refreshed_and_the_item_is_pushed_again() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let before = flow.access_token();
    sandbox.expire_access_tokens();
    let delivery = flow.push(item()).await.expect("a delivery");
    assert_eq!(delivery.status(), DeliveryStatus::Delivered);
    assert_eq!((sandbox.inbox().len(), sandbox.refreshes()), (1, 1));
    assert_ne!(flow.access_token().secret(), before.secret());
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn an_item_that_stays_pending_is_pushed_twice() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    for _ in 0..2 {
        let pending = r#"{"status":"pending","expires":60}"#;
        sandbox.inject(Endpoint::Push, Fault::Answer(pending.into()));
    }
    let delivery = flow.push(item()).await.expect("the platform has it");
    assert_eq!(delivery.status(), DeliveryStatus::Pending);
    assert_eq!(delivery.expires_in(), Some(Duration::from_mins(1)));
    assert_eq!(
        (sandbox.requests(Endpoint::Push), sandbox.refreshes()),
        (2, 1)
    );
}

#[tokio::test]
async fn pushes_that_find_the_token_expired_share_one_refresh() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.expire_access_tokens();
    for delivery in futures_util::future::join_all((0..6).map(|_| flow.push(item()))).await {
        assert_eq!(
            delivery.expect("a delivery").status(),
            DeliveryStatus::Delivered
        );
    }
    assert_eq!((sandbox.inbox().len(), sandbox.refreshes()), (6, 1));
}

#[tokio::test]
async fn a_refresh_continues_if_its_push_is_dropped() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let before = flow.access_token();
    sandbox.expire_access_tokens();
    sandbox.inject(Endpoint::Token, Fault::Delay(Duration::from_secs(1)));
    let requests = sandbox.requests(Endpoint::Token);
    let refreshing = async {
        while sandbox.requests(Endpoint::Token) == requests {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        pushed = flow.push(item()) => panic!("it was to be dropped: {pushed:?}"),
        () = refreshing => {}
    }
    assert_ne!(flow.refreshed_token(&before).await, before);
    let _ = flow.push(item()).await.expect("a delivery");
    assert_eq!((sandbox.inbox().len(), sandbox.refreshes()), (1, 1));
}

#[tokio::test]
async fn an_ended_consent_is_a_distinct_error() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.end_consent();
    let error = flow.refresh().await.expect_err("a refusal");
    assert!(matches!(error, Error::ConsentEnded { .. }), "{error}");
    assert!(error.to_string().contains("begin a new flow"), "{error}");
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_not_sent_twice() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.inject(Endpoint::Token, Fault::LoseAnswer);
    let error = flow.refresh().await.expect_err("a lost answer");
    assert!(error.may_have_taken_effect());
    assert!(
        error
            .to_string()
            .contains("the refresh token may already be spent"),
        "{error}"
    );
    assert_eq!(sandbox.refreshes(), 1);
}

#[tokio::test]
async fn a_new_key_of_the_platform_is_fetched_when_needed() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    sandbox.rotate_key();
    flow.refresh().await.expect("a token");
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_forged_platform_token_is_refused() {
    let sandbox = sandbox().await;
    for (fault, why) in [
        (Fault::ForgedToken, PlatformTokenError::Signature),
        (Fault::ForeignKeys, PlatformTokenError::ForeignKeys),
        (
            Fault::Answer(r#"{"token":"a.b.c"}"#.into()),
            PlatformTokenError::Malformed,
        ),
    ] {
        let flow = receipts(&sandbox).flow(&client(&sandbox));
        let session = flow.establish_session().await.expect("a session");
        sandbox.inject(Endpoint::Authorize, fault);
        let (flow, error) = flow
            .create_postbox(session)
            .await
            .expect_err("a rejection")
            .into_parts();
        match error {
            Error::Request(RequestError::Untrusted { source, .. }) => assert_eq!(source, why),
            other => panic!("{other}"),
        }
        let session = flow.establish_session().await.expect("a session");
        let _ = flow.create_postbox(session).await.expect("a waiting flow");
    }
}

#[tokio::test]
async fn a_forged_answer_to_an_exchange_says_that_the_code_may_be_spent() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_ongoing(&sandbox).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    sandbox.inject(Endpoint::Token, Fault::ForgedToken);
    let rejected = awaiting
        .exchange_code(callback)
        .await
        .expect_err("a rejection");
    assert!(rejected.error().may_have_taken_effect());
    assert!(
        rejected
            .to_string()
            .contains("the code may already be spent"),
        "{rejected}"
    );
}
