//! What only API 1.7 has.

use std::time::Duration;

use digime_sandbox::{Decision, Endpoint, Fault, Reply};
use reqwest::StatusCode;
use serde_json::json;
use shop::Api;

use crate::browser::{Browser, Page};
use crate::street::{CORNER_SHOP, Street, ask, buy, eventually, receipts, states, wait_for_states};

const DAY: Duration = Duration::from_hours(24);

async fn open() -> Street {
    Street::open_for(Api::Import).await
}

/// A street whose customers are asked to renew a consent as soon as they have given it.
async fn impatient() -> Street {
    Street::open_for_with(Api::Import, |config| config.consent_notice = 40 * DAY).await
}

/// A customer whose consent is over, with a receipt that waits.
async fn lapsed(street: &Street) -> Browser {
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    street.sandbox().advance(31 * DAY);
    buy(&desktop, CORNER_SHOP, "honey").await;
    wait_for_states(&desktop, CORNER_SHOP, &["consent", "saved"]).await;
    desktop
}

/// The ids of the persons whose libraries the receipts are in.
fn persons(street: &Street) -> Vec<String> {
    let mut persons: Vec<_> = street
        .sandbox()
        .inbox()
        .into_iter()
        .filter_map(|item| item.user_id)
        .collect();
    persons.dedup();
    persons
}

/// The connected customers, as the operator sees them.
async fn customers(street: &Street) -> Vec<String> {
    let token = [("token", &*street.config.admin_token)];
    let page = street.browser().post("/admin/login", &token).await;
    page.all("data-customer")
}

