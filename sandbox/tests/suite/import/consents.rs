//! Consents that are renewed, linked, withdrawn and given by another person.

use std::sync::Arc;

use digime_sandbox::{Decision, NewContract, Reply, Sandbox};
use serde_json::{Value, json};

use super::app::{App, Tokens, agent, days, parameters};
use crate::raw::parameter;

#[tokio::test]
async fn a_consent_that_has_ended_is_renewed_by_the_same_person() {
    let app = App::new().await;
    let tokens = app.connect().await;
    app.sandbox().advance(days(31));
    let link = app.reauth_link(&tokens.access).await;
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    let names: Vec<_> = parameters(&callback).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["success", "state", "code"]);
    assert_eq!(parameter(&callback, "state"), "r");
    let renewed = app.tokens(&callback).await;
    assert_eq!(renewed.user_id, tokens.user_id);
    assert_eq!(renewed.all["consentid"], tokens.all["consentid"]);
    assert_eq!(app.import(&renewed.access, b"a").send().await.status, 200);
    let accounts = app.accounts(&renewed.access).await.json;
    assert_eq!(accounts.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_renewal_before_the_end_leaves_one_consent_and_the_tokens_that_are_out() {
    let app = App::new().await;
    let tokens = app.connect().await;
    let link = app.reauth_link(&tokens.access).await;
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    let renewed = app.tokens(&callback).await;
    assert_eq!(app.raw.consent_ids().await.len(), 1);
    for access in [&tokens.access, &renewed.access] {
        assert_eq!(app.import(access, b"a").send().await.status, 200);
    }
    app.sandbox().end_consent();
    for access in [&tokens.access, &renewed.access] {
        let refused = app.import(access, b"a").send().await;
        assert_eq!((refused.status, refused.code()), (401, "InvalidToken"));
    }
}

#[tokio::test]
async fn another_person_may_answer_a_renewal() {
    let app = App::new().await;
    let tokens = app.connect().await;
    let link = app.reauth_link(&tokens.access).await;
    let callback = app.sandbox().consent_as(&link, "another").await;
    let other = app.tokens(&callback.expect("a callback")).await;
    assert_eq!(other.user_id, "another");
    assert_ne!(other.all["consentid"], tokens.all["consentid"]);
    app.import(&other.access, b"a").send().await;
    let arrived = app.sandbox().inbox().pop().expect("an item");
    assert_eq!(arrived.user_id.as_deref(), Some("another"));
    // The first person's consent is still there.
    assert_eq!(app.import(&tokens.access, b"a").send().await.status, 200);
    assert_eq!(app.raw.consent_ids().await.len(), 2);
}

#[tokio::test]
async fn a_second_contract_is_linked_to_the_library_of_the_same_person() {
    let builder = Sandbox::builder()
        .contract(NewContract::import("documents"))
        .contract(NewContract::import("results"));
    let sandbox = Arc::new(builder.start().await.expect("a port"));
    let app = |id| App::under(&sandbox, sandbox.contract(id).expect("the contract"));
    let (first, second) = (app("documents"), app("results"));
    let tokens = first.connect().await;
    let linked = json!({"access_token": tokens.access});
    let authorized = second.authorize(linked.clone()).await;
    let link = second.link_of(&authorized, "&sourceType=pull");
    let callback = sandbox.consent(&link).await.expect("a callback");
    let both = second.tokens(&callback).await;
    assert_eq!(both.user_id, tokens.user_id);
    assert_ne!(both.all["consentid"], tokens.all["consentid"]);
    let accounts = first.accounts(&tokens.access).await.json;
    assert_eq!(accounts.as_array().map(Vec::len), Some(2));
    // But no token works under the other contract.
    let refused = second.import(&tokens.access, b"a").send().await;
    assert_eq!((refused.status, refused.code()), (401, "InvalidToken"));

    sandbox.end_consent_of("documents");
    let refused = second.authorize(linked).await;
    assert_eq!((refused.status, refused.code()), (401, "InvalidToken"));
    assert_eq!(second.import(&both.access, b"a").send().await.status, 200);
    let unknown = second.authorize(json!({"access_token": "nope"})).await;
    assert_eq!((unknown.status, unknown.code()), (401, "InvalidToken"));
}

#[tokio::test]
async fn without_a_link_each_consent_is_another_persons() {
    let app = App::new().await;
    let (one, other) = (app.connect().await, app.connect().await);
    assert_ne!(one.user_id, other.user_id);
    let link = app.link("&sourceType=pull").await;
    let callback = app.sandbox().consent_as(&link, one.user_id.clone()).await;
    let again = app.tokens(&callback.expect("a callback")).await;
    assert_eq!(again.user_id, one.user_id);
    assert_eq!(again.all["consentid"], one.all["consentid"]);
}

#[tokio::test]
async fn a_person_adds_a_service_and_no_other_person_can() {
    let app = App::new().await;
    let tokens = app.connect().await;
    let reference = async || -> Value {
        let claims = app.reference_claims(&tokens.access);
        let call = app.post("oauth/token/reference", claims);
        let answer = call.json(&json!({"agent": agent()})).send().await;
        assert!(answer.json["session"]["key"].is_string());
        answer.claims()["reference_code"].clone()
    };
    let code = reference().await;
    let code = code.as_str().expect("a code");
    let link = app.address("onboard", code, "&sourceType=push&service=9");
    let other = app.sandbox().consent_as(&link, "another").await;
    let error = other.expect_err("another person").to_string();
    assert!(error.contains("only the person"), "{error}");
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    let expected = [("success".to_owned(), "true".to_owned())];
    assert_eq!(parameters(&callback), expected);
    let accounts = app.accounts(&tokens.access).await.json;
    assert_eq!(accounts[1]["type"], "PUSH");
    let account_id = accounts[1]["id"].as_str().expect("an id");
    let pushed = app.push_to_provider(&tokens.access, account_id);
    assert_eq!(pushed.send().await.status, 200);

    // An account that has to be authorized again.
    let hidden = app.post("reference", json!({}));
    let hidden = hidden.json(&json!({"type": "accountId", "value": account_id}));
    let id = hidden.send().await.json["id"].clone();
    let query = format!("&accountRef={}", id.as_str().expect("an id"));
    let code = reference().await;
    let link = app.address("reauthorize", code.as_str().expect("a code"), &query);
    let callback = app.sandbox().consent(&link).await.expect("a callback");
    assert_eq!(parameters(&callback), expected);
    assert_eq!(app.sandbox().violations(), [""; 0]);
}

#[tokio::test]
async fn a_service_can_not_be_added_with_an_expired_token_but_a_consent_renewed() {
    let app = App::new().await;
    let tokens = app.connect().await;
    app.sandbox().expire_access_tokens();
    let claims = app.reference_claims(&tokens.access);
    let call = app.post("oauth/token/reference", claims);
    let refused = call.json(&json!({"agent": agent()})).send().await;
    assert_eq!((refused.status, refused.code()), (401, "InvalidToken"));
    assert_eq!(app.reauthorize(&tokens.access).await.status, 200);
    let unknown = app.reauthorize("nope").await;
    assert_eq!((unknown.status, unknown.code()), (401, "InvalidToken"));
}

#[tokio::test]
async fn a_person_declines_and_the_callback_says_so() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    let declined = app.sandbox().decline(&link).await.expect("a callback");
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = list.iter().map(|(a, b)| ((*a).into(), (*b).into()));
        owned.collect()
    };
    let failure = |code| [("success", "false"), ("errorCode", code), ("state", "s")];
    assert_eq!(parameters(&declined), pairs(&failure("USER_CANCEL")));
    let failed = app.sandbox().fail(&link).await.expect("a callback");
    assert_eq!(parameters(&failed), pairs(&failure("ONBOARD_ERROR")));
    let silent = Reply::new(Decision::Cancel).without_state();
    let silent = app.sandbox().answer(&link, silent).await;
    assert_eq!(
        parameters(&silent.expect("a callback")),
        pairs(&failure("USER_CANCEL")[..2])
    );
    app.sandbox().consent(&link).await.expect("a callback");
    let again = app.sandbox().consent(&link).await;
    let again = again.expect_err("it was used").to_string();
    assert!(again.contains("used before"), "{again}");
}

#[tokio::test]
async fn links_are_answered_over_http() {
    let app = App::new().await;
    let tokens = app.connect().await;
    let link = app.reauth_link(&tokens.access).await;
    let consent = async |more: &[(&str, &str)]| {
        let request = app.raw.http.get(app.raw.url("/sandbox/consent"));
        let request = request.query(&[("link", link.as_str())]).query(more);
        let answer = request.send().await.expect("an answer");
        answer.json::<Value>().await.expect("JSON")["callback"].clone()
    };
    let declined = consent(&[("decision", "cancel"), ("without_state", "true")]).await;
    let declined = declined.as_str().expect("a callback");
    assert!(declined.ends_with("?success=false&errorCode=USER_CANCEL"));
    let approved = consent(&[("user", "another")]).await;
    let approved = approved.as_str().expect("a callback").parse();
    let other: Tokens = app.tokens(&approved.expect("a URL")).await;
    assert_eq!(other.user_id, "another");
}
