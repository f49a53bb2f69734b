//! What a worker logs and counts. The target, the levels and the names are documented in the crate's page.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admin::Counts;
use crate::queue::Taken;

pub(crate) const TARGET: &str = "digime_outbox";

/// How often the same warning may be written for a contract.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Logs an event about an entry.
macro_rules! event {
    ($level:ident, $taken:expr, $($rest:tt)*) => {
        tracing::event!(
            target: $crate::telemetry::TARGET,
            tracing::Level::$level,
            id = $taken.id,
            contract = %$taken.recipient.contract,
            reference = %$taken.reference,
            attempt = $taken.tried.attempts,
            $($rest)*
        )
    };
}

pub(crate) fn delivered(taken: &Taken, took: Duration) {
    event!(DEBUG, taken, age = ?taken.age, ?took, "delivered");
    count("delivered");
    #[cfg(feature = "metrics")]
    metrics::histogram!("digime_outbox_age_seconds").record((taken.age + took).as_secs_f64());
}

pub(crate) fn awaits_consent(taken: &Taken, reason: &str) {
    event!(DEBUG, taken, reason, "waits until the user has consented");
    count("awaits_consent");
}

pub(crate) fn tried_again(taken: &Taken, reason: &str, after: Duration) {
    event!(
        DEBUG,
        taken,
        reason,
        ?after,
        "not delivered, and tried again later"
    );
    count("retried");
}

pub(crate) fn given_up(taken: &Taken, reason: &str) {
    event!(
        ERROR,
        taken,
        reason,
        "given up: look at the reason, then retry or discard the entry"
    );
    count("given_up");
}

/// Contracts that a warning was written for, with the time.
#[derive(Debug, Default)]
pub(crate) struct ConfigWarnings(Mutex<HashMap<String, Instant>>);

impl ConfigWarnings {
    /// Warns once a minute for each contract: all of its entries fail.
    pub(crate) fn warn(&self, taken: &Taken, reason: &str, after: Duration) {
        if self.is_due(&taken.recipient.contract, Instant::now()) {
            event!(
                WARN,
                taken,
                reason,
                ?after,
                "the configuration or the machine is wrong: entries wait until it is repaired"
            );
            count("retried");
        } else {
            tried_again(taken, reason, after);
        }
    }

    fn is_due(&self, contract: &str, now: Instant) -> bool {
        // Nothing panics while it is held.
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = written.get(contract);
        let is_due = last.is_none_or(|last| now.duration_since(*last) >= WARNING_INTERVAL);
        if is_due {
            written.insert(contract.to_owned(), now);
        }
        is_due
    }
}

fn count(outcome: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("digime_outbox_deliveries_total", "outcome" => outcome).increment(1);
    let _ = outcome;
}

pub(crate) fn entries(counts: &Counts) {
    #[cfg(feature = "metrics")]
    for state in crate::State::ALL {
        #[expect(
            clippy::cast_precision_loss,
            reason = "gauges are floating point numbers"
        )]
        let count = counts.count(state) as f64;
        metrics::gauge!("digime_outbox_entries", "state" => state.as_str()).set(count);
    }
    let _ = counts;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_warned_of_once_a_minute() {
        let warnings = ConfigWarnings::default();
        let begun = Instant::now();
        let due =
            |contract, seconds| warnings.is_due(contract, begun + Duration::from_secs(seconds));
        let is = [
            due("a", 0),
            due("a", 59),
            due("b", 59),
            due("a", 60),
            due("a", 61),
        ];
        assert_eq!(is, [true, false, true, true, false]);
    }
}
