//! Both flows without faults.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use digime::scope::{Scope, ServiceObjects, TimeRange, Unit};
use digime::{Callback, Client, DeliveryStatus, PostboxItem};
use serde_json::json;

use crate::set_up::{
    authorized, awaiting_once, awaiting_ongoing, client, ready, receipts, sandbox, welcome,
};

/// The SHA-256 of `bytes`, computed by code other than the tested code.
fn sha256(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}

#[tokio::test]
async fn a_one_off_push_waits_for_the_user() {
    let sandbox = sandbox().await;
    let delivery = ready(&sandbox)
        .await
        .push(PostboxItem::bytes("a.txt", "hello"))
        .await
        .expect("a delivery");
    assert_eq!(delivery.status(), DeliveryStatus::Pending);
    assert!(delivery.expires_in().is_some());
    assert_eq!(sandbox.inbox()[0].sha256, sha256(b"hello"));
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn an_ongoing_push_is_delivered_with_its_description() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let item = PostboxItem::bytes("r.json", "{}")
        .account("c-42")
        .tag("receipt")
        .tag("food")
        .reference("r-1");
    let delivery = flow.push(item).await.expect("a delivery");
    assert_eq!(delivery.status(), DeliveryStatus::Delivered);
    let received = &sandbox.inbox()[0];
    assert_eq!((received.name.as_str(), received.size), ("r.json", 2));
    assert_eq!(received.postbox_id, flow.postbox_id());
    assert_eq!(
        received.descriptor,
        json!({
            "mimeType": "application/json", "accounts": [{"accountId": "c-42"}],
            "reference": ["r-1"], "tags": ["receipt", "food"],
        })
    );
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn files_of_every_length_arrive_whole() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let folder = tempfile::tempdir().expect("a folder");
    let chunk = 256 * 1024;
    for length in [0, 1, 15, 16, 17, chunk - 1, chunk, chunk + 1, 3 * chunk + 5] {
        let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
        let path = folder.path().join(format!("{length}.bin"));
        std::fs::write(&path, &bytes).expect("a file");
        let _ = flow
            .push(PostboxItem::file(&path))
            .await
            .expect("a delivery");
        let received = sandbox.inbox().pop().expect("a file");
        assert_eq!(
            (received.size, received.sha256),
            (length as u64, sha256(&bytes)),
            "{length}"
        );
    }
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn names_arrive_unchanged() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    for name in [
        "a b.txt",
        "say \"hi\".txt",
        "Grüße 你好.pdf",
        "it's;x=1.txt",
        "a\\b.txt",
        "100%.txt",
    ] {
        let _ = flow
            .push(PostboxItem::bytes(name, "x"))
            .await
            .expect("a delivery");
        assert_eq!(sandbox.inbox().pop().expect("a file").name, name);
    }
}

#[tokio::test]
async fn progress_is_reported_from_the_first_byte_to_the_last() {
    let sandbox = sandbox().await;
    let last = Arc::new(AtomicU64::new(0));
    let seen = last.clone();
    let item = PostboxItem::bytes("a", vec![7; 1_000_000]).on_progress(move |progress| {
        assert_eq!(progress.total, Some(1_000_000));
        assert!(progress.sent >= seen.swap(progress.sent, Ordering::Relaxed));
    });
    let _ = ready(&sandbox).await.push(item).await.expect("a delivery");
    assert_eq!(last.load(Ordering::Relaxed), 1_000_000);
}

