//! Links to the onboarding app.

use std::sync::Arc;

use digime_sandbox::{Decision, NewContract, Reply, Sandbox};
use serde_json::json;
use url::Url;

use super::app::App;
use crate::raw::{Raw, parameter};

#[tokio::test]
async fn a_link_is_read_strictly_and_its_order_does_not_matter() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull&triggerQuery=false").await;
    let code = parameter(&link, "code");
    let origin = app.raw.url("");
    let onboarding = app.sandbox().onboarding_url();
    for (link, why) in [
        (
            format!("{onboarding}authorize?code={code}"),
            "no `sourceType`",
        ),
        (
            format!("{onboarding}authorize?sourceType=pull"),
            "no `code`",
        ),
        (
            format!("{link}&callback=https%3A%2F%2Fa.example"),
            "no parameter `callback`",
        ),
        (format!("{link}&sourceType=push"), "repeated"),
        (
            format!("{onboarding}authorize?code=nope&sourceType=pull"),
            "`code` is unknown",
        ),
        (
            format!("{onboarding}onboard?code={code}&sourceType=pull"),
            "not for `onboard`",
        ),
        (
            format!("{onboarding}user-reauth?code={code}"),
            "not for `user-reauth`",
        ),
        (
            format!("{link}&storageRef=nope"),
            "`storageRef` is no reference",
        ),
        (
            format!("{onboarding}elsewhere?code={code}"),
            "not the address of a page",
        ),
        (
            format!("{origin}/authorize?code={code}"),
            "not the address of a page",
        ),
        (
            format!("https://evil.example/apps/saas/authorize?code={code}&sourceType=pull"),
            "not an address of this sandbox",
        ),
    ] {
        let error = app.sandbox().consent(&link).await.expect_err(&link);
        assert!(error.to_string().contains(why), "{link}: {error}");
    }
    let swapped = format!("{onboarding}authorize?triggerQuery=false&sourceType=pull&code={code}");
    app.sandbox().consent(swapped).await.expect("a callback");
}

#[tokio::test]
async fn a_storage_is_tied_by_its_reference() {
    let builder = Sandbox::builder().contract(NewContract::import("documents"));
    let sandbox = Arc::new(builder.start().await.expect("a port"));
    let app = App::under(&sandbox, &sandbox.contracts().import);
    let other = App::under(&sandbox, sandbox.contract("documents").expect("it"));
    let reference = async |app: &App| {
        let call = app.post("reference", json!({}));
        let call = call.json(&json!({"type": "cloudId", "value": "storage"}));
        let answer = call.send().await.json;
        answer["id"].as_str().expect("an id").to_owned()
    };
    let foreign = format!("&sourceType=pull&storageRef={}", reference(&other).await);
    let link = app.link(&foreign).await;
    sandbox
        .consent(&link)
        .await
        .expect_err("another contract's");
    let own = format!("&sourceType=pull&storageRef={}", reference(&app).await);
    let link = app.link(&own).await;
    sandbox.consent(&link).await.expect("a callback");
}

#[tokio::test]
async fn the_query_of_a_registered_callback_is_kept() {
    let uri = "http://localhost:3000/callback?shop=1";
    let builder = Sandbox::builder().contract(NewContract::import("documents").redirect_uri(uri));
    let sandbox = Arc::new(builder.start().await.expect("a port"));
    let app = App::under(&sandbox, sandbox.contract("documents").expect("it"));
    let link = app.link("&sourceType=pull").await;
    let callback = sandbox.consent(&link).await.expect("a callback");
    assert!(
        callback
            .as_str()
            .starts_with(&format!("{uri}&success=true&state=s&code="))
    );
}

#[tokio::test]
async fn a_link_of_api_1_5_is_answered_by_no_certain_person() {
    let raw = Raw::ongoing().await;
    let link: Url = raw.link().await;
    raw.sandbox
        .consent_as(&link, "a")
        .await
        .expect_err("a person");
    let silent = Reply::new(Decision::Cancel).without_state();
    raw.sandbox
        .answer(&link, silent)
        .await
        .expect_err("a state");
    raw.sandbox.consent(&link).await.expect("a callback");
}
