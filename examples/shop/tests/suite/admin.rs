use digime_sandbox::{Endpoint, Fault};
use reqwest::StatusCode;

use crate::browser::{Browser, Page};
use crate::street::{BOTH, CORNER_SHOP, Street, buy, eventually, states, wait_for_states};

async fn signed_in(street: &Street) -> Browser {
    let admin = street.browser();
    let page = admin
        .post("/admin/login", &[("token", &street.config.admin_token)])
        .await;
    assert!(page.has("counts"), "{}", page.html);
    admin
}

/// The address of the first button of a kind.
fn button(page: &Page, kind: &str) -> String {
    let found = page
        .all("action")
        .into_iter()
        .find(|action| action.ends_with(kind));
    found.unwrap_or_else(|| panic!("no {kind} in {}", page.html))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_admin_token_opens_the_admin_pages() {
    let street = Street::open().await;
    let browser = street.browser();
    assert_eq!(browser.get("/admin").await.url.path(), "/admin/login");
    let page = browser.post("/admin/login", &[("token", "guess")]).await;
    assert!(page.has("wrong-token"), "{}", page.html);
    for action in ["retry", "discard"] {
        let page = browser
            .post(&format!("/admin/outbox/1/{action}"), &[])
            .await;
        assert_eq!(page.url.path(), "/admin/login");
    }

    let admin = signed_in(&street).await;
    assert_eq!(admin.get("/admin").await.url.path(), "/admin");
    buy(&admin, CORNER_SHOP, "coffee").await;
    admin.post("/admin/logout", &[]).await;
    assert_eq!(admin.get("/admin").await.url.path(), "/admin/login");
    // Operators are customers too.
    assert_eq!(states(&admin, CORNER_SHOP).await, ["not-saved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_sees_what_was_saved_and_who_is_connected() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "coffee").await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
        let admin = signed_in(&street).await;
        let page = admin.get("/admin").await;
        assert_eq!(page.all("data-state"), ["delivered"]);
        assert_eq!(page.all("data-customer").len(), 1);
        assert!(admin.get("/admin?state=given_up").await.has("no-entries"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_sees_why_a_receipt_was_given_up_and_pushes_it_again() {
    let street = Street::open().await;
    street
        .sandbox()
        .inject(Endpoint::Push, Fault::Refuse(400, "InvalidData"));
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["failed"]).await;

    let admin = signed_in(&street).await;
    let page = admin.get("/admin?state=given_up").await;
    assert!(page.html.contains("InvalidData"), "{}", page.html);
    admin.post(&button(&page, "/retry"), &[]).await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_discards_a_receipt() {
    let street = Street::open().await;
    street
        .sandbox()
        .inject(Endpoint::Push, Fault::Refuse(400, "InvalidData"));
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["failed"]).await;
    let admin = signed_in(&street).await;
    let page = admin.get("/admin").await;
    admin.post(&button(&page, "/discard"), &[]).await;
    let is_gone = || async { admin.get("/admin").await.has("no-entries") };
    eventually("the entry is gone", is_gone).await;
    wait_for_states(&desktop, CORNER_SHOP, &["not-saved"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_gets_another_id_when_the_admin_signs_in() {
    let street = Street::open().await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let client = client.expect("a client");
    let cookie = |response: &reqwest::Response| {
        let cookie = response.headers()["set-cookie"].to_str().expect("text");
        cookie.split(';').next().expect("a value").to_owned()
    };
    let bought = client
        .post(street.address("/corner-shop/buy"))
        .form(&[("product", "coffee")]);
    let before = cookie(&bought.send().await.expect("an answer"));
    let login = client
        .post(street.address("/admin/login"))
        .header("cookie", &before);
    let login = login.form(&[("token", &street.config.admin_token)]);
    let response = login.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_ne!(cookie(&response), before);
}
