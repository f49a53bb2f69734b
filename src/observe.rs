//! What an operator sees of the library: the events of calls and requests and, with the feature `metrics`, their numbers.
//! docs/operations.md has a table of both.

#[cfg(feature = "metrics")]
pub(crate) mod numbers;
#[cfg(not(feature = "metrics"))]
#[path = "observe/no_numbers.rs"]
pub(crate) mod numbers;

use std::error::Error;
use std::time::{Duration, Instant};

use tracing::{Span, field};

use crate::chain::Chain;

/// The target of what is logged of calls.
pub(crate) const CALL: &str = "digime::call";

/// The target of what is logged of requests to the platform and of their answers.
pub(crate) const REQUEST: &str = "digime::request";

/// The target of what is logged of stores.
pub(crate) const STORE: &str = "digime::store";

/// How a call ended, as far as an operator is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It is the outcome of a call of another library, which may be a failure.
    Ended,
    /// The user decided so, or somebody opened a callback URL that nobody waits for.
    ByUser,
    Failed,
    /// It fails again until somebody changes a setting or repairs a database.
    NeedsOperator,
    /// The application gave up waiting.
    Dropped,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Ended => "ended",
            Self::ByUser => "by_user",
            Self::Failed => "failed",
            Self::NeedsOperator => "needs_operator",
            Self::Dropped => "dropped",
        }
    }
}

/// In milliseconds, as logs have it.
pub(crate) fn in_millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A call that an application makes. Dropping it before its end says that the call was dropped.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    span: Span,
    name: &'static str,
    begun: Instant,
    is_over: bool,
}

impl Call {
    pub(crate) fn begin(contract: &str, state: &'static str, name: &'static str) -> Self {
        // A log of warnings alone has to say which call each is about, so the span has the highest level.
        let span = tracing::error_span!(target: CALL, "flow", %contract, state, call = name);
        Self {
            span,
            name,
            begun: Instant::now(),
            is_over: false,
        }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Ends it without a word: another observer says how it ended.
    pub(crate) fn leave(mut self) {
        self.is_over = true;
    }

    pub(crate) fn end(mut self, outcome: Outcome, error: Option<&(dyn Error + 'static)>) {
        self.is_over = true;
        self.note(outcome, error);
    }

    fn note(&self, outcome: Outcome, error: Option<&(dyn Error + 'static)>) {
        let duration = self.begun.elapsed();
        let duration_ms = in_millis(duration);
        let (parent, error) = (&self.span, error.map(Chain).map(field::display));
        match outcome {
            Outcome::Done => tracing::debug!(target: CALL, parent: parent, duration_ms, "done"),
            Outcome::Ended => tracing::debug!(target: CALL, parent: parent, duration_ms, "ended"),
            Outcome::ByUser => {
                tracing::info!(target: CALL, parent: parent, duration_ms, error, "not done");
            }
            Outcome::Failed => {
                tracing::warn!(target: CALL, parent: parent, duration_ms, error, "failed");
            }
            Outcome::NeedsOperator => {
                tracing::error!(target: CALL, parent: parent, duration_ms, error, "failed");
            }
            Outcome::Dropped => {
                tracing::info!(target: CALL, parent: parent, duration_ms, "dropped");
            }
        }
        numbers::call(self.name, outcome.label(), duration);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            self.note(Outcome::Dropped, None);
        }
    }
}

/// Notes one attempt at a request.
pub(crate) fn attempt(
    span: &Span,
    operation: &'static str,
    outcome: &'static str,
    duration: Duration,
    error: Option<&(dyn Error + 'static)>,
) {
    let duration_ms = in_millis(duration);
    match error {
        None => tracing::debug!(target: REQUEST, parent: span, duration_ms, "answered"),
        Some(error) => {
            tracing::debug!(target: REQUEST, parent: span, duration_ms, error = %Chain(error), "failed");
        }
    }
    numbers::attempt(operation, outcome, duration);
}
