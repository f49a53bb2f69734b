//! One entry while a worker delivers it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::queue::{Outcome, Taken};
use crate::rules::{Next, Rules};
use crate::telemetry::{self, ConfigWarnings, TARGET};
use crate::{Deliver, DeliverError, Outbox};

/// The longest pause between two attempts to record an outcome.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest reason that is stored, in bytes.
const LONGEST_REASON: usize = 2000;

/// What the attempts of a worker share.
pub(crate) struct Attempts<D> {
    pub(crate) outbox: Outbox,
    pub(crate) deliver: D,
    pub(crate) rules: Rules,
    pub(crate) lease: Duration,
    pub(crate) consent_interval: Duration,
    pub(crate) warnings: ConfigWarnings,
}

impl<D: Deliver> Attempts<D> {
    /// Delivers an entry under a lease, and records the outcome.
    pub(crate) async fn attempt(self: Arc<Self>, taken: Arc<Taken>) {
        let begun = Instant::now();
        let outcome = match self.deliver(&taken).await {
            Ok(()) => {
                telemetry::delivered(&taken, begun.elapsed());
                Outcome::Delivered
            }
            Err(error) => self.failed(&taken, &error).await,
        };
        self.record(&taken, &outcome).await;
    }

    async fn deliver(&self, taken: &Taken) -> Result<(), DeliverError> {
        if taken.is_lost_too_often() {
            return Err(DeliverError::Lost);
        }
        let item = taken.item.clone().into_postbox_item(&taken.reference);
        let delivery = async { self.deliver.deliver(taken.recipient.clone(), item).await };
        // A panic must not end in an entry that is sent again at once, and again.
        let delivery = AssertUnwindSafe(delivery).catch_unwind();
        tokio::select! {
            delivered = delivery => delivered.unwrap_or(Err(DeliverError::Panicked)),
            never = self.keep_lease(taken) => match never {},
        }
    }

    /// Extends the lease as long as it is polled. If the database is away or another worker has taken the entry, the push goes
    /// its way: it may arrive twice, which is better than not at all.
    async fn keep_lease(&self, taken: &Taken) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            match self.outbox.extend(taken, self.lease).await {
                Ok(true) => {}
                Ok(false) => std::future::pending().await,
                Err(error) => {
                    let cause = report(&error);
                    tracing::debug!(target: TARGET, id = taken.id, error = %cause, "the lease was not extended");
                }
            }
        }
    }

    async fn failed(&self, taken: &Taken, error: &DeliverError) -> Outcome {
        let reason = reason(error);
        match self.rules.next(error, taken.tried, rand::random()) {
            Next::AwaitConsent => {
                telemetry::awaits_consent(taken, &reason);
                Outcome::AwaitConsent {
                    look_again: self.consent_interval,
                    error: reason,
                }
            }
            Next::Retry {
                after,
                hold_back,
                is_config,
            } => {
                if is_config {
                    self.warnings.warn(taken, &reason, after);
                } else {
                    telemetry::tried_again(taken, &reason, after);
                }
                if let Some(duration) = hold_back {
                    let contract = &taken.recipient.contract;
                    if let Err(error) = self.outbox.hold_back(contract, duration).await {
                        let cause = report(&error);
                        tracing::debug!(target: TARGET, contract, error = %cause, "not held back");
                    }
                }
                Outcome::TryAgain {
                    after,
                    error: Some(reason),
                }
            }
            Next::GiveUp => {
                telemetry::given_up(taken, &reason);
                Outcome::GiveUp { error: reason }
            }
        }
    }

    /// Records an outcome as long as the process lives: without it the entry is sent again.
    async fn record(&self, taken: &Taken, outcome: &Outcome) {
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.outbox.record(taken, outcome).await {
            let cause = report(&error);
            tracing::warn!(target: TARGET, id = taken.id, error = %cause, "the database does not take an outcome: asking again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The error and its causes, as an operator sees it later.
fn reason(error: &DeliverError) -> String {
    let mut reason = match error {
        DeliverError::Push(error) => error.report().to_string(),
        other => other.to_string(),
    };
    reason.retain(|it| it != '\0');
    let end = (0..=LONGEST_REASON.min(reason.len())).rev();
    let end = end.into_iter().find(|end| reason.is_char_boundary(*end));
    reason.truncate(end.unwrap_or(0));
    reason
}

/// An error of the database with its causes.
pub(crate) fn report(error: &crate::Error) -> String {
    let mut report = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        report = format!("{report}: {error}");
        cause = error.source();
    }
    report
}
