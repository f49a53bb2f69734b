//! What arrived, as a person reads it.

use serde_json::json;

use crate::raw::{Raw, descriptor};

#[tokio::test]
async fn an_item_is_shown_with_its_text_and_can_be_downloaded() {
    let raw = Raw::ongoing().await;
    let connected = raw.connect().await;
    let (_, before) = raw.page("/inbox/version").await;
    raw.push(
        &connected,
        "receipt 1.txt",
        b"4 apples & <b>2</b> pears",
        descriptor("text/plain"),
    )
    .await
    .expect("a delivery");
    let (_, after) = raw.page("/inbox/version").await;
    assert_ne!(before, after);
    let (status, page) = raw.page("/inbox").await;
    assert_eq!(status, 200);
    for shown in [
        "receipt 1.txt",
        "4 apples &#38; &#60;b&#62;2&#60;/b&#62; pears",
        "account-1",
        "ref-1",
        "text/plain",
        "1 item has arrived",
        &raw.contract.name,
        &raw.contract.application_name,
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let content = raw.http.get(raw.url("/inbox/0/content")).send().await;
    let content = content.expect("an answer");
    let header = |name: &str| content.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename*=UTF-8''receipt%201.txt"
    );
    assert_eq!(
        content.text().await.expect("text"),
        "4 apples & <b>2</b> pears"
    );
    let item = &raw.sandbox.inbox()[0];
    assert_eq!(item.contract_id, raw.contract.contract_id);
    assert_eq!(raw.sandbox.content(item).expect("it is kept").len(), 25);
    assert_eq!(raw.page("/inbox/1/content").await.0, 404);
}

#[tokio::test]
async fn only_safe_images_are_shown() {
    let raw = Raw::ongoing().await;
    let connected = raw.connect().await;
    for (name, mime_type) in [
        ("a.png", "image/png"),
        ("a.svg", "image/svg+xml"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.pdf", "application/pdf"),
    ] {
        raw.push(
            &connected,
            name,
            b"<script>alert(1)</script>",
            descriptor(mime_type),
        )
        .await
        .expect("a delivery");
    }
    let (_, page) = raw.page("/inbox").await;
    assert_eq!(page.matches("<img ").count(), 1);
    assert!(page.contains("<img src=\"/inbox/0/content\""), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
    for (id, content_type) in [
        (0, "image/png"),
        (1, "application/octet-stream"),
        (2, "application/octet-stream"),
        (3, "application/pdf"),
    ] {
        let url = raw.url(&format!("/inbox/{id}/content"));
        let content = raw.http.get(url).send().await.expect("an answer");
        assert_eq!(content.headers()["content-type"], content_type);
    }
}

#[tokio::test]
async fn a_large_item_is_listed_without_its_content() {
    let raw = Raw::ongoing().await;
    let connected = raw.connect().await;
    let large = vec![7; (1 << 20) + 1];
    raw.push(&connected, "large.bin", &large, descriptor("text/plain"))
        .await
        .expect("a delivery");
    let (_, page) = raw.page("/inbox").await;
    assert!(page.contains("The content is not kept"), "{page}");
    let item = &raw.sandbox.inbox()[0];
    assert_eq!(item.size, (1 << 20) + 1);
    assert_eq!(raw.sandbox.content(item), None);
}

#[tokio::test]
async fn names_that_applications_choose_are_escaped() {
    let raw = Raw::ongoing().await;
    let connected = raw.connect().await;
    let script = "<script>alert(1)</script>";
    let descriptor = json!({
        "mimeType": script, "accounts": [{"accountId": script}], "tags": [script], "reference": [script],
    });
    raw.push(&connected, script, b"", descriptor)
        .await
        .expect("a delivery");
    let (_, page) = raw.page("/inbox").await;
    assert!(!page.contains(script), "{page}");
    assert_eq!(
        page.matches("&#60;script&#62;alert(1)").count(),
        7,
        "{page}"
    );
}

#[tokio::test]
async fn a_person_sees_who_is_connected_and_withdraws_one_consent() {
    let raw = Raw::ongoing().await;
    assert!(
        raw.page("/connections")
            .await
            .1
            .contains("No application is connected")
    );
    let (one, other) = (raw.connect().await, raw.connect().await);
    let ids = raw.consent_ids().await;
    assert_eq!(ids.len(), 2);
    let answer = raw
        .submit("/connections/withdraw", &[("consent_id", &ids[1])])
        .await;
    assert_eq!(answer, (303, "/connections".into()));
    let push = |to| raw.push(to, "a", b"a", descriptor("text/plain"));
    assert_eq!(push(&one).await.expect("an answer")["status"], "pending");
    assert_eq!(
        push(&other).await.expect("an answer")["status"],
        "delivered"
    );
    let (_, page) = raw.page("/connections").await;
    assert_eq!(page.matches(">Withdraw consent<").count(), 1);
}

#[tokio::test]
async fn a_file_name_is_read_as_forms_write_it() {
    let raw = Raw::ongoing().await;
    let connected = raw.connect().await;
    for (written, name) in [
        ("a %22quote%22", "a \"quote\""),
        ("two%0D%0Alines", "two\r\nlines"),
        ("100%", "100%"),
    ] {
        raw.push(&connected, written, b"x", descriptor("text/plain"))
            .await
            .expect("a delivery");
        let arrived = raw.sandbox.inbox().pop().expect("an item");
        assert_eq!(arrived.name, name);
    }
}
