//! Imports, and pushes to a provider.

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::app::{App, metadata};
use crate::raw::sign;

#[tokio::test]
async fn a_descriptor_is_signed_and_has_the_members_of_the_protocol_alone() {
    let app = App::new().await;
    let access = app.connect().await.access;
    let with = |name: &str, value: Value| {
        let mut metadata = metadata();
        metadata[name] = value;
        app.descriptor(&json!({"metadata": metadata}))
    };
    let good = json!({"metadata": metadata()});
    let contract = &app.raw.contract;
    let mut tampered = app.descriptor(&good);
    tampered.replace_range(tampered.len() - 8..tampered.len() - 4, "AAAA");
    for (descriptor, code) in [
        (tampered, "InvalidJWT"),
        (sign(contract, Algorithm::RS512, &good), "InvalidJWT"),
        (
            sign(&app.sandbox().contracts().once, Algorithm::PS512, &good),
            "InvalidJWT",
        ),
        (metadata().to_string(), "InvalidJWT"),
        (app.descriptor(&metadata()), "InvalidRequest"),
        (app.descriptor(&json!({})), "InvalidRequest"),
        (
            app.descriptor(&json!({"metadata": metadata(), "nonce": "a"})),
            "InvalidRequest",
        ),
        (with("fileName", json!("a.txt")), "InvalidRequest"),
        (with("mimeType", json!(1)), "InvalidRequest"),
        (with("mimeType", json!("")), "InvalidRequest"),
        (with("accounts", json!([])), "InvalidRequest"),
        (
            with("accounts", json!([{"accountId": ""}])),
            "InvalidRequest",
        ),
        (
            with("accounts", json!([{"accountId": "a", "name": "b"}])),
            "InvalidRequest",
        ),
        (with("tags", json!("a")), "InvalidRequest"),
        (with("reference", json!([1])), "InvalidRequest"),
    ] {
        let answer = app.import_with(&access, b"a", descriptor.clone());
        let answer = answer.send().await;
        assert_eq!(answer.code(), code, "{descriptor}");
        assert!(answer.message().contains("`FileDescriptor`"), "{answer:?}");
    }
    let claims = json!({"access_token": access});
    let without = app.post("permission-access/import", claims);
    let without = without.header("content-type", "application/octet-stream");
    assert_eq!(without.send().await.code(), "InvalidRequest");
    assert_eq!(app.sandbox().inbox(), []);
    let least = json!({"mimeType": "text/plain", "accounts": [{"accountId": "a"}]});
    let descriptor = app.descriptor(&json!({"metadata": least}));
    // It has no nonce, so it may be sent twice.
    for _ in 0..2 {
        let imported = app.import_with(&access, b"a", descriptor.clone());
        assert_eq!(imported.send().await.status, 200);
    }
    assert_eq!(app.sandbox().inbox().len(), 2);
}

#[tokio::test]
async fn an_import_has_the_content_type_of_the_protocol() {
    let app = App::new().await;
    let access = app.connect().await.access;
    let descriptor = app.descriptor(&json!({"metadata": metadata()}));
    for content_type in ["text/plain", "multipart/form-data; boundary=a"] {
        let claims = json!({"access_token": access});
        let call = app.post("permission-access/import", claims);
        let call = call.header("FileDescriptor", &*descriptor);
        let answer = call.header("content-type", content_type).body("a");
        let answer = answer.send().await;
        assert_eq!((answer.status, answer.code()), (400, "InvalidRequest"));
    }
}

#[tokio::test]
async fn a_large_file_is_hashed_and_not_kept() {
    let app = App::new().await;
    let access = app.connect().await.access;
    let content = vec![7; (8 << 20) + 1];
    assert_eq!(app.import(&access, &content).send().await.status, 200);
    assert_eq!(app.import(&access, b"").send().await.status, 200);
    let items = app.sandbox().inbox();
    assert_eq!((items[0].size, items[1].size), ((8 << 20) + 1, 0));
    assert_eq!(items[0].sha256, hex::encode(Sha256::digest(&content)));
    assert_eq!(app.sandbox().content(&items[0]), None);
    assert_eq!(app.sandbox().content(&items[1]).map(|it| it.len()), Some(0));
}

#[tokio::test]
async fn an_import_needs_a_valid_access_token() {
    let app = App::new().await;
    let tokens = app.connect().await;
    for access in ["unknown", &*tokens.refresh] {
        let answer = app.import(access, b"a").send().await;
        assert_eq!((answer.status, answer.code()), (401, "InvalidToken"));
    }
    assert_eq!(app.sandbox().violations().len(), 2);
    app.sandbox().expire_access_tokens();
    let answer = app.import(&tokens.access, b"a").send().await;
    assert_eq!((answer.status, answer.code()), (401, "InvalidToken"));
    // Only from this answer can a program learn that its token has expired, so that is no mistake.
    assert_eq!(app.sandbox().violations().len(), 2);
    assert_eq!(app.sandbox().inbox(), []);
}

#[tokio::test]
async fn a_push_to_a_provider_needs_an_account_that_takes_it() {
    let app = App::new().await;
    let pull = app.connect().await;
    let account_id = app.account_id(&pull.access).await;
    let refused = app.push_to_provider(&pull.access, &account_id).send().await;
    assert_eq!((refused.status, refused.code()), (403, "InsufficientScope"));
    let unknown = app.push_to_provider(&pull.access, "unknown").send().await;
    assert_eq!((unknown.status, unknown.code()), (404, "InvalidAccount"));

    let push = app.connect_with("&sourceType=push").await;
    // Another person's account.
    let foreign = app.push_to_provider(&push.access, &account_id).send().await;
    assert_eq!((foreign.status, foreign.code()), (404, "InvalidAccount"));
    let account_id = app.account_id(&push.access).await;
    let to = |path: &str| {
        let path = format!("permission-access/import/h:accountId/{path}");
        app.call(Method::POST, path, json!({"access_token": push.access}))
    };
    for (path, body, content_type, status) in [
        ("fhir/stu3", "{}", "application/json", 200),
        (
            "fhir/3.0.2",
            "{\"a\":[1]}",
            "application/json; charset=utf-8",
            200,
        ),
        ("fhir/r4", "{}", "application/json", 400),
        ("hl7/stu3", "{}", "application/json", 400),
        ("fhir/stu3", "[]", "application/json", 400),
        ("fhir/stu3", "", "application/json", 400),
        ("fhir/stu3", "{} {}", "application/json", 400),
        ("fhir/stu3", "{}", "application/fhir+json", 400),
    ] {
        let call = to(path).header("accountId", &*account_id).body(body);
        let answer = call.header("content-type", content_type).send().await;
        assert_eq!(answer.status, status, "{path} {body} {content_type}");
    }
    let without = to("fhir/stu3").json(&json!({})).send().await;
    assert_eq!((without.status, without.code()), (400, "InvalidRequest"));
    assert_eq!(app.sandbox().inbox().len(), 2);
}
