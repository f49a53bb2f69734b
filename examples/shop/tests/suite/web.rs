use reqwest::StatusCode;

use crate::street::{CORNER_SHOP, Street, buy, receipts};

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_cannot_change_anything() {
    let street = Street::open().await;
    let desktop = street.browser();
    buy(&desktop, CORNER_SHOP, "coffee").await;
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for (address, form) in [
            ("/corner-shop/buy", &[("product", "coffee")][..]),
            ("/corner-shop/connect", &[]),
            ("/corner-shop/disconnect", &[]),
            ("/corner-shop/delete", &[("is_sure", "true")]),
            ("/admin/login", &[("token", "guess")]),
            ("/admin/outbox/1/discard", &[]),
        ] {
            let request = desktop.request(address, form).header(header, value);
            let page = desktop.load(request).await;
            assert_eq!(
                page.status,
                StatusCode::FORBIDDEN,
                "{address} with {header}: {value}"
            );
        }
    }
    assert_eq!(
        receipts(&desktop, CORNER_SHOP)
            .await
            .all("data-state")
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_an_old_browser_is_known_by_its_origin() {
    let street = Street::open().await;
    let desktop = street.browser();
    let origin = street.address("/").origin().ascii_serialization();
    let request = desktop
        .request("/corner-shop/buy", &[("product", "coffee")])
        .header("origin", origin);
    assert_eq!(desktop.load(request).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_the_headers_that_protect_them() {
    let street = Street::open().await;
    for address in [
        "/",
        "/corner-shop",
        "/no-such-shop/receipts",
        "/digime/callback",
        "/no/such/page",
    ] {
        let page = street.browser().get(address).await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.header("x-request-id").is_empty());
        let is_callback = address == "/digime/callback";
        assert_eq!(
            page.header("referrer-policy"),
            if is_callback {
                "no-referrer"
            } else {
                "same-origin"
            }
        );
        assert!(
            !page.html.contains("<script>") && !page.html.contains("style="),
            "{address}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_of_a_session_is_out_of_the_reach_of_scripts_and_of_other_sites() {
    let street = Street::open().await;
    for (public_url, expected) in [
        ("http://127.0.0.1", "shop="),
        ("https://shop.example", "__Host-shop="),
    ] {
        let street = if public_url.starts_with("https") {
            &Street::open_with(|config| config.public_url = public_url.parse().expect("a URL"))
                .await
        } else {
            &street
        };
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let address = street.address("/corner-shop/buy");
        let request = client
            .expect("a client")
            .post(address)
            .form(&[("product", "coffee")]);
        let response = request.send().await.expect("an answer");
        let cookie = response.headers()["set-cookie"].to_str().expect("text");
        assert!(cookie.starts_with(expected), "{cookie}");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        assert_eq!(
            cookie.contains("Secure"),
            public_url.starts_with("https"),
            "{cookie}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_says_how_it_is() {
    let street = Street::open().await;
    let watcher = street.browser();
    assert_eq!(watcher.get("/health/live").await.status, StatusCode::OK);
    assert_eq!(watcher.get("/health/ready").await.status, StatusCode::OK);
    assert_eq!(
        watcher.get("/metrics").await.status,
        StatusCode::UNAUTHORIZED
    );

    street.connected(CORNER_SHOP, "coffee").await;
    let client = reqwest::Client::new().get(street.address("/metrics"));
    let metrics = client
        .bearer_auth(&street.config.admin_token)
        .send()
        .await
        .expect("an answer");
    let metrics = metrics.text().await.expect("text");
    for metric in [
        "shop_orders_total{tenant=\"corner-shop\"}",
        "shop_request_seconds_bucket",
        "digime_outbox_entries",
        "digime_calls_total",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_clients_make_up_are_measured_as_one() {
    let street = Street::open().await;
    let client = reqwest::Client::new();
    for method in ["MADE-UP-1", "MADE-UP-2"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = client.request(method, street.address("/corner-shop"));
        let status = answer.send().await.expect("an answer").status();
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let metrics = client.get(street.address("/metrics"));
    let metrics = metrics.bearer_auth(&street.config.admin_token).send().await;
    let metrics = metrics.expect("an answer").text().await.expect("text");
    assert!(!metrics.contains("MADE-UP"), "{metrics}");
    assert!(metrics.contains("method=\"other\""), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_admin_token_is_refused() {
    let street = Street::open().await;
    let visitor = street.browser();
    let page = visitor.post("/admin/login", &[("token", "guess")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.has("wrong-token"), "{}", page.html);
}
