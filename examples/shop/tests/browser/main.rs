//! The shop and the sandbox's pages in a real browser: one at the desk, another one as the phone. Without `chromedriver` the
//! tests are skipped, and say so.
//!
//! With `DIGIME_SCREENSHOTS=docs/images` they write the pictures of the documentation.

#![allow(unreachable_pub, reason = "a test has no interface")]

#[path = "../suite/browser.rs"]
#[allow(dead_code, reason = "the other tests use it")]
mod browser;
mod driver;
#[path = "../suite/street.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod street;
mod window;

use driver::Driver;
use shop::Api;
use street::{BOOK_BARN, CORNER_SHOP, Street, eventually};
use window::Window;

/// A person who shops at a desk, and has a phone with digi.me.
struct Person {
    street: Street,
    desktop: Window,
    phone: Window,
    // The browsers end with it.
    _driver: Driver,
}

impl Person {
    /// `None` if there is no browser on this machine.
    async fn new() -> Option<Self> {
        Self::with(Api::Postbox).await
    }

    async fn with(api: Api) -> Option<Self> {
        let driver = Driver::start()?;
        Some(Self {
            street: Street::open_for(api).await,
            desktop: Window(driver.desktop().await),
            phone: Window(driver.phone().await),
            _driver: driver,
        })
    }

    fn url(&self, path: &str) -> String {
        self.street.address(path).into()
    }

    /// Buys something at the desk. The browser shows the receipts.
    async fn buys(&self, shop: &str, product: &str) {
        self.desktop.open(self.url(shop)).await;
        self.desktop
            .clicks(&format!("#product-{product} button"))
            .await;
        self.desktop.sees("#orders").await;
    }

    /// Asks at the desk for the link, and opens it on the phone, as a scan of the QR code does.
    async fn scans(&self) {
        self.desktop.clicks("#connect").await;
        self.desktop.sees("#qr-code svg").await;
        let link = self.desktop.link("#open-digime").await;
        self.phone.open(link).await;
    }

    async fn approves(&self) {
        self.phone.clicks("button[value=approve]").await;
        self.phone.sees("#result-connected").await;
    }

    /// Buys something at the desk, approves on the phone, and sees the receipt saved.
    async fn saves(&self, shop: &str, product: &str) {
        self.buys(shop, product).await;
        self.scans().await;
        self.approves().await;
        self.sees_saved(1).await;
    }

