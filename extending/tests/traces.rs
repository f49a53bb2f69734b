//! What a log has of the calls of a library. It is a test program of its own, since a log belongs to a process.

mod common;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use common::receipts;
use digime::transport::{Body, Transport, TransportError, http};
use digime::{Client, async_trait};
use digime_extending::checkup::Check;

/// A platform that answers everything in the same way.
struct Answers(u16, &'static str);

#[async_trait]
impl Transport for Answers {
    async fn send(&self, _: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let answer = http::Response::builder().status(self.0);
        answer
            .body(Body::from(self.1))
            .map_err(TransportError::unsendable)
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged of a check of a contract.
async fn logged(platform: Answers) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let client = Client::builder().transport(platform).build();
    let flow = receipts().flow(&client.expect("a client"));
    drop(flow.check().await);

    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8(bytes).expect("text")
}

/// The lines about the call itself, without those about the request in it.
fn ends(log: &str) -> Vec<&str> {
    let end = r#"flow{contract=c-1 state="Unchecked" call="check"}: digime::call: "#;
    log.lines().filter(|line| line.contains(end)).collect()
}

#[tokio::test]
async fn a_call_of_a_library_is_a_span_around_its_requests_and_says_how_it_ended() {
    let done = logged(Answers(200, r#"{"accessType":"w"}"#)).await;
    assert!(done.contains("operation=check the contract"), "{done}");
    let [end] = ends(&done)[..] else {
        panic!("one end: {done}")
    };
    assert!(end.contains("DEBUG"), "{end}");
    assert!(end.contains("digime::call: done"), "{end}");

    let refusal = r#"{"error":{"code":"InvalidContractId","message":"no such contract"}}"#;
    let failed = logged(Answers(403, refusal)).await;
    let [end] = ends(&failed)[..] else {
        panic!("one end: {failed}")
    };
    assert!(end.contains("ERROR"), "{end}");
    assert!(end.contains("digime::call: failed"), "{end}");
    assert!(end.contains("InvalidContractId"), "{end}");
}
