//! What a log has of the calls of a library. It is a test program of its own, since a log belongs to a process.

mod common;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use common::receipts;
use digime::transport::{Body, Transport, TransportError, http};
use digime::{Client, async_trait};
use digime_extending::checkup::Check;

/// A platform that allows everything.
struct Generous;

#[async_trait]
impl Transport for Generous {
    async fn send(&self, _: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        Ok(http::Response::new(Body::from(r#"{"accessType":"w"}"#)))
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

#[tokio::test]
async fn a_call_of_a_library_is_a_span_around_its_requests() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let client = Client::builder()
        .transport(Generous)
        .build()
        .expect("a client");
    let _ = receipts().flow(&client).check().await.expect("a contract");

    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = String::from_utf8(bytes).expect("text");
    let span = r#"flow{contract=c-1 state="Unchecked" call="check"}"#;
    assert!(text.contains(span), "{text}");
    assert!(text.contains("operation=check the contract"), "{text}");
}
