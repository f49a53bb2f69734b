//! The pages on which a person plays the user.

use std::sync::Arc;

use digime_sandbox::{NewContract, Sandbox};
use serde_json::{Value, json};
use url::Url;

use crate::raw::{Raw, descriptor, parameter};

fn phone(link: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(link.as_bytes()).collect();
    format!("/phone?link={query}")
}

async fn answer(raw: &Raw, link: &Url, decision: &str) -> (u16, String) {
    let fields = [("link", link.as_str()), ("decision", decision)];
    raw.submit("/phone", &fields).await
}

#[tokio::test]
async fn the_start_page_lists_the_contracts_and_what_was_refused() {
    let raw = Raw::ongoing().await;
    let (status, page) = raw.page("/").await;
    assert_eq!(status, 200);
    assert!(page.contains(&raw.contract.contract_id), "{page}");
    assert!(!page.contains("PRIVATE KEY"), "{page}");
    raw.post("oauth/token", "nonsense")
        .await
        .expect_err("it is no token");
    let (_, page) = raw.page("/").await;
    assert!(page.contains("POST /v1.5/oauth/token"), "{page}");
    assert_eq!(raw.page("/style.css").await.0, 200);
    assert_eq!(raw.page("/inbox.js").await.0, 200);
}

#[tokio::test]
async fn a_person_approves_on_the_phone_and_returns_to_the_application() {
    let raw = Raw::ongoing().await;
    let (status, form) = raw.page("/phone").await;
    assert!(status == 200 && form.contains("<form method=\"get\" action=\"/phone\""));
    let link = raw.link().await;
    let (status, page) = raw.page(&phone(link.as_str())).await;
    assert_eq!(status, 200);
    for shown in [
        "Sandbox application asks",
        "Ongoing.",
        ">Approve<",
        ">Decline<",
        "digi.me sandbox",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let (status, callback) = answer(&raw, &link, "approve").await;
    assert_eq!(status, 303);
    assert!(
        callback.starts_with(&raw.contract.redirect_uri),
        "{callback}"
    );
    let callback = Url::parse(&callback).expect("a URL");
    assert_eq!(parameter(&callback, "state"), "s");
    let connected = raw.connected(&link, &callback).await;
    raw.push(&connected, "a", b"a", descriptor("text/plain"))
        .await
        .expect("a delivery");

    let (status, page) = raw.page(&phone(link.as_str())).await;
    assert_eq!(status, 400);
    assert!(page.contains("it was used before"), "{page}");
    assert_eq!(answer(&raw, &link, "approve").await, (400, String::new()));
}

#[tokio::test]
async fn a_person_declines() {
    let raw = Raw::ongoing().await;
    let (status, callback) = answer(&raw, &raw.link().await, "cancel").await;
    assert_eq!(status, 303);
    let callback = Url::parse(&callback).expect("a URL");
    assert_eq!(parameter(&callback, "result"), "CANCEL");
}

#[tokio::test]
async fn a_bad_link_is_explained_and_escaped() {
    let raw = Raw::ongoing().await;
    for link in [
        "<script>alert(1)</script>",
        "digime://postbox/create?appId=<script>alert(1)</script>&sdkVersion=1&callbackUrl=a&sessionKey=b",
        "digime://postbox/create?appId=%3Cscript%3Ealert(1)</script>&sdkVersion=1&callbackUrl=https://a.example&sessionKey=b",
    ] {
        let (status, page) = raw.page(&phone(link)).await;
        assert_eq!(status, 400);
        assert!(
            page.contains("The link can&#39;t be opened")
                || page.contains("The link can't be opened"),
            "{page}"
        );
        assert!(!page.contains("<script>alert"), "{page}");
    }
    let receipt = "digime://receipt?contractId=<script>alert(1)</script>&appId=b";
    let (status, page) = raw.page(&phone(receipt)).await;
    assert_eq!(status, 200);
    assert!(!page.contains("<script>alert"), "{page}");
}

#[tokio::test]
async fn links_that_ask_nothing_are_shown_as_what_they_are() {
    let raw = Raw::ongoing().await;
    let receipt = format!(
        "digime://receipt?contractId={}&appId={}",
        raw.contract.contract_id, raw.contract.application_id
    );
    raw.connect().await;
    for (link, shown) in [
        ("digime://postbox/import", "Import what waits"),
        (&*receipt, "Consents that have not ended: 1."),
        (
            "digime://consent-access?sessionKey=a",
            "A request to read data",
        ),
    ] {
        let (status, page) = raw.page(&phone(link)).await;
        assert_eq!(status, 200);
        assert!(page.contains(shown), "{page}");
        assert!(!page.contains(">Approve<"), "{page}");
    }
}

#[tokio::test]
async fn what_is_asked_is_shown_in_words() {
    let raw = Raw::ongoing().await;
    let request = json!({
        "appId": raw.contract.application_id, "contractId": raw.contract.contract_id,
        "sdkAgent": {"name": "raw", "version": "1"},
        "scope": {
            "timeRanges": [{"last": "6m"}, {"from": 0, "to": 86400}],
            "serviceGroups": [{"id": 1, "serviceTypes": [{"id": 2, "serviceObjectTypes": [{"id": 3}, {"id": 4}]}]}],
        },
    });
    let (_, session) = raw
        .post_json("/v1.5/permission-access/session", &request)
        .await;
    let mut link = raw.link().await;
    let query: Vec<(String, String)> = link.query_pairs().into_owned().collect();
    link.query_pairs_mut().clear();
    for (name, value) in query {
        let value = match &*name {
            "sessionKey" => session["sessionKey"].as_str().expect("a key"),
            _ => &value,
        };
        link.query_pairs_mut().append_pair(&name, value);
    }
    let (_, page) = raw.page(&phone(link.as_str())).await;
    for shown in [
        "Data of the last 6 months",
        "Data from 1970-01-01, until 1970-01-02",
        "Service group 1: service type 2 with object types 3, 4",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

/// A client under a one-off contract, and the query of its guest's page.
async fn guest(contract: NewContract) -> (Raw, Value, String) {
    let builder = Sandbox::builder().contract(contract);
    let sandbox = Arc::new(builder.start().await.expect("a port"));
    let raw = Raw::under(&sandbox, sandbox.contract("bills").expect("the contract"));
    let request = json!({
        "appId": raw.contract.application_id, "contractId": "bills", "sdkAgent": {"name": "raw", "version": "1"},
    });
    let (_, session) = raw
        .post_json("/v1.5/permission-access/session", &request)
        .await;
    let callback = format!("{}?state=s", raw.contract.redirect_uri);
    (raw, session, callback)
}

const GUEST: &str = "/apps/quark/v1/direct-onboarding";

#[tokio::test]
async fn a_guest_consents_in_a_browser() {
    let (raw, session, callback) = guest(NewContract::once("bills").name("<b>Bills</b>")).await;
    let token = session["sessionExchangeToken"].as_str().expect("a token");
    let mut page = Url::parse(&raw.url(GUEST)).expect("a URL");
    page.query_pairs_mut()
        .append_pair("sessionExchangeToken", token)
        .append_pair("callbackUrl", &callback);
    let path = format!("{GUEST}?{}", page.query().expect("a query"));
    let (status, shown) = raw.page(&path).await;
    assert_eq!(status, 200);
    assert!(shown.contains("As a guest"), "{shown}");
    assert!(shown.contains("<strong>Once.</strong>"), "{shown}");
    assert!(shown.contains("&#60;b&#62;Bills&#60;/b&#62;"), "{shown}");
    let fields = |decision| {
        [
            ("sessionExchangeToken", token),
            ("callbackUrl", &*callback),
            ("decision", decision),
        ]
    };
    let (status, declined) = raw.submit(GUEST, &fields("cancel")).await;
    assert_eq!(status, 303);
    assert!(declined.contains("result=CANCEL"), "{declined}");
    let (status, approved) = raw.submit(GUEST, &fields("approve")).await;
    assert_eq!(status, 303);
    let approved = Url::parse(&approved).expect("a URL");
    assert_eq!(parameter(&approved, "result"), "POSTBOX_READY");
    assert_eq!(parameter(&approved, "state"), "s");
    let (status, again) = raw.page(&path).await;
    assert_eq!(status, 400);
    assert!(again.contains("it was used before"), "{again}");
}

#[tokio::test]
async fn a_guest_can_not_consent_to_an_ongoing_contract_or_to_a_foreign_callback() {
    let (raw, session, callback) = guest(NewContract::ongoing("bills")).await;
    let token = session["sessionExchangeToken"].as_str().expect("a token");
    let fields = [
        ("sessionExchangeToken", token),
        ("callbackUrl", &*callback),
        ("decision", "approve"),
    ];
    assert_eq!(raw.submit(GUEST, &fields).await.0, 400);
    let (raw, session, _) = guest(NewContract::once("bills")).await;
    let token = session["sessionExchangeToken"].as_str().expect("a token");
    let fields = [
        ("sessionExchangeToken", token),
        ("callbackUrl", "https://evil.example/"),
        ("decision", "approve"),
    ];
    assert_eq!(raw.submit(GUEST, &fields).await.0, 400);
    assert_eq!(raw.page(GUEST).await.0, 400);
}

#[tokio::test]
async fn another_site_can_not_answer_for_the_person() {
    let raw = Raw::ongoing().await;
    raw.connect().await;
    let ids = raw.consent_ids().await;
    let link = raw.link().await;
    let answer = [("link", link.as_str()), ("decision", "approve")];
    let withdraw = [("consent_id", &*ids[0])];
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for (path, fields) in [
            ("/phone", &answer[..]),
            (GUEST, &answer),
            ("/connections/withdraw", &withdraw),
            ("/sandbox/end-consent", &[]),
        ] {
            let refused = raw.submit_with(path, fields, &[header]).await;
            assert_eq!(refused, (403, String::new()), "{path} {header:?}");
        }
    }
    let request = raw.http.post(raw.url("/phone")).form(&answer);
    let refused = request.header("origin", "null").send().await;
    let why = refused.expect("an answer").text().await.expect("text");
    assert!(why.contains("came from another site"), "{why}");
    assert_eq!(raw.sandbox.violations(), [""; 0]);

    let (_, page) = raw.page("/connections").await;
    assert_eq!(page.matches(">Withdraw consent<").count(), 1);
    // The link was not used.
    let approved = raw.submit_with("/phone", &answer, &[("sec-fetch-site", "same-origin")]);
    assert_eq!(approved.await.0, 303);
}

#[tokio::test]
async fn a_browser_that_says_only_the_origin_can_use_the_pages() {
    let raw = Raw::ongoing().await;
    let origin = Url::parse(&raw.url("/")).expect("a URL").origin();
    let origin = origin.ascii_serialization();
    raw.connect().await;
    let ids = raw.consent_ids().await;
    let withdraw = [("consent_id", &*ids[0])];
    let headers = [("origin", &*origin)];
    let answer = raw.submit_with("/connections/withdraw", &withdraw, &headers);
    assert_eq!(answer.await, (303, "/connections".into()));
    // Otherwise the origin would be `null`.
    let page = raw.http.get(raw.url("/connections")).send().await;
    let page = page.expect("an answer");
    assert_eq!(page.headers()["referrer-policy"], "same-origin");
}
