use std::process::Stdio;
use std::time::Duration;

use digime_sandbox::{Endpoint, Fault};
use reqwest::StatusCode;
use shop::Api;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::browser::Browser;
use crate::street::{
    BOTH, CORNER_SHOP, Running, Street, ask, buy, eventually, skipped, states, wait_for_states,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_was_restarted_takes_the_callback_of_a_flow_that_waits() {
    for api in BOTH {
        let mut street = Street::open_for(api).await;
        let desktop = street.browser();
        buy(&desktop, CORNER_SHOP, "coffee").await;
        let page = ask(&desktop, CORNER_SHOP).await;
        street.stop().await;
        let callback = street.callback(&page.link()).await;
        street.start().await;
        assert!(street.browser().get(callback).await.has("result-connected"));
        // The session outlived the process too.
        wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_waits_is_pushed_by_the_next_process() {
    for api in BOTH {
        let mut street = Street::open_for(api).await;
        let desktop = street.connected(CORNER_SHOP, "coffee").await;
        wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;
        street.sandbox().end_consent();
        buy(&desktop, CORNER_SHOP, "honey").await;
        wait_for_states(&desktop, CORNER_SHOP, &["consent", "saved"]).await;
        street.stop().await;
        street.start().await;
        assert_eq!(states(&desktop, CORNER_SHOP).await, ["consent", "saved"]);
        let page = ask(&desktop, CORNER_SHOP).await;
        assert!(street.consent(&page.link()).await.has("result-connected"));
        wait_for_states(&desktop, CORNER_SHOP, &["saved", "saved"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_stops_answers_the_request_that_it_has_begun() {
    let mut street = Street::open().await;
    street
        .sandbox()
        .inject(Endpoint::Session, Fault::Delay(Duration::from_secs(1)));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let request = client
        .expect("a client")
        .post(street.address("/corner-shop/connect"));
    let connecting = tokio::spawn(request.send());
    let has_begun = || async { street.sandbox().requests(Endpoint::Session) == 1 };
    eventually("digi.me is asked", has_begun).await;
    street.stop().await;
    let response = connecting.await.expect("no panic").expect("an answer");
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let refused = reqwest::get(street.address("/health/live")).await;
    assert!(refused.is_err(), "it still listens");
}

/// Two processes share one PostgreSQL: sessions, flows, tokens and the outbox.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_database() {
    let Ok(server) = std::env::var("DIGIME_TEST_POSTGRES") else {
        skipped();
        return;
    };
    for api in BOTH {
        share_a_database(api, &server).await;
    }
}

async fn share_a_database(api: Api, server: &str) {
    let mut connection = PgConnection::connect(server).await.expect("a server");
    let name = format!("shop_{api:?}_{}", std::process::id()).to_lowercase();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create)
        .execute(&mut connection)
        .await
        .expect("a database");
    let mut url = url::Url::parse(server).expect("a URL");
    url.set_path(&name);

    let mut street = Street::open_for_with(api, |config| {
        config.database_url = url.to_string();
        config.consent_notice = Duration::from_hours(40 * 24);
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let second_url = format!("http://{}", listener.local_addr().expect("an address"));
    let second = Running::start(street.config.clone(), listener).await;

    let desktop = street.browser();
    buy(&desktop, CORNER_SHOP, "coffee").await;
    let page = ask(&desktop, CORNER_SHOP).await;
    let callback = street.callback(&page.link()).await;
    let at_second = Browser::new(&second_url.parse().expect("a URL"));
    let query = callback.query().expect("a query");
    let done = at_second.get(format!("/digime/callback?{query}")).await;
    assert!(done.has("result-connected"), "{}", done.html);
    wait_for_states(&desktop, CORNER_SHOP, &["saved"]).await;

    // Cookies do not name a port, so the desktop's browser is the same customer at both.
    street.stop().await;
    let page = desktop
        .get(format!("{second_url}{CORNER_SHOP}/receipts"))
        .await;
    assert_eq!(page.all("data-state"), ["saved"]);
    second.stop().await;

    // What only API 1.7 keeps in the database.
    if api == Api::Import {
        street.start().await;
        let is_asked = || async { desktop.get("/corner-shop").await.has("notice") };
        eventually("the customer is asked", is_asked).await;
        let form = [("is_sure", "true")];
        let page = desktop.post("/corner-shop/delete", &form).await;
        assert!(page.has("deleted-all"), "{}", page.html);
        assert_eq!(states(&desktop, CORNER_SHOP).await, ["not-saved"]);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_program_runs_without_settings_and_ends_when_it_is_asked_to() {
    // Without a phone there is an address less.
    for (api, addresses) in [("postbox", 4), ("import", 3)] {
        run_demo(api, addresses).await;
    }
}

/// Runs the demo with one API, until all of its addresses can be opened.
#[cfg(unix)]
async fn run_demo(api: &str, expected: usize) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_shop"));
    program
        .args(["--port", "0", "--api", api])
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut program = program.spawn().expect("the program");
    let mut lines = BufReader::new(program.stdout.take().expect("a pipe")).lines();
    let mut addresses = Vec::new();
    while addresses.len() < expected {
        let line = lines
            .next_line()
            .await
            .expect("text")
            .expect("another address");
        addresses.extend(
            line.split(' ')
                .filter(|word| word.starts_with("http"))
                .map(str::to_owned),
        );
    }
    let is_ready = || async {
        let mut answers = Vec::new();
        for address in &addresses {
            answers.push(
                reqwest::get(address)
                    .await
                    .is_ok_and(|answer| answer.status().is_success()),
            );
        }
        answers.iter().all(|answer| *answer)
    };
    eventually("all pages are there", is_ready).await;

    let id = program.id().expect("a process").to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(sent.expect("a command").success());
    assert!(program.wait().await.expect("an end").success());
}
