//! What the sandbox refuses.

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::raw::{Raw, VERIFIER, authorize_claims, exchange_claims, now, parameter, sign};

#[tokio::test]
async fn a_correct_flow_succeeds() {
    let raw = Raw::ongoing().await;
    let tokens = raw
        .ask("oauth/token", exchange_claims(&raw.code().await, VERIFIER))
        .await
        .expect("tokens");
    assert!(
        tokens["access_token"].is_string() && tokens["expires_on"].is_u64(),
        "{tokens}"
    );
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]});
    raw.ask("oauth/token", refresh.clone())
        .await
        .expect("tokens");
    assert_eq!(raw.sandbox.violations(), [""; 0]);
    assert_eq!(
        raw.ask("oauth/token", refresh).await,
        Err("InvalidToken".into()),
        "it is spent"
    );
}

#[tokio::test]
async fn every_part_of_a_request_token_is_verified() {
    let raw = Raw::ongoing().await;
    let ours = raw.claims(authorize_claims());
    let with = |name: &str, value: Value| {
        let mut claims = raw.claims(authorize_claims());
        claims[name] = value;
        raw.sign(Algorithm::PS512, &claims)
    };
    let good = raw.sign(Algorithm::PS512, &ours);
    raw.post("oauth/authorize", &good)
        .await
        .expect("a preauthorization");
    let claims = raw.claims(authorize_claims());
    let forged = sign(&raw.sandbox.contracts().once, Algorithm::PS512, &claims);
    let wrong = [
        (good, "InvalidJWT"),
        (forged, "InvalidJWT"),
        (
            raw.sign(Algorithm::RS512, &raw.claims(authorize_claims())),
            "InvalidJWT",
        ),
        (
            raw.sign(Algorithm::PS256, &raw.claims(authorize_claims())),
            "InvalidJWT",
        ),
        (with("client_id", json!("somebody_else")), "InvalidJWT"),
        (with("nonce", json!("short")), "InvalidJWT"),
        (with("timestamp", json!(now() - 3_600_000)), "InvalidJWT"),
        (with("timestamp", json!(now() / 1000)), "InvalidJWT"),
        (
            with("redirect_uri", json!("https://evil.example/")),
            "InvalidRedirectUri",
        ),
        (
            with("code_challenge", json!(VERIFIER.repeat(2))),
            "InvalidRequest",
        ),
        (
            with("code_challenge_method", json!("plain")),
            "InvalidRequest",
        ),
        (String::new(), "InvalidJWT"),
        ("a.b.c".into(), "InvalidJWT"),
    ];
    let count = wrong.len();
    for (token, code) in wrong {
        assert_eq!(raw.post("oauth/authorize", &token).await, Err(code.into()));
    }
    assert_eq!(raw.sandbox.violations().len(), count);
}

#[tokio::test]
async fn a_code_can_be_exchanged_once_and_only_with_its_verifier() {
    let raw = Raw::ongoing().await;
    let code = raw.code().await;
    let other = VERIFIER.replace('d', "e");
    for (claims, refusal) in [
        (exchange_claims("unknown", VERIFIER), "InvalidGrant"),
        (exchange_claims(&code, &other), "InvalidGrant"),
        (exchange_claims(&code, "too-short"), "InvalidRequest"),
    ] {
        assert_eq!(raw.ask("oauth/token", claims).await, Err(refusal.into()));
    }
    raw.ask("oauth/token", exchange_claims(&code, VERIFIER))
        .await
        .expect("tokens");
    assert_eq!(
        raw.ask("oauth/token", exchange_claims(&code, VERIFIER))
            .await,
        Err("InvalidGrant".into())
    );
}

