//! The onboarding app and the other pages, in a browser.

use serde_json::json;
use std::time::Duration;
use url::{Position, Url};

use super::app::{App, agent};
use crate::raw::parameter;

fn path(link: &Url) -> &str {
    &link[Position::BeforePath..]
}

async fn answer(app: &App, link: &Url, decision: &str, user: &str) -> (u16, String) {
    let fields = [
        ("link", link.as_str()),
        ("decision", decision),
        ("user", user),
    ];
    app.raw.submit("/apps/saas/answer", &fields).await
}

#[tokio::test]
async fn a_person_approves_in_the_browser_and_returns_to_the_application() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    let (status, page) = app.raw.page(path(&link)).await;
    assert_eq!(status, 200);
    for shown in [
        "asks to save data to your digi.me",
        ">Approve<",
        ">Decline<",
        ">Fail<",
        "A new one",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let (status, callback) = answer(&app, &link, "approve", "").await;
    assert_eq!(status, 303);
    let callback = Url::parse(&callback).expect("a URL");
    assert!(
        callback
            .as_str()
            .starts_with(&app.raw.contract.redirect_uri)
    );
    let tokens = app.tokens(&callback).await;
    let (status, page) = app.raw.page(path(&link)).await;
    assert_eq!(status, 400);
    assert!(page.contains("used before"), "{page}");
    assert_eq!(answer(&app, &link, "approve", "").await.0, 400);

    let link = app.reauth_link(&tokens.access).await;
    let (_, page) = app.raw.page(path(&link)).await;
    assert!(page.contains("asks to go on saving data"), "{page}");
    assert!(page.contains(&tokens.user_id), "{page}");
    let (_, callback) = answer(&app, &link, "approve", " another ").await;
    let callback = Url::parse(&callback).expect("a URL");
    assert_eq!(app.tokens(&callback).await.user_id, "another");
}

#[tokio::test]
async fn a_person_declines_and_the_app_may_fail() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    for (decision, code) in [("cancel", "USER_CANCEL"), ("error", "ONBOARD_ERROR")] {
        let (status, callback) = answer(&app, &link, decision, "").await;
        assert_eq!(status, 303);
        let callback = Url::parse(&callback).expect("a URL");
        assert_eq!(parameter(&callback, "errorCode"), code);
        assert_eq!(parameter(&callback, "state"), "s");
    }
}

#[tokio::test]
async fn an_expired_link_and_a_bad_one_are_explained() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    app.sandbox().advance(Duration::from_mins(31));
    let (status, page) = app.raw.page(path(&link)).await;
    assert_eq!(status, 400);
    assert!(page.contains("has expired"), "{page}");
    for query in [
        "",
        "?code=<script>alert(1)</script>&sourceType=pull",
        "?<script>alert(1)</script>",
    ] {
        let (status, page) = app.raw.page(&format!("/apps/saas/authorize{query}")).await;
        assert_eq!(status, 400);
        assert!(!page.contains("<script>alert"), "{page}");
    }
}

#[tokio::test]
async fn with_sample_data_the_page_can_be_skipped() {
    let app = App::new().await;
    let query = "&sourceType=pull&sampleDataSet=s&sampleDataAutoOnboard=true";
    let link = app.link(query).await;
    let answer = app.raw.http.get(link).send().await.expect("an answer");
    assert_eq!(answer.status(), 303);
    let location = answer.headers()["location"].to_str().expect("text");
    let callback = Url::parse(location).expect("a URL");
    assert_eq!(parameter(&callback, "success"), "true");
    let tokens = app.tokens(&callback).await;
    let accounts = app.accounts(&tokens.access).await.json;
    assert_eq!(accounts[0]["sample"], true);
}

#[tokio::test]
async fn another_site_can_not_answer_in_the_onboarding_app() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    let fields = [("link", link.as_str()), ("decision", "approve")];
    let advance = [("advance_seconds", "1")];
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        for (path, fields) in [
            ("/apps/saas/answer", &fields[..]),
            ("/sandbox/clock", &advance),
        ] {
            let refused = app.raw.submit_with(path, fields, &[header]).await;
            assert_eq!(refused, (403, String::new()), "{path} {header:?}");
        }
    }
    let (status, _) = app.raw.page(path(&link)).await;
    assert_eq!(status, 200, "the link was not used");
}

#[tokio::test]
async fn what_is_asked_is_shown_in_words() {
    let app = App::new().await;
    let scope = json!({"timeRanges": [{"last": "6m"}]});
    let body = json!({"agent": agent(), "actions": {"pull": {"scope": scope}}});
    let call = app.post("oauth/authorize", app.authorize_claims());
    let link = app.link_of(&call.json(&body).send().await, "&sourceType=pull");
    let (_, page) = app.raw.page(path(&link)).await;
    assert!(page.contains("Data of the last 6 months"), "{page}");
}

#[tokio::test]
async fn the_phone_sends_a_web_address_to_the_onboarding_app() {
    let app = App::new().await;
    let link = app.link("&sourceType=pull").await;
    let request = app.raw.http.get(app.raw.url("/phone"));
    let answer = request.query(&[("link", link.as_str())]).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], path(&link));
    for (elsewhere, why) in [
        (
            "https://evil.example/apps/saas/authorize",
            "not an address of this sandbox",
        ),
        (&*format!("{link}&x=1"), "no parameter"),
    ] {
        let request = app.raw.http.get(app.raw.url("/phone"));
        let answer = request.query(&[("link", elsewhere)]).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.expect("text").contains(why), "{why}");
    }
}

#[tokio::test]
async fn imports_and_their_consents_are_shown() {
    let app = App::new().await;
    let tokens = app.connect_with("&sourceType=push").await;
    app.import(&tokens.access, b"4 <b>apples</b>").send().await;
    let account_id = app.account_id(&tokens.access).await;
    app.push_to_provider(&tokens.access, &account_id)
        .send()
        .await;
    let (_, page) = app.raw.page("/inbox").await;
    for shown in [
        "Imported file",
        "4 &#60;b&#62;apples&#60;/b&#62;",
        "For a provider, fhir 3.0.2",
        "Patient",
        &account_id,
        &tokens.user_id,
        "Sandbox contract, import",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let content = app
        .raw
        .http
        .get(app.raw.url("/inbox/0/content"))
        .send()
        .await;
    let content = content.expect("an answer");
    assert_eq!(
        content.headers()["content-disposition"],
        "attachment; filename*=UTF-8''item-0"
    );
    let (_, page) = app.raw.page("/connections").await;
    for shown in ["<dt>Ends</dt>", &tokens.user_id, "<dt>Items</dt><dd>2</dd>"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let ids = app.raw.consent_ids().await;
    app.raw
        .submit("/connections/withdraw", &[("consent_id", &ids[0])])
        .await;
    let refused = app.import(&tokens.access, b"a").send().await;
    assert_eq!((refused.status, refused.code()), (401, "InvalidToken"));
    let (_, page) = app.raw.page("/").await;
    assert!(page.contains(app.sandbox().import_base_url()), "{page}");
    assert!(page.contains("<dd>import</dd>"), "{page}");
}
