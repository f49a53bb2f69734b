//! The spans of calls that libraries define.

use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};

use crate::flow::{Flow, trace};

/// The span of a call. [`calls!`](crate::calls) writes it.
#[derive(Debug)]
pub struct CallSpan(Span);

impl CallSpan {
    /// The span of a call of a flow in a state.
    #[must_use]
    pub fn new<C, S>(flow: &Flow<C, S>, state: &'static str, call: &'static str) -> Self {
        Self(trace::span(&flow.platform, state, call))
    }

    /// Runs the call in its span.
    pub fn of<F: Future>(self, work: F) -> Instrumented<F> {
        work.instrument(self.0)
    }
}
