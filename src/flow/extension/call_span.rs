//! The spans of calls that libraries define.

use tracing::Instrument;

use crate::flow::Flow;
use crate::observe::{Call, Outcome};

/// The span of a call. [`calls!`](crate::calls) writes it.
#[derive(Debug)]
pub struct CallSpan(Call);

impl CallSpan {
    /// The span of a call of a flow in a state.
    #[must_use]
    pub fn new<C, S>(flow: &Flow<C, S>, state: &'static str, call: &'static str) -> Self {
        let contract = flow.platform.credentials.contract_id.as_str();
        Self(Call::begin(contract, state, call))
    }

    /// Runs the call in its span. What the call returns is the library's own, so the log does not say whether it failed; the
    /// requests in it do.
    pub async fn of<F: Future>(self, work: F) -> F::Output {
        let output = work.instrument(self.0.span().clone()).await;
        self.0.end(Outcome::Ended, None);
        output
    }
}
