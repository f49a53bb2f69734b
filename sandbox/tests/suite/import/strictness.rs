//! What API 1.7 refuses.

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use super::app::{App, agent, merge, nonce};
use crate::raw::{Raw, VERIFIER, authorize_claims, now, parameter, sign};

#[tokio::test]
async fn every_part_of_a_request_token_is_verified() {
    let app = App::new().await;
    for (claims, code) in [
        (json!({"client_id": "somebody_else"}), "InvalidClient"),
        (json!({"nonce": "short"}), "InvalidJWT"),
        (json!({"timestamp": now() - 3_600_000}), "InvalidJWT"),
        (json!({"timestamp": null}), "InvalidJWT"),
        (
            json!({"redirect_uri": "https://evil.example/"}),
            "InvalidRedirectUri",
        ),
        (json!({"redirect_uri": null}), "InvalidRequest"),
        (json!({"state": null}), "InvalidRequest"),
        (json!({"code_challenge": null}), "InvalidRequest"),
        (json!({"code_challenge": "short"}), "InvalidRequest"),
        (json!({"code_challenge_method": "plain"}), "InvalidRequest"),
        (json!({"response_mode": "form_post"}), "InvalidRequest"),
        (json!({"response_type": "token"}), "InvalidRequest"),
        (json!({"state": 1}), "InvalidRequest"),
        (json!({"access_token": 1}), "InvalidRequest"),
        (json!({"iat": now() / 1000}), "InvalidRequest"),
        (json!({"session_key": "a"}), "InvalidRequest"),
        (json!({"scope": "a"}), "InvalidRequest"),
    ] {
        let answer = app.authorize(claims.clone()).await;
        assert_eq!(answer.code(), code, "{claims}: {answer:?}");
        let error = &answer.json["error"];
        assert!(error["reference"].is_string(), "{error}");
    }
    assert_eq!(app.sandbox().violations().len(), 17);
}

#[tokio::test]
async fn a_token_of_another_key_or_algorithm_is_refused() {
    let app = App::new().await;
    let contract = &app.raw.contract;
    let claims = || {
        let mut claims = json!({
            "client_id": format!("{}_{}", contract.application_id, contract.contract_id),
            "nonce": nonce(), "timestamp": now(),
        });
        merge(&mut claims, app.authorize_claims());
        claims
    };
    let once = &app.sandbox().contracts().once;
    for token in [
        sign(once, Algorithm::PS512, &claims()),
        sign(contract, Algorithm::RS512, &claims()),
        sign(contract, Algorithm::PS256, &claims()),
        "a.b.c".into(),
        String::new(),
    ] {
        let url = format!("{}/oauth/authorize", app.sandbox().import_base_url());
        let request = app.raw.http.post(url).bearer_auth(token);
        let answer = request.json(&json!({"agent": agent()})).send().await;
        assert_eq!(answer.expect("an answer").status(), 401);
    }
}

#[tokio::test]
async fn each_endpoint_has_its_own_claims_and_no_others() {
    let app = App::new().await;
    let tokens = app.connect_with("&sourceType=push").await;
    let account_id = app.account_id(&tokens.access).await;
    let base = || json!({});
    let user = || json!({"access_token": tokens.access});
    let get = Method::GET;
    let provider = "permission-access/import/h:accountId/fhir/stu3";
    for (method, path, good, wrong) in [
        (
            Method::POST,
            "oauth/token",
            json!({"grant_type": "refresh_token", "refresh_token": "a"}),
            "redirect_uri",
        ),
        (
            Method::POST,
            "oauth/token",
            json!({"grant_type": "authorization_code", "code": "a", "code_verifier": VERIFIER}),
            "redirect_uri",
        ),
        (
            Method::POST,
            "oauth/token/reference",
            app.reference_claims(&tokens.access),
            "response_type",
        ),
        (Method::POST, "reference", base(), "access_token"),
        (Method::POST, "permission-access/import", user(), "metadata"),
        (Method::POST, "permission-access/import", user(), "iv"),
        (
            Method::POST,
            "permission-access/import",
            user(),
            "symmetrical_key",
        ),
        (
            Method::POST,
            "permission-access/import",
            user(),
            "redirect_uri",
        ),
        (Method::POST, provider, user(), "session_key"),
        (
            Method::POST,
            "permission-access/trigger",
            user(),
            "redirect_uri",
        ),
        (
            get.clone(),
            "permission-access/accounts",
            user(),
            "redirect_uri",
        ),
        (get, "permission-access/contract", base(), "access_token"),
        (
            Method::DELETE,
            "permission-access/service/h:accountId",
            user(),
            "state",
        ),
        (Method::DELETE, "user", user(), "code"),
    ] {
        let with = |claims: Value| {
            let call = app.call(method.clone(), path, claims);
            call.header("accountId", &*account_id).send()
        };
        let mut surplus = good.clone();
        surplus[wrong] = "a".into();
        let answer = with(surplus).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "InvalidRequest"),
            "{path}"
        );
        let names = format!("`{wrong}`");
        assert!(answer.message().contains(&names), "{path}: {answer:?}");
        for name in good.as_object().expect("claims").keys() {
            let mut lacking = good.clone();
            lacking.as_object_mut().expect("claims").remove(name);
            let answer = with(lacking).await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "InvalidRequest"),
                "{path}"
            );
            assert!(answer.message().contains(&**name), "{path}: {answer:?}");
        }
    }
    assert_eq!(app.accounts(&tokens.access).await.status, 200);
}