    /// Waits until the desk shows this many receipts as saved.
    async fn sees_saved(&self, receipts: usize) {
        let last = format!("#orders .order:nth-child({receipts}) .badge.saved");
        self.desktop.sees("#consent-given").await;
        self.desktop.sees(&last).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_saves_a_receipt_with_the_phone_and_sees_it_in_the_inbox() {
    let Some(person) = Person::new().await else {
        return;
    };
    let Person { desktop, phone, .. } = &person;
    desktop.open(person.url("/")).await;
    desktop.clicks("#tenant-corner-shop").await;
    desktop.sees("#product-coffee").await;
    desktop.picture("products").await;
    desktop.clicks("#product-coffee button").await;
    desktop.sees("#consent-none").await;

    person.scans().await;
    desktop.picture("connect").await;
    phone.sees("button[value=cancel]").await;
    phone.picture("phone").await;
    person.approves().await;
    phone.sees("#return").await;

    person.sees_saved(1).await;
    desktop.picture("receipts").await;
    desktop.clicks("#inbox").await;
    desktop.last_tab().await;
    desktop.sees(".item").await;
    let inbox = desktop.text().await;
    assert!(
        inbox.contains("Coffee beans") && inbox.contains("From Corner Shop"),
        "{inbox}"
    );
    desktop.picture("inbox").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_shows_what_arrives_by_itself() {
    let Some(person) = Person::new().await else {
        return;
    };
    person.buys(CORNER_SHOP, "coffee").await;
    person.scans().await;
    person.approves().await;
    person
        .phone
        .open(person.street.sandbox().inbox_page_url())
        .await;
    person.phone.sees(".item").await;
    // The desk leaves its page by itself, and must not do so while the person is buying.
    person.desktop.sees("#consent-given").await;
    person.buys(CORNER_SHOP, "honey").await;
    person.phone.sees(".item:nth-of-type(2)").await;
    let inbox = person.phone.text().await;
    assert!(inbox.contains("Forest honey"), "{inbox}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_a_desk_does_all_of_it_in_one_browser() {
    let Some(person) = Person::new().await else {
        return;
    };
    let phone = &person.phone;
    phone.open(person.url(CORNER_SHOP)).await;
    phone.clicks("#product-bread button").await;
    phone.clicks("#connect").await;
    phone.clicks("#open-digime").await;
    phone.last_tab().await;
    person.approves().await;
    phone.clicks("#continue").await;
    phone.sees("#consent-given").await;
    phone.sees(".badge.saved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_declines_sees_it_at_the_desk_and_can_use_the_link_again() {
    let Some(person) = Person::new().await else {
        return;
    };
    person.buys(CORNER_SHOP, "coffee").await;
    person.scans().await;
    let link = person.desktop.link("#open-digime").await;
    person.phone.clicks("button[value=cancel]").await;
    person.phone.sees("#result-declined").await;
    person.desktop.sees("#attempt-declined").await;

    person.phone.open(link).await;
    person.approves().await;
    person.sees_saved(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_opened_again_shows_the_same_and_a_link_that_was_used_says_so() {
    let Some(person) = Person::new().await else {
        return;
    };
    person.buys(CORNER_SHOP, "coffee").await;
    person.desktop.clicks("#connect").await;
    let link = person.desktop.link("#open-digime").await;
    let callback = person.street.sandbox().consent(&link_in(&link)).await;
    let callback = callback.expect("a good link");
    for _ in 0..2 {
        person.phone.open(&callback).await;
        person.phone.sees("#result-connected").await;
        let path = person.phone.path().await;
        assert!(path.ends_with("/done"), "{path}");
    }
    person.sees_saved(1).await;
    assert_eq!(person.street.sandbox().inbox().len(), 1);

    person.phone.open(link).await;
    let page = person.phone.text().await;
    assert!(page.contains("was used before"), "{page}");
}

/// The `digime://` link for which the sandbox's phone page is opened.
fn link_in(phone_page: &str) -> String {
    let url = reqwest::Url::parse(phone_page).expect("a URL");
    let link = url.query_pairs().find(|(name, _)| name == "link");
    link.expect("a link").1.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_that_ask_both_continue_when_one_link_was_approved() {
    let Some(person) = Person::new().await else {
        return;
    };
    person.buys(CORNER_SHOP, "coffee").await;
    person.desktop.clicks("#connect").await;
    person.desktop.sees("#qr-code").await;
    let first_link = person.desktop.link("#open-digime").await;

    person.desktop.new_tab().await;
    person
        .desktop
        .open(person.url("/corner-shop/receipts"))
        .await;
    person.desktop.clicks("#connect").await;
    person.desktop.sees("#qr-code").await;

    person.phone.open(first_link).await;
    person.approves().await;
    person.sees_saved(1).await;
    person.desktop.first_tab().await;
    person.sees_saved(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shops_have_a_consent_each_and_see_only_their_own_receipts() {
    let Some(person) = Person::new().await else {
        return;
    };
    person.saves(CORNER_SHOP, "coffee").await;

    person.buys(BOOK_BARN, "atlas").await;
    person.desktop.sees("#consent-none").await;
    let page = person.desktop.text().await;
    assert!(!page.contains("Coffee"), "{page}");
    person.scans().await;
    let asked = person.phone.text().await;
    assert!(asked.contains("Book Barn asks"), "{asked}");
    person.approves().await;
    person.sees_saved(1).await;

    let arrived = || async { person.street.sandbox().inbox().len() == 2 };
    eventually("both receipts arrive", arrived).await;
    let inbox = person.street.sandbox().inbox();
    assert_ne!(inbox[0].postbox_id, inbox[1].postbox_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_may_start_again_while_the_person_looks_at_the_phone() {
    let Some(mut person) = Person::new().await else {
        return;
    };
    person.buys(CORNER_SHOP, "coffee").await;
    person.scans().await;
    person.phone.sees("button[value=approve]").await;
    person.street.stop().await;
    person.street.start().await;
    person.approves().await;
    person.sees_saved(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_wait_when_the_consent_has_ended_and_are_saved_after_the_next_one() {
    let Some(person) = Person::new().await else {
        return;
    };
    person.saves(CORNER_SHOP, "coffee").await;

    let pages = person.street.sandbox().phone_url();
    person
        .phone
        .open(pages.replace("/phone", "/connections"))
        .await;
    person.phone.clicks(".item button").await;
    person.phone.sees("main:not(:has(.item))").await;

    person.buys(CORNER_SHOP, "honey").await;
    person.desktop.sees("#consent-ended").await;
    person
        .desktop
        .sees(".order:nth-child(1) .badge:not(.saved)")
        .await;
    person.desktop.picture("consent-ended").await;
    person.scans().await;
    person.approves().await;
    person.sees_saved(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_sees_what_was_pushed_and_who_is_connected() {
    let Some(person) = Person::new().await else {
        return;
    };
    person.saves(CORNER_SHOP, "coffee").await;

    let admin = &person.phone;
    admin.open(person.url("/admin")).await;
    admin.types("#token", "a guess").await;
    admin.clicks("#sign-in").await;
    admin.sees("#wrong-token").await;
    admin
        .types("#token", &person.street.config.admin_token)
        .await;
    admin.clicks("#sign-in").await;
    admin.sees(".entry[data-state=delivered]").await;
    admin.sees(".customer").await;
    let desk = &person.desktop;
    desk.open(person.url("/admin")).await;
    desk.types("#token", &person.street.config.admin_token)
        .await;
    desk.clicks("#sign-in").await;
    desk.sees("#entries").await;
    desk.picture("admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_api_1_7_a_person_consents_renews_and_deletes_in_one_browser() {
    let Some(person) = Person::with(Api::Import).await else {
        return;
    };
    let desktop = &person.desktop;
    person.buys(CORNER_SHOP, "coffee").await;
    // A form may lead to a page of digi.me, which leads back.
    desktop.clicks("#connect").await;
    desktop.sees("button[value=cancel]").await;
    desktop.clicks("button[value=cancel]").await;
    desktop.sees("#result-not-consented").await;
    desktop.clicks("#connect").await;
    desktop.clicks("button[value=approve]").await;
    desktop.sees("#result-connected").await;
    desktop.clicks("#continue").await;
    person.sees_saved(1).await;

    person.street.sandbox().end_consent();
    person.buys(CORNER_SHOP, "honey").await;
    desktop.sees("#consent-ended").await;
    desktop.sees(".order:nth-child(1) .badge:not(.saved)").await;
    desktop.clicks("#connect").await;
    desktop.clicks("button[value=approve]").await;
    desktop.sees("#result-connected").await;
    desktop.clicks("#continue").await;
    person.sees_saved(2).await;

    desktop.clicks("#leave summary").await;
    desktop.sees("#delete").await;
    desktop.picture("leave").await;
    // Without the check mark, the browser does not send the form.
    desktop.clicks("#delete").await;
    desktop.clicks("#leave input").await;
    desktop.clicks("#delete").await;
    desktop.sees("#deleted-all").await;
    assert!(person.street.sandbox().inbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_api_1_7_a_person_is_asked_in_time_by_a_banner() {
    let Some(mut person) = Person::with(Api::Import).await else {
        return;
    };
    person.buys(CORNER_SHOP, "coffee").await;
    person.desktop.clicks("#connect").await;
    person.desktop.clicks("button[value=approve]").await;
    person.desktop.sees("#result-connected").await;
    // The consent lasts thirty days, and the job looks when the shop starts.
    person.street.stop().await;
    person.street.config.consent_notice = std::time::Duration::from_hours(40 * 24);
    person.street.start().await;
    let page = person.url("/corner-shop/receipts");
    let is_asked = || async {
        person.desktop.open(&page).await;
        person.desktop.has("#notice").await
    };
    eventually("the customer is asked", is_asked).await;
    person.sees_saved(1).await;
    person.desktop.picture("notice").await;
    person.desktop.clicks("#renew").await;
    person.desktop.clicks("button[value=approve]").await;
    person.desktop.sees("#result-connected").await;
    person.desktop.clicks("#continue").await;
    person.sees_saved(1).await;
    assert_eq!(person.street.sandbox().violations(), [""; 0]);
}
