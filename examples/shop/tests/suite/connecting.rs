use digime_sandbox::{Endpoint, Fault};
use reqwest::StatusCode;

use crate::street::{
    BOOK_BARN, BOTH, CORNER_SHOP, Street, ask, buy, eventually, receipts, states, wait_for_states,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_saved_when_the_person_has_consented_on_the_phone() {
    let street = Street::open().await;
    let desktop = street.browser();
    buy(&desktop, CORNER_SHOP, "coffee").await;
    assert_eq!(states(&desktop, CORNER_SHOP).await, ["not-saved"]);

    let page = ask(&desktop, CORNER_SHOP).await;
    let status = format!("{}/status", page.url.path());
    assert_eq!(desktop.status(&status).await, "waiting");
    let done = street.consent(&page.link()).await;
    assert!(
        done.has("result-connected") && done.has("return"),
        "{}",
        done.html
    );
    assert!(
        done.url.query().is_none(),
        "the code is still in the address"
    );

    assert_eq!(desktop.status(&status).await, "connected");
    let page = desktop.get(page.url.path()).await;
    assert_eq!(page.url.path(), "/corner-shop/receipts");
    assert!(
        page.has("consent-given") && page.has("consent-ends"),
        "{}",
        page.html
    );
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    street.wait_for_inbox(&["Coffee beans"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_a_later_order_is_saved_without_asking() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "coffee").await;
        buy(&desktop, CORNER_SHOP, "honey").await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
        street
            .wait_for_inbox(&["Coffee beans", "Forest honey"])
            .await;
        assert_eq!(street.sandbox().inbox().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_declines_can_use_the_same_link_again() {
    let street = Street::open().await;
    let desktop = street.browser();
    buy(&desktop, CORNER_SHOP, "coffee").await;
    let page = ask(&desktop, CORNER_SHOP).await;
    let done = street.decline(&page.link()).await;
    assert!(done.has("result-declined"), "{}", done.html);

    let after = desktop.get(page.url.path()).await;
    assert!(after.has("attempt-declined"), "{}", after.html);
    assert_eq!(after.link(), page.link());
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-none"));

    let done = street.consent(&page.link()).await;
    assert!(done.has("result-connected"), "{}", done.html);
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_app_leaves_the_link_as_it_was() {
    let street = Street::open().await;
    let desktop = street.browser();
    let page = ask(&desktop, CORNER_SHOP).await;
    let callback = street
        .sandbox()
        .fail(page.link())
        .await
        .expect("a callback");
    assert!(street.browser().get(callback).await.has("result-failed"));
    assert!(desktop.get(page.url.path()).await.has("attempt-failed"));
    assert!(street.consent(&page.link()).await.has("result-connected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_loaded_again_shows_the_same_page_and_sends_nothing() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let page = ask(&street.browser(), CORNER_SHOP).await;
        let callback = street.callback(&page.link()).await;
        let phone = street.browser();
        let first = phone.get(&callback).await;
        let sent = street.sandbox().requests(Endpoint::Token);
        let second = phone.get(&callback).await;
        assert!(second.has("result-connected"), "{}", second.html);
        assert_eq!((first.url, first.html), (second.url, second.html));
        assert_eq!(street.sandbox().requests(Endpoint::Token), sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_one_connects_and_the_other_shows_it() {
    let street = Street::open().await;
    let desktop = street.browser();
    let first = ask(&desktop, CORNER_SHOP).await;
    let second = ask(&desktop, CORNER_SHOP).await;
    assert_ne!(first.url, second.url);
    assert!(street.consent(&first.link()).await.has("result-connected"));
    let shown = desktop.get(second.url.path()).await;
    assert!(shown.has("consent-given"), "{}", shown.html);
    // Somebody may scan the other code nevertheless.
    assert!(street.consent(&second.link()).await.has("result-connected"));
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-given"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_two_shops_consents_to_each_of_them() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "bread").await;
        buy(&desktop, BOOK_BARN, "atlas").await;
        assert!(receipts(&desktop, BOOK_BARN).await.has("consent-none"));
        assert_eq!(states(&desktop, BOOK_BARN).await, ["not-saved"]);

        let page = ask(&desktop, BOOK_BARN).await;
        assert!(street.consent(&page.link()).await.has("result-connected"));
        wait_for_states(&desktop, BOOK_BARN, &["saved"]).await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
        let mut contracts: Vec<_> = street
            .sandbox()
            .inbox()
            .into_iter()
            .map(|item| item.contract_id)
            .collect();
        contracts.sort();
        assert_eq!(contracts, ["book-barn-receipts", "corner-shop-receipts"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_an_attempt_show_nothing_to_others() {
    let street = Street::open().await;
    let page = ask(&street.browser(), CORNER_SHOP).await;
    let other = street.browser();
    for address in [
        page.url.path().to_owned(),
        format!("{}/status", page.url.path()),
    ] {
        assert_eq!(other.get(address).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_has_ended_is_replaced() {
    let street = Street::open().await;
    let desktop = street.browser();
    let page = ask(&desktop, CORNER_SHOP).await;
    for change in [
        "UPDATE shop_attempts SET expires_at = 0",
        "UPDATE digime_flows SET expires_at = 0",
    ] {
        assert_eq!(street.execute(change).await, 1);
    }
    let ended = desktop.get(page.url.path()).await;
    assert!(
        ended.has("attempt-expired") && ended.has("connect"),
        "{}",
        ended.html
    );
    assert!(street.consent(&page.link()).await.has("result-expired"));

    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_nobody_waits_for_is_answered() {
    let street = Street::open().await;
    let phone = street.browser();
    let page = phone
        .get("/digime/callback?result=CANCEL&state=unknown")
        .await;
    assert_eq!(page.status, StatusCode::GONE);
    for query in ["", "?result=CANCEL", "?state=a&state=b"] {
        let page = phone.get(format!("/digime/callback{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_away_loses_no_consent() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let page = ask(&street.browser(), CORNER_SHOP).await;
        let callback = street.callback(&page.link()).await;
        let phone = street.browser();
        street.sandbox().inject(Endpoint::Token, Fault::Status(501));
        let away = phone.get(&callback).await;
        assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(away.header("referrer-policy"), "no-referrer");
        assert!(phone.get(&callback).await.has("result-connected"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_may_be_spent_leads_to_a_new_link() {
    let street = Street::open().await;
    let desktop = street.browser();
    let page = ask(&desktop, CORNER_SHOP).await;
    street.sandbox().inject(Endpoint::Token, Fault::LoseAnswer);
    let done = street.consent(&page.link()).await;
    assert!(done.has("result-lost"), "{}", done.html);
    let page = desktop.get(page.url.path()).await;
    assert!(
        page.has("attempt-lost") && page.has("connect"),
        "{}",
        page.html
    );
    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_failed_is_repeated() {
    let street = Street::open().await;
    street.sandbox().inject(Endpoint::Push, Fault::LoseAnswer);
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    let arrived = || async { street.sandbox().inbox().len() >= 2 };
    eventually("the receipt arrives a second time", arrived).await;
    let references: Vec<_> = street
        .sandbox()
        .inbox()
        .into_iter()
        .map(|item| item.descriptor["reference"].clone())
        .collect();
    assert_eq!(references[0], references[1], "the duplicate can't be seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whose_answer_was_lost_with_a_process_is_asked_to_consent_once_more() {
    let street = Street::open().await;
    let desktop = street.browser();
    buy(&desktop, CORNER_SHOP, "coffee").await;
    let page = ask(&desktop, CORNER_SHOP).await;
    let status = format!("{}/status", page.url.path());
    let callback = street.sandbox().consent(page.link()).await;
    let callback = callback.expect("a callback");
    // A process has taken the flow to exchange its code, and was killed.
    let killed = "UPDATE digime_flows SET claim = 'killed'";
    assert_eq!(street.execute(killed).await, 1);
    let phone = street.browser();
    let answer = phone.get(&callback).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(desktop.status(&status).await, "waiting");

    let a_minute_ago = "UPDATE shop_attempts SET called_back_at = called_back_at - 60000";
    street.execute(a_minute_ago).await;
    assert_eq!(desktop.status(&status).await, "lost");
    assert!(desktop.get(page.url.path()).await.has("attempt-lost"));
    assert!(phone.get(&callback).await.has("result-lost"));

    let page = ask(&desktop, CORNER_SHOP).await;
    assert!(street.consent(&page.link()).await.has("result-connected"));
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
}
