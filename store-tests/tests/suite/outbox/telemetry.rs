//! What an operator reads in the log and in the metrics. Their names are documented, so they do not change.

use std::io;
use std::sync::{Arc, Mutex};

use digime::error::StoreError;
use digime::{Error, PostboxItem, PrivateKey};
use digime_outbox::{DeliverError, Outbox, Recipient};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::Value;

use super::{counts, entry, execute, quick, run};
use crate::set_up::{outbox, sqlite};

/// Lines of JSON.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The events of the outbox about an entry, each with its level.
    fn events(&self, reference: &str) -> Vec<(String, Value)> {
        let log = self.0.lock().expect("no panic");
        let log = String::from_utf8_lossy(&log).into_owned();
        assert!(
            !log.contains("coffee") && !log.contains("customer-42"),
            "{log}"
        );
        let events = log.lines().map(|line| {
            let event: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(event["target"], "digime_outbox");
            (
                event["level"].as_str().expect("a level").to_owned(),
                event["fields"].clone(),
            )
        });
        events
            .filter(|(_, fields)| fields["reference"] == reference)
            .collect()
    }
}

async fn finished(outbox: &Outbox) {
    counts(outbox, |counts| counts.waiting + counts.sending == 0).await;
}

#[tokio::test]
async fn each_outcome_has_its_level_and_is_counted() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::DEBUG)
        .with_env_filter("digime_outbox=debug")
        .with_writer(move || writer.clone())
        .finish();
    let _logs = tracing::subscriber::set_default(subscriber);
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _counts = metrics::set_default_local_recorder(&recorder);

    let shared = sqlite().expect("it is built in");
    let (outbox, url) = outbox(&shared).await;
    let add = async |reference: &str| {
        let entry = entry("customer-42", reference);
        outbox.enqueue(&entry).await.expect("added");
    };
    let fail_once = |error: DeliverError| {
        let error = Mutex::new(Some(error));
        move |_: Recipient, _: PostboxItem| {
            let error = error.lock().expect("no panic").take();
            async move { error.map_or(Ok(()), Err) }
        }
    };
    let key = PrivateKey::from_pem("no key").expect_err("no key");
    let refused = Error::extension(io::Error::other("it is too old"));
    let cases: [(&str, DeliverError, &[&str]); 4] = [
        (
            "busy",
            Error::from(StoreError::Busy).into(),
            &["DEBUG", "DEBUG"],
        ),
        ("key", Error::from(key).into(), &["WARN", "DEBUG"]),
        ("refused", refused.into(), &["ERROR"]),
        ("early", DeliverError::NotConnected, &["DEBUG"]),
    ];
    for (reference, error, levels) in cases {
        add(reference).await;
        let worker = run(quick(&outbox, fail_once(error)));
        finished(&outbox).await;
        worker.stop().await;
        let events = log.events(reference);
        let logged: Vec<&str> = events.iter().map(|(level, _)| &**level).collect();
        assert_eq!(logged, levels, "{events:?}");
        let (_, first) = &events[0];
        assert_eq!(
            (&first["attempt"], &first["contract"]),
            (&1.into(), &super::CONTRACT.into())
        );
        assert!(
            first["id"].is_i64() && first["reason"].is_string(),
            "{first}"
        );
    }

    add("lost").await;
    // Ten workers have died with it.
    let lost = "UPDATE digime_outbox SET state = 'sending', lost = 9 WHERE reference = 'lost'";
    execute(&url, lost).await;
    let worker = run(quick(&outbox, async |_: Recipient, _: PostboxItem| Ok(())));
    finished(&outbox).await;
    worker.stop().await;
    let events = log.events("lost");
    assert!(
        matches!(&*events, [(level, fields)] if level == "ERROR" && fields["reason"].is_string()),
        "{events:?}"
    );

    let measured = snapshotter.snapshot().into_vec();
    let value = |name: &str, label: Option<&str>| {
        let found = measured.iter().find(|(key, ..)| {
            let mut labels = key.key().labels().map(metrics::Label::value);
            key.key().name() == name && labels.next() == label
        });
        found.map(|(.., value)| value)
    };
    for (outcome, times) in [
        ("delivered", 2),
        ("retried", 2),
        ("given_up", 2),
        ("awaits_consent", 1),
    ] {
        let counted = value("digime_outbox_deliveries_total", Some(outcome));
        assert_eq!(counted, Some(&DebugValue::Counter(times)), "{outcome}");
    }
    let given_up = value("digime_outbox_entries", Some("given_up"));
    assert_eq!(given_up, Some(&DebugValue::Gauge(2.0.into())));
    let ages = value("digime_outbox_age_seconds", None);
    assert!(
        matches!(ages, Some(DebugValue::Histogram(ages)) if ages.len() == 2),
        "{ages:?}"
    );
}
