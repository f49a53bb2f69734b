use crate::street::{BOTH, CORNER_SHOP, Street, ask, buy, receipts, states, wait_for_states};

#[tokio::test(flavor = "multi_thread")]
async fn receipts_wait_when_the_consent_has_ended_and_are_saved_after_the_next_one() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "coffee").await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;

        street.sandbox().end_consent();
        buy(&desktop, CORNER_SHOP, "honey").await;
        buy(&desktop, CORNER_SHOP, "bread").await;
        wait_for_states(&desktop, CORNER_SHOP, &["consent", "consent", "saved"]).await;
        assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-ended"));

        let page = ask(&desktop, CORNER_SHOP).await;
        assert!(street.consent(&page.link()).await.has("result-connected"));
        wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved", "saved"]).await;
        street
            .wait_for_inbox(&["Coffee beans", "Forest honey", "Sourdough bread"])
            .await;
        assert_eq!(street.sandbox().inbox().len(), 3, "a receipt arrived twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_disconnects_is_forgotten_until_the_next_consent() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "coffee").await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;

        let page = desktop.post("/corner-shop/disconnect", &[]).await;
        assert!(page.has("consent-none"), "{}", page.html);
        buy(&desktop, CORNER_SHOP, "honey").await;
        assert_eq!(states(&desktop, CORNER_SHOP).await, ["not-saved", "saved"]);

        let page = ask(&desktop, CORNER_SHOP).await;
        assert!(street.consent(&page.link()).await.has("result-connected"));
        wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
        assert_eq!(street.sandbox().inbox().len(), 2, "a receipt arrived twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_disconnects_leaves_nothing_that_waits() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "coffee").await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
        street.sandbox().end_consent();
        buy(&desktop, CORNER_SHOP, "honey").await;
        wait_for_states(&desktop, CORNER_SHOP, &["consent", "saved"]).await;
        desktop.post("/corner-shop/disconnect", &[]).await;
        assert_eq!(states(&desktop, CORNER_SHOP).await, ["not-saved", "saved"]);
    }
}

/// The process died between the consent and its note.
const MISSED: &str = "UPDATE shop_customers SET saves_receipts = FALSE";

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_was_not_noted_is_noted_when_the_customer_looks() {
    for api in BOTH {
        let street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "coffee").await;
        assert_eq!(street.execute(MISSED).await, 1);
        assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-given"));
        buy(&desktop, CORNER_SHOP, "honey").await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_disconnects_while_a_missed_consent_is_noted_stays_disconnected() {
    let street = Street::open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    assert_eq!(street.execute(MISSED).await, 1);
    street
        .execute(
            "CREATE TRIGGER disconnect AFTER UPDATE ON shop_customers WHEN NEW.saves_receipts \
             BEGIN DELETE FROM digime_tokens; END",
        )
        .await;
    assert!(receipts(&desktop, CORNER_SHOP).await.has("consent-none"));
    buy(&desktop, CORNER_SHOP, "honey").await;
    assert_eq!(states(&desktop, CORNER_SHOP).await, ["not-saved", "saved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_may_consent_again_before_the_consent_ends() {
    let street = Street::open().await;
    let desktop = street.connected(CORNER_SHOP, "coffee").await;
    let page = ask(&desktop, CORNER_SHOP).await;
    assert_eq!(
        desktop.status(&format!("{}/status", page.url.path())).await,
        "waiting"
    );
    assert!(street.consent(&page.link()).await.has("result-connected"));
    buy(&desktop, CORNER_SHOP, "honey").await;
    wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
}
