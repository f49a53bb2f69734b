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

/// The faults in the table of the README.
fn documented() -> Vec<Value> {
    let rows = include_str!("../../README.md").lines();
    let cells = rows.filter_map(|row| row.strip_prefix("| `")?.split_once("` | "));
    cells
        .filter(|(cell, _)| cell.starts_with(['{', '"']))
        .map(|(cell, _)| serde_json::from_str(cell).expect(cell))
        .collect()
}

const ENDPOINTS: [&str; 9] = [
    "session",
    "authorize",
    "token",
    "push",
    "keys",
    "import",
    "import_to_provider",
    "reference",
    "delete_user",
];

#[tokio::test]
async fn every_fault_of_the_readme_can_be_injected() {
    let raw = Raw::ongoing().await;
    let faults = documented();
    assert_eq!(faults.len(), 14, "as many as `Fault` has");
    for fault in faults {
        for endpoint in ENDPOINTS {
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
