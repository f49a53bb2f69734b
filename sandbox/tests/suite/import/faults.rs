//! Faults at the endpoints of API 1.7.

use digime_sandbox::{Endpoint, Fault};
use reqwest::Method;
use serde_json::json;

use super::app::App;

#[tokio::test]
async fn each_endpoint_has_its_faults() {
    let app = App::new().await;
    let tokens = app.connect_with("&sourceType=push").await;
    let account_id = app.account_id(&tokens.access).await;
    let spoil = |endpoint| {
        app.sandbox()
            .inject(endpoint, Fault::Refuse(503, "InvalidRequest"));
    };
    let claims = || json!({"access_token": tokens.access});
    spoil(Endpoint::Import);
    assert_eq!(app.import(&tokens.access, b"a").send().await.status, 503);
    assert_eq!(app.import(&tokens.access, b"a").send().await.status, 200);
    spoil(Endpoint::ImportToProvider);
    let push = || app.push_to_provider(&tokens.access, &account_id).send();
    assert_eq!(push().await.status, 503);
    assert_eq!(push().await.status, 200);
    spoil(Endpoint::Authorize);
    assert_eq!(app.authorize(json!({})).await.status, 503);
    spoil(Endpoint::Token);
    assert_eq!(app.refresh(&tokens.refresh).await.status, 503);
    spoil(Endpoint::Reference);
    assert_eq!(app.reauthorize(&tokens.access).await.status, 503);
    spoil(Endpoint::DeleteUser);
    let delete = || app.call(Method::DELETE, "user", claims()).send();
    assert_eq!(delete().await.status, 503);
    assert_eq!(delete().await.status, 200);
    assert_eq!(app.sandbox().violations(), [""; 0]);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_platform_has_acted() {
    let app = App::new().await;
    let tokens = app.connect().await;
    app.sandbox().inject(Endpoint::Import, Fault::LoseAnswer);
    let lost = app.import(&tokens.access, b"a").request().send().await;
    lost.expect_err("no answer");
    assert_eq!(app.sandbox().inbox().len(), 1);
}

#[tokio::test]
async fn a_token_names_keys_at_another_origin_and_keys_rotate() {
    let app = App::new().await;
    let header = async || app.authorize(json!({})).await.token_header();
    assert_eq!(header().await["kid"], "platform");
    app.sandbox()
        .inject(Endpoint::Authorize, Fault::ForeignKeys);
    assert_eq!(header().await["jku"], "http://localhost:1/v1.7/jwks/oauth");
    app.sandbox().rotate_key();
    assert_eq!(header().await["kid"], "rotated");
    let url = format!("{}/jwks/oauth", app.sandbox().import_base_url());
    let keys = app.raw.http.get(url).send().await.expect("an answer");
    let keys: serde_json::Value = keys.json().await.expect("JSON");
    assert_eq!(keys["keys"][0]["kid"], "rotated");
    assert_eq!(app.sandbox().requests(Endpoint::Keys), 1);
}
