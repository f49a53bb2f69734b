//! Counters, histograms and a gauge, for whatever recorder the application installs.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const CALLS: &str = "digime_calls_total";
const CALL_DURATION: &str = "digime_call_duration_seconds";
const ATTEMPTS: &str = "digime_attempts_total";
const ATTEMPT_DURATION: &str = "digime_attempt_duration_seconds";
const REFRESHES: &str = "digime_refreshes_total";
const PUSHED_BYTES: &str = "digime_pushed_bytes_total";
const UNSAVED_TOKENS: &str = "digime_unsaved_tokens";

/// Gives the recorder of the application the meanings and units of this library's metrics. Call it once, after the recorder is
/// installed. The metrics are counted without it too.
///
/// The recorder has to be one for version 0.24 of the crate `metrics`. [docs/operations.md] has a table of the metrics.
///
/// ```
/// // metrics_exporter_prometheus::PrometheusBuilder::new().install()?;
/// digime::describe_metrics();
/// ```
///
/// [docs/operations.md]: https://docs.rs/crate/digime/latest/source/docs/operations.md
pub fn describe_metrics() {
    describe_counter!(
        CALLS,
        Unit::Count,
        "Calls of flows and stores, by their outcome"
    );
    describe_histogram!(
        CALL_DURATION,
        Unit::Seconds,
        "How long a call took, with all its attempts"
    );
    describe_counter!(
        ATTEMPTS,
        Unit::Count,
        "Attempts at requests to the platform, by their outcome"
    );
    describe_histogram!(
        ATTEMPT_DURATION,
        Unit::Seconds,
        "How long one attempt at a request took"
    );
    describe_counter!(
        REFRESHES,
        Unit::Count,
        "Refresh tokens that were sent, by their outcome"
    );
    describe_counter!(
        PUSHED_BYTES,
        Unit::Bytes,
        "Bytes of items that were handed to the network, in every attempt"
    );
    describe_gauge!(
        UNSAVED_TOKENS,
        Unit::Count,
        "Users whose new tokens only this process has, because the store has not taken them yet"
    );
}

pub(crate) fn call(call: &'static str, outcome: &'static str, duration: Duration) {
    counter!(CALLS, "call" => call, "outcome" => outcome).increment(1);
    histogram!(CALL_DURATION, "call" => call, "outcome" => outcome).record(duration);
}

pub(crate) fn attempt(operation: &'static str, outcome: &'static str, duration: Duration) {
    counter!(ATTEMPTS, "operation" => operation, "outcome" => outcome).increment(1);
    histogram!(ATTEMPT_DURATION, "operation" => operation, "outcome" => outcome).record(duration);
}

pub(crate) fn refresh(outcome: &'static str) {
    counter!(REFRESHES, "outcome" => outcome).increment(1);
}

pub(crate) fn handed_over(bytes: u64) {
    counter!(PUSHED_BYTES).increment(bytes);
}

/// Several stores of a process share the gauge, so each adds its own difference.
pub(crate) fn unsaved_changed(before: usize, now: usize) {
    let gauge = gauge!(UNSAVED_TOKENS);
    match now.checked_sub(before) {
        Some(0) => {}
        Some(more) => gauge.increment(as_number(more)),
        None => gauge.decrement(as_number(before - now)),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are fewer users than 2^52"
)]
fn as_number(users: usize) -> f64 {
    users as f64
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn the_unsaved_tokens_of_two_stores_are_added() {
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || {
            for (before, now) in [(0, 2), (0, 1), (2, 1), (1, 1)] {
                unsaved_changed(before, now);
            }
        });
        let metrics = recorder.snapshotter().snapshot().into_vec();
        let values: Vec<_> = metrics.into_iter().map(|(.., value)| value).collect();
        assert_eq!(values, [DebugValue::Gauge(2.0.into())]);
    }
}
