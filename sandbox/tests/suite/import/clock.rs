//! What ends when the sandbox's clock is moved.

use std::time::Duration;

use digime_sandbox::Sandbox;
use serde_json::{Value, json};

use super::app::{App, Tokens, days};
use crate::raw::{Raw, VERIFIER, descriptor, exchange_claims, now, parameter};

fn expiry(tokens: &Tokens, which: &str) -> u64 {
    tokens.all[which]["expires_on"].as_u64().expect("a time")
}

#[tokio::test]
async fn an_access_token_expires_and_a_refresh_lengthens_it_but_not_the_consent() {
    let app = App::new().await;
    let tokens = app.connect().await;
    app.sandbox().advance(days(1));
    let expired = app.import(&tokens.access, b"a").send().await;
    assert_eq!((expired.status, expired.code()), (401, "InvalidToken"));
    let later = Tokens::of(app.refresh(&tokens.refresh).await.claims());
    assert!(expiry(&later, "access_token") > expiry(&tokens, "access_token"));
    assert_eq!(
        expiry(&later, "refresh_token"),
        expiry(&tokens, "refresh_token")
    );
    let imported = app.import(&later.access, b"a").send().await;
    assert_eq!(imported.status, 200);

    app.sandbox().advance(days(29));
    let lapsed = app.refresh(&later.refresh).await;
    assert_eq!((lapsed.status, lapsed.code()), (401, "InvalidToken"));
    assert_eq!(
        lapsed.message(),
        "The token (refresh_token) is expired/invalid"
    );
}

#[tokio::test]
async fn an_access_token_lasts_no_longer_than_its_consent() {
    let builder = Sandbox::builder().consent_lifetime(Duration::from_mins(10));
    let app = App::of(builder).await;
    let tokens = app.connect().await;
    assert_eq!(
        expiry(&tokens, "access_token"),
        expiry(&tokens, "refresh_token")
    );
    app.sandbox().advance(Duration::from_mins(10));
    let refused = app.import(&tokens.access, b"a").send().await;
    assert_eq!(refused.code(), "InvalidToken");
}

#[tokio::test]
async fn a_link_expires_with_its_session_and_a_code_with_its_consent() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    app.sandbox().advance(Duration::from_mins(30));
    let error = app.sandbox().consent(&link).await.expect_err("its code");
    assert!(error.to_string().contains("has expired"), "{error}");
    let link = app.link("&sourceType=pull").await;
    app.sandbox().end_sessions();
    app.sandbox().consent(&link).await.expect_err("its code");

    let link = app.link("&sourceType=pull").await;
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    app.sandbox().advance(days(30));
    let refused = app.exchange(&parameter(&callback, "code")).await;
    assert_eq!((refused.status, refused.code()), (400, "InvalidGrant"));
}

#[tokio::test]
async fn the_date_of_answers_is_the_sandboxs_and_timestamps_are_the_machines() {
    let app = App::new().await;
    let date = async || {
        let answer = app.raw.http.get(app.raw.url("/sandbox/inbox")).send();
        let answer = answer.await.expect("an answer");
        answer.headers()["date"].to_str().expect("text").to_owned()
    };
    let before = date().await;
    let advance = json!({"advance_seconds": 400 * 24 * 60 * 60});
    let (status, answer) = app.raw.post_json("/sandbox/clock", &advance).await;
    assert_eq!(status, 200);
    assert!(answer["now"].as_u64().expect("a time") > now() + 399 * 24 * 60 * 60 * 1000);
    let year = |date: &str| date[12..16].parse::<u32>().expect("a year");
    assert!(year(&date().await) > year(&before), "{before}");
    assert_eq!(app.authorize(json!({})).await.status, 200);
    let ahead = json!({"timestamp": now() + 400 * 24 * 60 * 60 * 1000});
    assert_eq!(app.authorize(ahead).await.code(), "InvalidJWT");
    for wrong in [json!({"advance_seconds": -1}), json!({"seconds": 1})] {
        let (status, _) = app.raw.post_json("/sandbox/clock", &wrong).await;
        assert_eq!(status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_nonce_is_not_new_because_the_clock_was_moved() {
    let app = App::new().await;
    let nonce = json!({"nonce": "n".repeat(32)});
    assert_eq!(app.authorize(nonce.clone()).await.status, 200);
    app.sandbox().advance(days(1));
    assert_eq!(app.authorize(nonce).await.code(), "InvalidJWT");
}

#[tokio::test]
async fn the_clock_can_not_be_moved_to_where_no_date_can_be_written() {
    let app = App::new().await;
    let advance = json!({"advance_seconds": u64::MAX});
    for _ in 0..2 {
        app.raw.post_json("/sandbox/clock", &advance).await;
    }
    app.connect().await;
    let (status, page) = app.raw.page("/connections").await;
    assert_eq!(status, 200);
    assert!(page.contains("Sandbox contract, import"), "{page}");
}

#[tokio::test]
async fn the_clock_moves_postboxes_and_sessions_of_api_1_5_too() {
    let raw = Raw::ongoing().await;
    let connected = raw.connect().await;
    let push = async || {
        let pushed = raw.push(&connected, "a", b"a", descriptor("text/plain"));
        pushed.await.map(|answer| answer["status"].clone())
    };
    assert_eq!(push().await, Ok(json!("delivered")));
    let link = raw.link().await;
    raw.sandbox.advance(Duration::from_mins(30));
    assert_eq!(push().await, Err("InvalidSession".into()));
    raw.sandbox.consent(&link).await.expect_err("its session");
    let code = raw.code().await;
    raw.sandbox.advance(days(30));
    let refresh: Value = json!({
        "grant_type": "refresh_token", "refresh_token": connected.tokens["refresh_token"],
    });
    let refused = raw.ask("oauth/token", refresh).await;
    assert_eq!(refused, Err("InvalidToken".into()));
    let refused = raw.ask("oauth/token", exchange_claims(&code, VERIFIER));
    assert_eq!(refused.await, Err("InvalidGrant".into()));
}

#[tokio::test]
async fn nobody_is_remembered_for_ever() {
    let app = App::new().await;
    let tokens = app.connect().await;
    app.sandbox().advance(days(59));
    assert_eq!(app.reauthorize(&tokens.access).await.status, 200);
    app.sandbox().advance(days(2));
    let forgotten = app.reauthorize(&tokens.access).await;
    assert_eq!((forgotten.status, forgotten.code()), (401, "InvalidToken"));
}
