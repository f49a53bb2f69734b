//! Several contracts and applications, which know nothing of each other.

use std::sync::Arc;

use digime_sandbox::{NewContract, Sandbox, StartError};
use serde_json::{Value, json};

use crate::raw::{Raw, VERIFIER, authorize_claims, descriptor, exchange_claims, parameter};

const PKCS8: &str = include_str!("../keys/pkcs8.pem");

fn receipts() -> NewContract {
    NewContract::ongoing("corner-shop-receipts")
        .name("Receipts")
        .application_id("corner-shop")
        .application_name("Corner Shop")
        .redirect_uri("http://localhost:3000/digime/callback")
        .redirect_uri("com.example.shop:/callback")
}

fn bills() -> NewContract {
    NewContract::ongoing("utility-bills").application_id("utility")
}

/// Two clients of one sandbox, of two applications.
async fn two_tenants() -> (Raw, Raw) {
    let builder = Sandbox::builder().contract(receipts()).contract(bills());
    let sandbox = Arc::new(builder.start().await.expect("a port"));
    let raw = |id| Raw::under(&sandbox, sandbox.contract(id).expect("the contract"));
    (raw("corner-shop-receipts"), raw("utility-bills"))
}

#[tokio::test]
async fn a_contract_has_what_it_was_registered_with() {
    let (shop, other) = two_tenants().await;
    let contract = json!(shop.contract);
    for (field, value) in [
        ("application_id", json!("corner-shop")),
        ("contract_id", json!("corner-shop-receipts")),
        (
            "redirect_uri",
            json!("http://localhost:3000/digime/callback"),
        ),
        ("kind", json!("ongoing")),
        ("name", json!("Receipts")),
        ("application_name", json!("Corner Shop")),
    ] {
        assert_eq!(contract[field], value, "{field}");
    }
    assert_ne!(shop.contract.private_key, other.contract.private_key);
    assert!(!format!("{:?}", shop.contract).contains("PRIVATE"));
}

#[tokio::test]
async fn ids_of_two_sandboxes_differ() {
    let (one, other) = (Raw::ongoing().await, Raw::ongoing().await);
    assert_ne!(one.contract.contract_id, other.contract.contract_id);
    assert_ne!(one.contract.application_id, other.contract.application_id);
}

#[tokio::test]
async fn what_one_contract_got_is_refused_for_another() {
    let (shop, other) = two_tenants().await;
    let mine = shop.connect().await;
    let theirs = other.connect().await;
    shop.push(&mine, "a", b"a", descriptor("text/plain"))
        .await
        .expect("a delivery");

    // A code.
    let code = shop.code().await;
    let exchanged = other.ask("oauth/token", exchange_claims(&code, VERIFIER));
    assert_eq!(exchanged.await, Err("InvalidGrant".into()));
    // A refresh token.
    let refresh =
        json!({"grant_type": "refresh_token", "refresh_token": mine.tokens["refresh_token"]});
    let refreshed = other.ask("oauth/token", refresh).await;
    assert_eq!(refreshed, Err("InvalidToken".into()));
    // A postbox.
    let pushed = other.push(&mine, "a", b"a", descriptor("text/plain"));
    assert_eq!(pushed.await, Err("InvalidPostbox".into()));
    // A session, and an access token.
    let mut mixed = other.connect().await;
    mixed.session.clone_from(&mine.session);
    let pushed = other.push(&mixed, "a", b"a", descriptor("text/plain"));
    assert_eq!(pushed.await, Err("InvalidSession".into()));
    mixed.session.clone_from(&theirs.session);
    mixed.tokens = mine.tokens.clone();
    let pushed = other.push(&mixed, "a", b"a", descriptor("text/plain"));
    assert_eq!(pushed.await, Err("InvalidToken".into()));
    assert_eq!(shop.sandbox.inbox().len(), 1);
}

#[tokio::test]
async fn an_application_can_use_no_contract_of_another() {
    let (shop, other) = two_tenants().await;
    let request = json!({
        "appId": shop.contract.application_id, "contractId": other.contract.contract_id,
        "sdkAgent": {"name": "raw", "version": "1", "meta": {}},
    });
    let (status, answer) = shop
        .post_json("/v1.5/permission-access/session", &request)
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("InvalidConsentAccessApplication"))
    );
    let mut link = shop.link().await;
    let query: Vec<(String, String)> = link.query_pairs().into_owned().collect();
    link.query_pairs_mut().clear();
    for (name, value) in query {
        let value = if name == "appId" { "utility" } else { &value };
        link.query_pairs_mut().append_pair(&name, value);
    }
    let error = shop.sandbox.consent(&link).await.expect_err("its appId");
    assert!(error.to_string().contains("appId"), "{error}");
}