#[tokio::test]
async fn many_pushes_run_at_once() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let pushes =
        (0..8).map(|number| flow.push(PostboxItem::bytes(format!("{number}"), vec![1; 100_000])));
    for delivery in futures_util::future::join_all(pushes).await {
        assert_eq!(
            delivery.expect("a delivery").status(),
            DeliveryStatus::Delivered
        );
    }
    assert_eq!(sandbox.inbox().len(), 8);
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_session_can_be_limited_to_a_scope() {
    let sandbox = sandbox().await;
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    let scope = Scope::new()
        .time_range(TimeRange::last(6, Unit::Months))
        .service_objects(ServiceObjects {
            service_group: 1,
            service_type: 19,
            object_types: vec![3],
        });
    let session = flow
        .establish_session_with(&scope)
        .await
        .expect("a session");
    assert!(session.expires_at() > std::time::SystemTime::now());
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn flows_of_one_contract_have_different_states() {
    let sandbox = sandbox().await;
    let (one, other) = (awaiting_once(&sandbox).await, awaiting_once(&sandbox).await);
    assert_ne!(one.state(), other.state());
    assert!(one.url().as_str().contains(one.state()));
    let ongoing = awaiting_ongoing(&sandbox).await;
    assert!(
        !ongoing.url().as_str().contains(ongoing.state()),
        "the platform brings the state back"
    );
}

#[tokio::test]
async fn a_waiting_flow_has_three_links() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_ongoing(&sandbox).await;
    let query = awaiting.url().query().expect("a query");
    assert_eq!(
        awaiting.url().as_str(),
        format!("digime://postbox/create?{query}")
    );
    assert_eq!(
        awaiting.consent_access_url().as_str(),
        format!("digime://consent-access?{query}")
    );
    let origin = sandbox.base_url().trim_end_matches("/v1.5");
    let guest = format!("{origin}/apps/quark/v1/direct-onboarding?sessionExchangeToken=");
    assert!(
        awaiting.guest_url().as_str().starts_with(&guest),
        "{}",
        awaiting.guest_url()
    );
}

/// Answers each request to `listener` with a refusal, and yields the request's head.
fn heads(listener: TcpListener) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let (mut stream, _) = listener.accept().ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.extend(byte);
        }
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            .ok()?;
        String::from_utf8(head).ok()
    })
}

#[tokio::test]
async fn a_request_without_a_body_has_a_content_length() {
    let sandbox = sandbox().await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    let head = std::thread::spawn(move || heads(listener).next());
    let elsewhere = Client::builder()
        .base_url(base_url)
        .build()
        .expect("a client");
    let session = receipts(&sandbox)
        .flow(&client(&sandbox))
        .establish_session()
        .await
        .expect("a session");
    receipts(&sandbox)
        .flow(&elsewhere)
        .create_postbox(session)
        .await
        .expect_err("a refusal");
    let head = head.join().expect("a listener").expect("a request");
    assert!(head.starts_with("POST /oauth/authorize "), "{head}");
    assert_eq!(head.matches("content-length: 0\r\n").count(), 1, "{head}");
}

#[test]
fn a_receipt_link_escapes_the_ids() {
    #[digime::digime_contract(
        once,
        application_id = "app 1/ü",
        contract_id = "c&1",
        redirect_uri = "https://a.example"
    )]
    struct Odd {
        private_key: digime::PrivateKey,
    }
    let key = include_str!("../keys/contract.pem");
    let odd = Odd {
        private_key: key.parse().expect("a key"),
    };
    assert_eq!(
        odd.receipt_url().as_str(),
        "digime://receipt?contractId=c%261&appId=app+1%2F%C3%BC"
    );
}

#[tokio::test]
async fn a_guest_consents_on_the_page_of_the_guest_url() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_once(&sandbox).await;
    let mut page = awaiting.guest_url().clone();
    // What the page's form sends when the person approves.
    let form = format!("{}&decision=approve", page.query().expect("a query"));
    page.set_query(None);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let answer = http
        .build()
        .expect("a client")
        .post(page)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .expect("an answer");
    let location = answer.headers()["location"].to_str().expect("text");
    let callback = Callback::from_url(location).expect("a callback");
    let ready = awaiting.receive_postbox(callback).expect("a postbox");
    let _ = ready
        .push(PostboxItem::bytes("a", "b"))
        .await
        .expect("a delivery");
    assert_eq!(sandbox.inbox().len(), 1);
}
