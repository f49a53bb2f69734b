//! What a log contains about flows and requests, and what it never contains. It is a test program of its own, since a log
//! belongs to a process.

use std::io;
use std::sync::{Arc, Mutex};

use digime::PostboxItem;
use digime_sandbox::{Contract, Endpoint, Fault};
use tracing_subscriber::fmt::MakeWriter;

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "suite/set_up.rs"]
mod set_up;

use set_up::{authorized, ready, sandbox};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_log_has_each_call_and_each_request_and_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("there is one test");
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let stale = flow.access_token();
    sandbox.inject(Endpoint::Push, Fault::Status(503));
    sandbox.expire_access_tokens();
    let _ = flow
        .push(PostboxItem::bytes("name.txt", "hush, data"))
        .await
        .expect("a delivery");
    let ready = ready(&sandbox).await;
    let error = ready.push(PostboxItem::file("/no/such/file")).await;
    assert!(error.is_err());

    let text = log.text();
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" digime::"))
        .collect();
    let message = |parts: &[&str]| {
        assert!(
            ours.iter()
                .any(|line| parts.iter().all(|part| line.contains(part))),
            "{parts:?}\n{}",
            ours.join("\n")
        );
    };
    let named = |contract: &Contract| format!("contract={}", contract.contract_id);
    let (contract, once) = (
        &*named(&sandbox.contracts().ongoing),
        &*named(&sandbox.contracts().once),
    );
    message(&[
        contract,
        "state=\"Unstarted\" call=\"establish_session\"",
        "done duration=",
    ]);
    message(&[
        contract,
        "state=\"Unstarted\" call=\"create_postbox\"",
        "done",
    ]);
    message(&[
        contract,
        "state=\"AwaitingCallback<Verifier>\" call=\"exchange_code\"",
        "done",
    ]);
    message(&[contract, "state=\"Authorized\" call=\"push\"", "done"]);
    message(&[
        "call=\"push\"",
        "request{operation=push",
        "attempt=1 bytes=16 status=503",
        "failed duration=",
    ]);
    message(&[
        "call=\"push\"",
        "request{operation=push",
        "attempt=2 bytes=16 status=200",
        "answered duration=",
    ]);
    message(&[
        "call=\"push\"",
        "operation=refresh the access token",
        "status=200",
    ]);
    message(&[
        "WARN",
        "trying again error=can't push: the platform refused (503)",
    ]);
    message(&[once, "call=\"receive_postbox\"", "done"]);
    message(&[
        once,
        "call=\"push\"",
        "failed",
        "can't read `/no/such/file`",
    ]);

    let suspended = serde_json::to_value(flow.suspend()).expect("JSON");
    let tokens = &suspended["state_data"]["tokens"];
    let session = &suspended["state_data"]["destination"]["session"];
    let secrets = [
        stale.secret(),
        tokens["access_token"].as_str().expect("a token"),
        tokens["refresh_token"].as_str().expect("a token"),
        session["sessionKey"].as_str().expect("a key"),
        session["sessionExchangeToken"].as_str().expect("a token"),
        "hush",
        "Bearer",
    ];
    for secret in secrets {
        assert!(!ours.join("\n").contains(secret), "{secret}");
    }
}