#[tokio::test]
async fn each_registered_redirect_uri_works_and_binds_its_codes() {
    let (mut shop, _) = two_tenants().await;
    let first = shop.contract.redirect_uri.clone();
    shop.contract.redirect_uri = "com.example.shop:/callback".into();
    let callback = shop.sandbox.consent(shop.link().await).await;
    let callback = callback.expect("a callback");
    assert_eq!(callback.scheme(), "com.example.shop");
    let code = exchange_claims(&parameter(&callback, "code"), VERIFIER);
    let second = std::mem::replace(&mut shop.contract.redirect_uri, first);
    let refused = shop.ask("oauth/token", code.clone()).await;
    assert_eq!(refused, Err("InvalidGrant".into()));
    shop.contract.redirect_uri = second;
    shop.ask("oauth/token", code).await.expect("tokens");
    shop.contract.redirect_uri = "https://elsewhere.example/".into();
    let refused = shop.ask("oauth/authorize", authorize_claims()).await;
    assert_eq!(refused, Err("InvalidRedirectUri".into()));
}

#[tokio::test]
async fn consent_can_end_under_one_contract_alone() {
    let (shop, other) = two_tenants().await;
    let (mine, theirs) = (shop.connect().await, other.connect().await);
    shop.sandbox.end_consent_of("corner-shop-receipts");
    let refresh =
        |it: &Value| json!({"grant_type": "refresh_token", "refresh_token": it["refresh_token"]});
    let refreshed = shop.ask("oauth/token", refresh(&mine.tokens)).await;
    assert_eq!(refreshed, Err("InvalidToken".into()));
    other
        .ask("oauth/token", refresh(&theirs.tokens))
        .await
        .expect("tokens");
}

#[tokio::test]
async fn a_key_in_pkcs_8_can_be_given() {
    let builder = Sandbox::builder().contract(receipts().private_key(PKCS8));
    let sandbox = Arc::new(builder.start().await.expect("a port"));
    let contract = sandbox.contract("corner-shop-receipts");
    let shop = Raw::under(&sandbox, contract.expect("the contract"));
    let key = &shop.contract.private_key;
    assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"), "{key}");
    shop.connect().await;
}

#[tokio::test]
async fn the_public_url_is_what_clients_see() {
    let builder = Sandbox::builder().public_url("http://sandbox:8700");
    let sandbox = builder.start().await.expect("a port");
    assert_eq!(sandbox.base_url(), "http://sandbox:8700/v1.5");
    assert_eq!(sandbox.phone_url(), "http://sandbox:8700/phone");
    for url in [
        "sandbox:8700",
        "http://sandbox/v1.5",
        "ftp://sandbox",
        "http://a@b",
    ] {
        let error = Sandbox::builder().public_url(url).start().await;
        assert!(matches!(error, Err(StartError::PublicUrl(_))), "{url}");
    }
}

#[tokio::test]
async fn a_contract_that_can_not_be_used_is_an_error_that_says_why() {
    let once = || NewContract::once("a");
    let with_uri = |uri: &str| vec![once().redirect_uri(uri)];
    for (contracts, message) in [
        (
            vec![NewContract::once("")],
            "a contract has an empty `contract_id`",
        ),
        (
            vec![once().application_id("")],
            "a contract has an empty `application_id`",
        ),
        (vec![once(), once()], "two contracts have the id `a`"),
        (
            vec![NewContract::once("once")],
            "a contract can't have the id `once`",
        ),
        (
            vec![
                NewContract::once("b_c").application_id("a"),
                NewContract::once("c").application_id("a_b"),
            ],
            "two contracts have the client id `a_b_c`",
        ),
        (
            with_uri("/callback"),
            "the redirect URI `/callback` of the contract `a` is not an absolute URL",
        ),
        (with_uri("https://a.example/#b"), "has a fragment"),
        (with_uri("https://a@b.example/"), "has a user name"),
        (with_uri("javascript:alert(1)"), "can't be called back"),
        (
            vec![once().private_key("nonsense")],
            "the private key of the contract `a` is not PEM",
        ),
        (
            vec![
                once().private_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
            ],
            "is not a private RSA key",
        ),
        (
            vec![once().private_key(
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
            )],
            "is not an RSA key",
        ),
    ] {
        let builder = contracts
            .into_iter()
            .fold(Sandbox::builder(), |builder, contract| {
                builder.contract(contract)
            });
        let error = builder.start().await.expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
}