#[tokio::test]
async fn the_users_client_opens_only_a_correct_link_and_only_once() {
    let raw = Raw::ongoing().await;
    let link = raw.link().await;
    let without = |name: &str| {
        let mut changed = link.clone();
        let others = link.query_pairs().filter(|(own, _)| own != name);
        changed.query_pairs_mut().clear().extend_pairs(others);
        changed
    };
    for name in [
        "preauthorizationCode",
        "callbackUrl",
        "sessionKey",
        "appId",
        "sdkVersion",
    ] {
        raw.sandbox.consent(without(name)).await.expect_err(name);
    }
    let declined = raw.sandbox.decline(&link).await.expect("a callback");
    assert_eq!(
        (
            parameter(&declined, "result"),
            parameter(&declined, "state")
        ),
        ("CANCEL".into(), "s".into())
    );
    let approved = raw.sandbox.consent(&link).await.expect("a callback");
    assert_eq!(
        (
            parameter(&approved, "result"),
            parameter(&approved, "state")
        ),
        ("SUCCESS".into(), "s".into())
    );
    let again = raw
        .sandbox
        .consent(&link)
        .await
        .expect_err("the session is used");
    assert!(
        again
            .to_string()
            .contains("session has created a postbox already"),
        "{again}"
    );
}

#[tokio::test]
async fn the_users_client_can_be_used_over_http() {
    let raw = Raw::ongoing().await;
    let described = raw.sandbox.describe();
    let link = raw.link().await;
    let answer: Value = raw
        .http
        .get(described["consent_url"].as_str().expect("a URL"))
        .query(&[("link", link.as_str()), ("decision", "cancel")])
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let callback = Url::parse(answer["callback"].as_str().expect("a callback")).expect("a URL");
    assert_eq!(parameter(&callback, "result"), "CANCEL");
    let inbox = raw
        .http
        .get(described["inbox_url"].as_str().expect("a URL"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(inbox.json::<Value>().await.expect("JSON"), json!([]));
}

#[tokio::test]
async fn a_push_must_fit_its_postbox_session_and_envelope() {
    let raw = Raw::ongoing().await;
    let link = raw.link().await;
    let session = parameter(&link, "sessionKey");
    let callback = raw.sandbox.consent(&link).await.expect("a callback");
    let postbox = format!(
        "permission-access/postbox/{}",
        parameter(&callback, "postboxId")
    );
    let code = exchange_claims(&parameter(&callback, "code"), VERIFIER);
    let tokens = raw.ask("oauth/token", code).await.expect("tokens");
    let claims = |name: &str, value: Value| {
        let mut claims = json!({
            "access_token": tokens["access_token"], "session_key": session,
            "iv": "00".repeat(16), "symmetrical_key": "AAAA", "metadata": "AAAA",
        });
        claims[name] = value;
        claims
    };
    for (endpoint, claims, code) in [
        (
            "permission-access/postbox/nope",
            claims("iv", json!("00")),
            "InvalidPostbox",
        ),
        (
            &*postbox,
            claims("session_key", json!("nope")),
            "InvalidSession",
        ),
        (
            &*postbox,
            claims("access_token", json!("nope")),
            "InvalidToken",
        ),
        (
            &*postbox,
            claims("iv", json!("AA".repeat(16))),
            "InvalidRequest",
        ),
        (
            &*postbox,
            claims("symmetrical_key", json!("AAAA")),
            "InvalidRequest",
        ),
    ] {
        assert_eq!(raw.ask(endpoint, claims).await, Err(code.into()));
    }
    assert!(raw.sandbox.inbox().is_empty());
}

#[tokio::test]
async fn a_request_that_no_endpoint_can_read_gets_a_reason() {
    let raw = Raw::ongoing().await;
    let session = "/v1.5/permission-access/session";
    let postbox = "/v1.5/permission-access/postbox/%ff";
    let (json, text) = ("application/json", "text/plain");
    for (method, path, content_type, status) in [
        (Method::POST, session, json, 400),
        (Method::POST, session, text, 400),
        (Method::POST, postbox, text, 400),
        (Method::GET, session, text, 405),
        (Method::POST, "/v1.5/jwks/oauth", text, 405),
    ] {
        let what = format!("{method} {path}");
        let request = raw.http.request(method, raw.url(path));
        let request = request.header("content-type", content_type).body("{");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{what}");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["error"]["code"], "InvalidRequest", "{what}");
        let why = answer["error"]["message"].as_str().expect("a message");
        let noted = raw.sandbox.violations().pop();
        assert_eq!(noted, Some(format!("{what}: {why}")));
    }
}
