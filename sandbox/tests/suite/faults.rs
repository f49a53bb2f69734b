//! Faults and other events by HTTP.

use serde_json::{Value, json};

use crate::raw::{Raw, authorize_claims, descriptor};

#[tokio::test]
async fn a_fault_applies_as_often_as_it_says() {
    let raw = Raw::ongoing().await;
    let fault = json!({
        "endpoint": "authorize", "fault": {"refuse": {"status": 403, "code": "SDKInvalid"}}, "times": 2,
    });
    let injected = raw.post_json("/sandbox/faults", &fault).await;
    assert_eq!(injected, (200, json!({"injected": 2})));
    for _ in 0..2 {
        let refused = raw.ask("oauth/authorize", authorize_claims()).await;
        assert_eq!(refused, Err("SDKInvalid".into()));
    }
    raw.ask("oauth/authorize", authorize_claims())
        .await
        .expect("a preauthorization");
}

#[tokio::test]
async fn every_fault_can_be_injected() {
    let raw = Raw::ongoing().await;
    for fault in [
        json!({"status": 503}),
        json!({"retry_after": {"status": 429, "seconds": 1}}),
        json!({"refuse": {"status": 401, "code": "InvalidToken"}}),
        json!({"echo": 400}),
        json!({"refuse_unread": 413}),
        json!({"stop_reading": 1000}),
        json!({"read_slowly": {"milliseconds": 10}}),
        json!({"delay": {"milliseconds": 10}}),
        json!({"disconnect_after": 1000}),
        json!("lose_answer"),
        json!("cut_answer"),
        json!({"answer": "{}"}),
        json!("forged_token"),
        json!("foreign_keys"),
    ] {
        for endpoint in ["session", "authorize", "token", "push", "keys"] {
            let request = json!({"endpoint": endpoint, "fault": fault});
            let injected = raw.post_json("/sandbox/faults", &request).await;
            assert_eq!(injected, (200, json!({"injected": 1})), "{request}");
        }
    }
}

#[tokio::test]
async fn a_mistake_in_a_fault_is_refused_with_what_is_known() {
    let raw = Raw::ongoing().await;
    let of_push = |fault: Value| json!({"endpoint": "push", "fault": fault});
    for (request, message) in [
        (
            json!({"endpoint": "pusch", "fault": {"status": 503}}),
            "`session`, `authorize`, `token`, `push`, `keys`",
        ),
        (of_push(json!({"statsu": 503})), "`retry_after`"),
        (
            of_push(json!({"status": 99})),
            "the status 99 is not from 200 to 599",
        ),
        (
            of_push(json!({"refuse": {"status": 400, "code": "Nope"}})),
            "InvalidGrant, ",
        ),
        (
            json!({"endpoint": "push", "fault": "lose_answer", "times": 0}),
            "`times`",
        ),
        (
            json!({"endpoint": "push", "fault": "lose_answer", "time": 2}),
            "`times`",
        ),
        (json!({"endpoint": "push"}), "`fault`"),
    ] {
        let (status, answer) = raw.post_json("/sandbox/faults", &request).await;
        let said = answer["error"]["message"].as_str().expect("a message");
        assert!((400..500).contains(&status), "{status}");
        assert!(said.contains(message), "{said}");
    }
    assert_eq!(raw.sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn tokens_sessions_and_consents_can_end_by_http() {
    let raw = Raw::ongoing().await;
    let connected = raw.connect().await;
    let push = async || {
        let pushed = raw.push(&connected, "a", b"a", descriptor("text/plain"));
        pushed.await.map(|answer| answer["status"].clone())
    };
    assert_eq!(push().await, Ok(json!("delivered")));
    raw.post_json("/sandbox/expire-access-tokens", &json!({}))
        .await;
    assert_eq!(push().await, Ok(json!("pending")));
    raw.post_json("/sandbox/end-sessions", &json!({})).await;
    assert_eq!(push().await, Err("InvalidSession".into()));

    let unknown = json!({"contract_id": "unknown"});
    let (status, _) = raw.post_json("/sandbox/end-consent", &unknown).await;
    assert_eq!(status, 404);
    let ours = json!({"contract_id": raw.contract.contract_id});
    let ended = raw.post_json("/sandbox/end-consent", &ours).await;
    assert_eq!(ended, (200, json!({"ended": 1})));
    raw.connect().await;
    let without_body = raw.http.post(raw.url("/sandbox/end-consent")).send().await;
    let ended: Value = without_body.expect("an answer").json().await.expect("JSON");
    assert_eq!(ended, json!({"ended": 1}));

    let (_, violations) = raw.page("/sandbox/violations").await;
    let violations: Vec<String> = serde_json::from_str(&violations).expect("JSON");
    assert_eq!(violations, raw.sandbox.violations());
    assert_eq!(violations.len(), 1);
}
