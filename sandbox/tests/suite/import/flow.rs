//! A whole flow, from the first consent to the deletion of the user.

use digime_sandbox::Endpoint;
use reqwest::Method;
use serde_json::json;

use super::app::{App, Tokens, metadata, parameters};
use crate::raw::{now, parameter};

#[tokio::test]
async fn a_person_consents_and_the_application_imports_until_the_user_is_deleted() {
    let app = App::new().await;
    let authorized = app.authorize(json!({})).await;
    assert_eq!(authorized.status, 200);
    let jku = format!("{}/jwks/oauth", app.sandbox().import_base_url());
    assert_eq!(authorized.token_header()["jku"], jku);
    assert_eq!(authorized.token_header()["alg"], "PS512");
    let session = &authorized.json["session"];
    assert!(session["key"].is_string(), "{session}");
    assert!(session["expiry"].as_u64().expect("a time") > now());

    let link = app.link_of(&authorized, "&sourceType=pull&lng=nl");
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    let names: Vec<_> = parameters(&callback).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["success", "state", "code", "accountReference"]);
    assert_eq!(parameter(&callback, "success"), "true");
    assert_eq!(parameter(&callback, "state"), "s");

    let tokens = app.tokens(&callback).await;
    let in_seconds = now() / 1000;
    let access = tokens.all["access_token"]["expires_on"].as_u64();
    let refresh = tokens.all["refresh_token"]["expires_on"].as_u64();
    assert!(access.expect("a time") > in_seconds);
    assert!(refresh.expect("a time") > in_seconds + 29 * 24 * 60 * 60);
    assert!(tokens.all["consentid"].is_string());

    let refreshed = app.refresh(&tokens.refresh).await;
    let refreshed = Tokens::of(refreshed.claims());
    assert_eq!(refreshed.user_id, tokens.user_id);
    assert_eq!(refreshed.all["consentid"], tokens.all["consentid"]);
    assert_ne!(refreshed.refresh, tokens.refresh);
    let again = app.refresh(&tokens.refresh).await;
    assert_eq!((again.status, again.code()), (401, "InvalidToken"));
    assert_eq!(
        again.message(),
        "The token (refresh_token) is expired/invalid"
    );

    let imported = app.import(&refreshed.access, b"4 apples").send().await;
    assert_eq!(imported.status, 200);
    let arrived = app.sandbox().inbox().pop().expect("an item");
    assert_eq!(arrived.descriptor, metadata());
    assert_eq!(arrived.user_id, Some(tokens.user_id.clone()));
    assert_eq!(
        (arrived.name.as_str(), arrived.postbox_id.as_str()),
        ("", "")
    );
    assert_eq!(arrived.size, 8);
    assert_eq!(arrived.provider, None);
    let content = app.sandbox().content(&arrived).expect("it is kept");
    assert_eq!(content, b"4 apples"[..]);

    let claims = json!({"access_token": refreshed.access});
    let deleted = app.call(Method::DELETE, "user", claims).send().await;
    assert_eq!(deleted.status, 200);
    assert_eq!(app.sandbox().inbox(), []);
    for refused in [
        app.import(&refreshed.access, b"a").send().await,
        app.refresh(&refreshed.refresh).await,
        app.reauthorize(&refreshed.access).await,
    ] {
        assert_eq!((refused.status, refused.code()), (401, "InvalidToken"));
    }
    for (endpoint, requests) in [
        (Endpoint::Authorize, 1),
        (Endpoint::Token, 4),
        (Endpoint::Import, 2),
        (Endpoint::Reference, 1),
        (Endpoint::DeleteUser, 1),
    ] {
        assert_eq!(app.sandbox().requests(endpoint), requests, "{endpoint:?}");
    }
    assert_eq!(app.sandbox().refreshes(), 1);
}

#[tokio::test]
async fn a_resource_reaches_a_provider_by_an_account_that_takes_pushes() {
    let app = App::new().await;
    let link = app.link("&sourceType=push&service=7").await;
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    let tokens = app.tokens(&callback).await;
    let account = app.accounts(&tokens.access).await.json[0].clone();
    assert_eq!(
        account["reference"],
        parameter(&callback, "accountReference")
    );
    assert_eq!(
        (&account["type"], &account["sourceId"]),
        (&json!("PUSH"), &json!(7))
    );
    let account_id = account["id"].as_str().expect("an id");
    let pushed = app
        .push_to_provider(&tokens.access, account_id)
        .send()
        .await;
    assert_eq!(pushed.status, 200, "{pushed:?}");
    let arrived = app.sandbox().inbox().pop().expect("an item");
    let provider = arrived.provider.expect("a push to a provider");
    assert_eq!(provider.account_id, account_id);
    assert_eq!(
        (provider.standard.as_str(), provider.version.as_str()),
        ("fhir", "3.0.2")
    );
    assert_eq!(app.sandbox().requests(Endpoint::ImportToProvider), 1);
    assert_eq!(app.sandbox().violations(), [""; 0]);
}
