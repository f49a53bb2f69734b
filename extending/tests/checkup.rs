//! Checkups, against a platform that a transport plays.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::receipts;
use digime::transport::{Body, Transport, TransportError, http};
use digime::{Client, async_trait};
use digime_extending::attempts::CountAttempts;
use digime_extending::checkup::Check;

/// A platform that answers with these statuses, one after the other, and the last one from then on.
#[derive(Clone)]
struct Platform {
    statuses: &'static [u16],
    requests: Arc<AtomicU32>,
}

#[async_trait]
impl Transport for Platform {
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        assert_eq!(request.uri().path(), "/v1.7/permission-access/contract");
        assert!(request.headers().contains_key("authorization"));
        let number = self.requests.fetch_add(1, Relaxed) as usize;
        let status = self.statuses[number.min(self.statuses.len() - 1)];
        let body = match status {
            200 => r#"{"accessType":"w","expirationDate":1900000000}"#,
            _ => r#"{"error":{"code":"InvalidContractId","message":"no such contract"}}"#,
        };
        let answer = http::Response::builder().status(status);
        answer
            .body(Body::from(body))
            .map_err(TransportError::unsendable)
    }
}

fn client(statuses: &'static [u16], attempts: &CountAttempts) -> Client {
    let platform = Platform {
        statuses,
        requests: Arc::default(),
    };
    let client = Client::builder().base_url("https://api.digi.me/v1.7");
    let client = client.transport(platform).layer(attempts.clone());
    client
        .retry_pauses(|| [std::time::Duration::ZERO; 2])
        .build()
        .expect("a client")
}

#[tokio::test]
async fn a_contract_is_checked_although_the_platform_is_busy_at_first() {
    let attempts = CountAttempts::default();
    let client = client(&[503, 200], &attempts);
    let checked = receipts().flow(&client).check().await.expect("a contract");
    assert!(checked.as_state().allows_writing());
    assert_eq!(checked.as_state().expires(), Some(1_900_000_000));
    assert_eq!(attempts.of("check the contract"), 2);
}

#[tokio::test]
async fn a_refused_check_gives_the_flow_back() {
    let attempts = CountAttempts::default();
    let client = client(&[404, 200], &attempts);
    let rejected = receipts()
        .flow(&client)
        .check()
        .await
        .expect_err("no contract");
    let message = rejected.to_string();
    assert!(
        message.starts_with("can't check the contract: the platform refused"),
        "{message}"
    );
    let checked = rejected.into_flow().check().await;
    assert!(checked.is_ok(), "{checked:?}");
}