async fn delete(browser: &Browser) -> Page {
    let form = [("is_sure", "true")];
    browser.post("/corner-shop/delete", &form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_leads_to_digi_me_and_the_receipt_arrives_with_its_account_and_reference() {
    let street = open().await;
    let desktop = street.browser();
    buy(&desktop, CORNER_SHOP, "coffee").await;
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(page.is_of_digi_me(), "{}", page.url);
    let callback = street.callback(&page.link()).await;
    let done = desktop.get(callback).await;
    assert!(
        done.has("result-connected") && done.has("continue"),
        "{}",
        done.html
    );
    assert!(
        done.url.query().is_none(),
        "the code is still in the address"
    );
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    street.wait_for_inbox(&["Coffee beans"]).await;

    let page = receipts(&desktop, CORNER_SHOP).await;
    let order = page.all("id").into_iter().find(|id| {
        id.chars()
            .all(|it| it.is_ascii_uppercase() || it.is_ascii_digit())
    });
    let order = order.as_deref().expect("the number of the order");
    let customer = customers(&street).await.remove(0);
    let inbox = street.sandbox().inbox();
    assert_eq!(
        inbox[0].descriptor,
        json!({
            "mimeType": "text/plain",
            "accounts": [{"accountId": customer}],
            "reference": [order],
            "tags": ["receipt", format!("receipt-{order}.txt")],
        })
    );
    assert_eq!(street.sandbox().violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_may_lead_to_digi_me_and_nowhere_else() {
    let street = open().await;
    let page = street.browser().get("/corner-shop").await;
    let policy = page.header("content-security-policy");
    let pages = street.config.onboarding_url.as_ref().expect("a URL");
    let allowed = format!(
        "form-action 'self' {}",
        pages.origin().ascii_serialization()
    );
    assert!(policy.ends_with(&allowed), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_declines_is_told_so_and_can_try_again() {
    let street = open().await;
    let desktop = street.browser();
    buy(&desktop, CORNER_SHOP, "coffee").await;
    for decision in [Decision::Cancel, Decision::Error] {
        for reply in [Reply::new(decision), Reply::new(decision).without_state()] {
            let page = ask(&desktop, CORNER_SHOP).await;
            let callback = street.sandbox().answer(page.link(), reply).await;
            let done = desktop.get(callback.expect("a callback")).await;
            assert!(
                done.has("result-not-consented") && done.has("connect"),
                "{}",
                done.html
            );
            assert!(done.url.query().is_none(), "{}", done.url);
            assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-none"));
        }
    }
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_is_nobodys_changes_nothing() {
    let street = open().await;
    let stranger = street.browser();
    let failure = "/digime/callback?success=false&errorCode=USER_CANCEL";
    assert_eq!(stranger.get(failure).await.status, StatusCode::GONE);
    let no_failure = stranger.get("/digime/callback?success=true").await;
    assert_eq!(no_failure.status, StatusCode::BAD_REQUEST);
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    assert_eq!(desktop.get(failure).await.status, StatusCode::GONE);
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-given"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_has_ended_is_renewed_and_what_waited_arrives_in_the_same_library() {
    let street = open().await;
    let desktop = lapsed(&street).await;
    let before = customers(&street).await;
    let page = receipts(&desktop, CORNER_SHOP).await;
    assert!(
        page.has("consent-ended") && page.has("consent-ends"),
        "{}",
        page.html
    );
    assert!(
        page.html
            .contains("<span id=\"waiting\">1</span> receipt waits")
    );

    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(page.url.path().ends_with("/user-reauth"), "{}", page.url);
    assert!(street.consent(&page.link()).await.has("result-connected"));
    wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-given"));
    street
        .wait_for_inbox(&["Coffee beans", "Forest honey"])
        .await;
    assert_eq!(persons(&street).len(), 1, "another library was made");
    assert_eq!(customers(&street).await, before, "it has another place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_renewed_before_it_ends() {
    let street = open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    street.sandbox().advance(20 * DAY);
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(page.url.path().ends_with("/user-reauth"), "{}", page.url);
    // The first consent still lasts.
    buy(&desktop, CORNER_SHOP, "honey").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
    street.sandbox().advance(20 * DAY);
    buy(&desktop, CORNER_SHOP, "bread").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved", "saved"]).await;
    assert_eq!(persons(&street).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consent_of_another_person_is_no_renewal() {
    let street = open().await;
    let desktop = lapsed(&street).await;
    let page = ask(&desktop, CORNER_SHOP).await;
    let callback = street.sandbox().consent_as(page.link(), "another").await;
    let done = desktop.get(callback.expect("a callback")).await;
    assert!(
        done.has("result-another-person") && done.has("connect"),
        "{}",
        done.html
    );
    assert_eq!(
        states(&desktop, CORNER_SHOP).await,
        ["consent", "saved"],
        "a receipt went to another person"
    );
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
    wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
    assert_eq!(persons(&street).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_forgotten_by_digi_me_consents_as_if_for_the_first_time() {
    let street = open().await;
    let desktop = lapsed(&street).await;
    // Its sweep forgets a person a month after the consent.
    street.sandbox().advance(60 * DAY);
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(page.url.path().ends_with("/authorize"), "{}", page.url);
    assert!(street.consent(&page.link()).await.has("result-connected"));
    wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_asked_in_time_on_every_page_and_once_for_each_consent() {
    let mut street = impatient().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    // The job looks when the shop starts.
    street.stop().await;
    street.start().await;
    let is_asked = || async { desktop.get("/corner-shop").await.has("notice") };
    eventually("the customer is asked", is_asked).await;
    let page = receipts(&desktop, CORNER_SHOP).await;
    assert!(
        page.has("notice-ends") && page.has("renew"),
        "{}",
        page.html
    );
    assert!(!street.browser().get("/corner-shop").await.has("notice"));

    // The next process knows that it was asked.
    street.stop().await;
    street.start().await;
    assert!(desktop.get("/corner-shop").await.has("notice"));

    street.sandbox().advance(DAY);
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
    assert!(!desktop.get("/corner-shop").await.has("notice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_too_early() {
    let mut street = open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    street.stop().await;
    street.start().await;
    let page = receipts(&desktop, CORNER_SHOP).await;
    assert!(
        page.has("consent-ends") && !page.has("notice"),
        "{}",
        page.html
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_only_disconnects_keeps_what_was_saved() {
    let street = open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    assert!(receipts(&desktop, CORNER_SHOP).await.has("delete"));
    let page = desktop.post("/corner-shop/disconnect", &[]).await;
    assert!(page.has("consent-none"), "{}", page.html);
    assert_eq!(street.sandbox().inbox().len(), 1);
    assert_eq!(street.sandbox().requests(Endpoint::DeleteUser), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_deletes_everything_is_asked_whether_they_are_sure() {
    let street = open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    let page = desktop.post("/corner-shop/delete", &[]).await;
    assert!(page.has("consent-given"), "{}", page.html);
    assert_eq!(street.sandbox().requests(Endpoint::DeleteUser), 0);

    let page = delete(&desktop).await;
    assert!(page.has("deleted-all"), "{}", page.html);
    assert!(street.sandbox().inbox().is_empty());
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-none"));
    assert_eq!(states(&desktop, CORNER_SHOP).await, ["not-saved"]);

    // A new library gets all receipts.
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    assert_eq!(street.sandbox().inbox().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_answer_was_lost_is_repeated() {
    let street = open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    // The client tries again by itself, and learns nothing.
    for fault in [Fault::LoseAnswer, Fault::Status(501)] {
        street.sandbox().inject(Endpoint::DeleteUser, fault);
    }
    let page = delete(&desktop).await;
    assert!(page.has("consent-leaving"), "{}", page.html);
    // Nothing is saved, and nothing can be connected, until it is known.
    buy(&desktop, CORNER_SHOP, "honey").await;
    assert!(
        states(&desktop, CORNER_SHOP)
            .await
            .contains(&"not-saved".into())
    );
    let page = desktop.post("/corner-shop/connect", &[]).await;
    assert!(page.has("consent-leaving"), "{}", page.html);

    let page = desktop.post("/corner-shop/delete", &[]).await;
    assert!(page.has("deleted-before"), "{}", page.html);
    assert!(street.sandbox().inbox().is_empty());
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-none"));
    assert_eq!(
        states(&desktop, CORNER_SHOP).await,
        ["not-saved", "not-saved"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_on_in_the_next_process() {
    let mut street = open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    street
        .sandbox()
        .inject(Endpoint::DeleteUser, Fault::Status(501));
    assert!(delete(&desktop).await.has("consent-leaving"));
    assert_eq!(street.sandbox().inbox().len(), 1);
    street.stop().await;
    street.start().await;
    let is_deleted = || async { receipts(&desktop, CORNER_SHOP).await.has("consent-none") };
    eventually("the deletion ends", is_deleted).await;
    assert!(street.sandbox().inbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consent_of_a_lapsed_customer_cannot_delete() {
    let street = open().await;
    let desktop = lapsed(&street).await;
    assert!(!receipts(&desktop, CORNER_SHOP).await.has("delete"));
    // The page was loaded before the end.
    let page = delete(&desktop).await;
    assert!(page.has("deleted-before"), "{}", page.html);
    assert_eq!(street.sandbox().inbox().len(), 1);
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_api_1_7_deletes() {
    let street = Street::open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    assert_eq!(delete(&desktop).await.status, StatusCode::NOT_FOUND);
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-given"));
}