#[tokio::test]
async fn bodies_are_what_the_protocol_says() {
    let app = App::new().await;
    let tokens = app.connect().await;
    let user = || json!({"access_token": tokens.access});
    for body in [
        json!({}),
        json!({"agent": {"sdk": {"name": "raw"}}}),
        json!({"agent": agent(), "accept": {"compression": "gzip"}}),
        json!({"agent": agent(), "actions": {"pull": {"scope": {"others": []}}}}),
    ] {
        for (path, claims) in [
            ("oauth/authorize", app.authorize_claims()),
            (
                "oauth/token/reference",
                app.reference_claims(&tokens.access),
            ),
            ("permission-access/trigger", user()),
        ] {
            let answer = app.post(path, claims).json(&body).send().await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "InvalidRequest"),
                "{path} {body}"
            );
        }
    }
    let options =
        json!({"agent": agent(), "sourceFetch": false, "scope": {"criteria": [{"last": "6m"}]}});
    let triggered = app.post("permission-access/trigger", user());
    let triggered = triggered.json(&options).send().await;
    assert!(
        triggered.json["session"]["key"].is_string(),
        "{triggered:?}"
    );
    let untyped = app.post("oauth/authorize", app.authorize_claims());
    let untyped = untyped.body(r#"{"agent":{"sdk":{"name":"a","version":"1"}}}"#);
    assert_eq!(untyped.send().await.code(), "InvalidRequest");

    let refresh = json!({"grant_type": "refresh_token", "refresh_token": tokens.refresh});
    for (method, path, claims) in [
        (Method::POST, "oauth/token", refresh),
        (Method::GET, "permission-access/accounts", user()),
        (Method::GET, "permission-access/contract", json!({})),
        (
            Method::DELETE,
            "permission-access/service/h:accountId",
            user(),
        ),
        (Method::DELETE, "user", user()),
    ] {
        let call = app.call(method, path, claims).json(&json!({}));
        let answer = call.send().await;
        assert_eq!(
            (answer.status, answer.message()),
            (400, "the endpoint takes no body"),
            "{path}"
        );
    }
    assert_eq!(
        app.refresh(&tokens.refresh).await.status,
        200,
        "it was not spent"
    );
}

#[tokio::test]
async fn a_code_can_be_exchanged_once_and_only_with_its_verifier() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    let code = parameter(&callback, "code");
    let exchange = async |code: &str, verifier: &str| {
        let claims =
            json!({"code": code, "code_verifier": verifier, "grant_type": "authorization_code"});
        let answer = app.post("oauth/token", claims).send().await;
        answer.code().to_owned()
    };
    assert_eq!(exchange("unknown", VERIFIER).await, "InvalidGrant");
    assert_eq!(
        exchange(&code, &VERIFIER.replace('d', "e")).await,
        "InvalidGrant"
    );
    assert_eq!(exchange(&code, "short").await, "InvalidRequest");
    assert_eq!(exchange(&code, VERIFIER).await, "");
    assert_eq!(exchange(&code, VERIFIER).await, "InvalidGrant");
    let unknown = app.post("oauth/token", json!({"grant_type": "password"}));
    assert_eq!(unknown.send().await.code(), "InvalidRequest");
}

#[tokio::test]
async fn each_version_of_the_api_refuses_contracts_of_the_other() {
    let app = App::new().await;
    let sandbox = &app.raw.sandbox;
    for contract in [&sandbox.contracts().once, &sandbox.contracts().ongoing] {
        let answer = App::under(sandbox, contract).authorize(json!({})).await;
        assert_eq!((answer.status, answer.code()), (403, "InsufficientScope"));
    }
    let old = Raw::under(sandbox, &sandbox.contracts().import);
    let refused = old.ask("oauth/authorize", authorize_claims()).await;
    assert_eq!(refused, Err("InsufficientScope".into()));
    let request = json!({
        "appId": old.contract.application_id, "contractId": old.contract.contract_id,
        "sdkAgent": {"name": "raw", "version": "1"},
    });
    let path = "/v1.5/permission-access/session";
    let (status, answer) = old.post_json(path, &request).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (403, &json!("InsufficientScope"))
    );
}

#[tokio::test]
async fn a_reference_is_for_what_exists() {
    let app = App::new().await;
    let tokens = app.connect().await;
    let account_id = app.account_id(&tokens.access).await;
    for (body, status) in [
        (json!({"type": "cloudId", "value": "storage"}), 200),
        (json!({"type": "accountId", "value": account_id}), 200),
        (json!({"type": "accountId", "value": "unknown"}), 404),
        (json!({"type": "cloudId", "value": ""}), 400),
        (json!({"type": "cloudId"}), 400),
        (json!({"type": "other", "value": "a"}), 400),
        (json!({"type": "cloudId", "value": "a", "more": 1}), 400),
        (json!([]), 400),
    ] {
        let answer = app.post("reference", json!({})).json(&body).send().await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.json["id"].is_string(), status == 200, "{body}");
    }
}

#[tokio::test]
async fn what_no_endpoint_is_for_gets_a_reason() {
    let app = App::new().await;
    for (method, path, status) in [
        (Method::GET, "oauth/authorize", 405),
        (Method::POST, "user", 405),
        (Method::POST, "permission-access/session", 404),
        (Method::POST, "permission-access/postbox/a", 404),
        (
            Method::POST,
            "permission-access/import/h:other/fhir/stu3",
            404,
        ),
    ] {
        let answer = app.call(method, path, json!({})).send().await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json["error"]["code"].is_string(), "{path}");
    }
    let large = vec![b' '; (1 << 20) + 1];
    let call = app.post("oauth/authorize", app.authorize_claims());
    let answer = call.header("content-type", "application/json").body(large);
    let answer = answer.send().await;
    assert_eq!((answer.status, answer.code()), (400, "InvalidRequest"));
}
