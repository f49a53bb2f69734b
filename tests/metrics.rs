//! What the feature `metrics` counts.

#![cfg(feature = "metrics")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::task::Poll;

use digime::Callback;
use digime_sandbox::{Endpoint, Fault};
use metrics::Unit;
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "suite/set_up.rs"]
mod set_up;

use set_up::{authorized, awaiting_ongoing, item, sandbox};

/// Runs a scenario on this thread with a recorder of its own.
fn recorded(scenario: impl Future<Output = ()>) -> Numbers {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    metrics::with_local_recorder(&recorder, || {
        digime::describe_metrics();
        runtime.block_on(scenario);
    });
    Numbers::of(&snapshotter)
}

/// A metric with its labels, such as `digime_calls_total{call=push,outcome=done}`, and its value: the sum of a counter, how
/// often a histogram was recorded.
#[derive(Debug)]
struct Numbers {
    values: BTreeMap<String, u64>,
    kinds: BTreeSet<(String, &'static str, &'static str)>,
}

impl Numbers {
    fn of(snapshotter: &Snapshotter) -> Self {
        let (mut values, mut kinds) = (BTreeMap::new(), BTreeSet::new());
        for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
            assert!(description.is_some(), "{key:?}");
            let (kind, key) = key.into_parts();
            let kind = match kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "histogram",
            };
            let unit = match unit {
                Some(Unit::Seconds) => "seconds",
                Some(Unit::Bytes) => "bytes",
                _ => "count",
            };
            kinds.insert((key.name().to_owned(), kind, unit));
            let labels: Vec<_> = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let value = match value {
                DebugValue::Counter(sum) => sum,
                DebugValue::Histogram(recorded) => recorded.len() as u64,
                DebugValue::Gauge(value) => u64::from(value.into_inner() != 0.0),
            };
            values.insert(format!("{}{{{}}}", key.name(), labels.join(",")), value);
        }
        Self { values, kinds }
    }

    fn assert(&self, metric: &str, expected: u64) {
        let value = self.values.get(metric).copied().unwrap_or_default();
        assert_eq!(value, expected, "{metric}\n{:#?}", self.values);
    }
}

#[test]
fn calls_attempts_refreshes_and_bytes_are_counted() {
    let numbers = recorded(async {
        let sandbox = sandbox().await;
        let flow = authorized(&sandbox).await;
        sandbox.inject(Endpoint::Push, Fault::Status(503));
        sandbox.expire_access_tokens();
        let _ = flow.push(item()).await.expect("a delivery");
        sandbox.inject(Endpoint::Push, Fault::Refuse(401, "InvalidJWT"));
        flow.push(item()).await.expect_err("a refusal");
    });
    numbers.assert("digime_calls_total{call=establish_session,outcome=done}", 1);
    numbers.assert("digime_calls_total{call=push,outcome=done}", 1);
    numbers.assert("digime_calls_total{call=push,outcome=needs_operator}", 1);
    numbers.assert("digime_call_duration_seconds{call=push,outcome=done}", 1);
    numbers.assert("digime_attempts_total{operation=push,outcome=5xx}", 1);
    numbers.assert("digime_attempts_total{operation=push,outcome=4xx}", 1);
    numbers.assert(
        "digime_attempt_duration_seconds{operation=push,outcome=5xx}",
        1,
    );
    numbers.assert("digime_refreshes_total{outcome=new_tokens}", 1);
    // Each attempt at the five bytes counts: one meets a fault, one an expired token, one succeeds and one is refused.
    numbers.assert("digime_pushed_bytes_total{}", 4 * 5);
}

#[test]
fn what_the_user_decides_and_what_is_dropped_are_counted_apart() {
    let numbers = recorded(async {
        let sandbox = sandbox().await;
        let awaiting = awaiting_ongoing(&sandbox).await;
        let declined = Callback::from_query("result=CANCEL").expect("a callback");
        awaiting
            .exchange_code(declined)
            .await
            .expect_err("a decline");
        let flow = authorized(&sandbox).await;
        let mut push = Box::pin(flow.push(item()));
        poll_fn(|context| Poll::Ready(push.as_mut().poll(context).is_pending())).await;
        drop(push);
        sandbox.end_consent();
        flow.refresh().await.expect_err("the consent has ended");
    });
    numbers.assert("digime_calls_total{call=exchange_code,outcome=by_user}", 1);
    numbers.assert("digime_calls_total{call=push,outcome=dropped}", 1);
    numbers.assert("digime_calls_total{call=refresh,outcome=by_user}", 1);
    numbers.assert("digime_refreshes_total{outcome=consent_ended}", 1);
}

/// The table of metrics in the operator's page: name, type and unit.
fn table() -> BTreeSet<(String, &'static str, &'static str)> {
    let page = include_str!("../docs/operations.md");
    let rows = page.lines().filter(|line| line.starts_with("| `digime_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, _, unit, ..] = cells[..] else {
            panic!("{row}")
        };
        let kind = ["counter", "gauge", "histogram"]
            .into_iter()
            .find(|known| *known == kind)
            .unwrap_or_else(|| panic!("{row}"));
        let unit = match unit {
            "seconds" => "seconds",
            "bytes" => "bytes",
            _ => "count",
        };
        (name.trim_matches('`').to_owned(), kind, unit)
    })
    .collect()
}

#[test]
fn the_table_of_metrics_has_each_metric_and_no_other() {
    let numbers = recorded(async {
        let sandbox = sandbox().await;
        let flow = authorized(&sandbox).await;
        let _ = flow.refresh().await.expect("new tokens");
        let _ = flow.push(item()).await.expect("a delivery");
    });
    let described = include_str!("../src/observe/numbers.rs")
        .lines()
        .filter(|line| line.starts_with("const "))
        .count();
    let table = table();
    assert_eq!(table.len(), described, "{table:?}");
    // The gauge changes only when a store is away.
    let missing: Vec<_> = table
        .difference(&numbers.kinds)
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(missing, ["digime_unsaved_tokens"], "{:?}", numbers.kinds);
    assert!(numbers.kinds.is_subset(&table), "{:?}", numbers.kinds);
}
