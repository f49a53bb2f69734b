use std::error::Error;
use std::time::Instant;

use tracing::{Instrument, Span};

use crate::chain::Chain;
use crate::platform::Platform;

/// Traces a call of a flow: a span with the contract, the state and the name of the call, and an event with its outcome.
pub(super) struct Trace {
    span: Span,
    begun: Instant,
}

/// The span of a call.
pub(super) fn span(platform: &Platform, state: &'static str, call: &'static str) -> Span {
    let contract = &platform.credentials.contract_id;
    tracing::info_span!("flow", %contract, state, call)
}

impl Trace {
    pub(super) fn new(platform: &Platform, state: &'static str, call: &'static str) -> Self {
        Self {
            span: span(platform, state, call),
            begun: Instant::now(),
        }
    }

    pub(super) async fn of<T, E: Error + 'static>(
        self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let result = work.instrument(self.span.clone()).await;
        self.end(result)
    }

    pub(super) fn end<T, E: Error + 'static>(self, result: Result<T, E>) -> Result<T, E> {
        let duration = self.begun.elapsed();
        match &result {
            Ok(_) => tracing::info!(parent: &self.span, ?duration, "done"),
            Err(error) => {
                tracing::info!(parent: &self.span, ?duration, error = %Chain(error), "failed");
            }
        }
        result
    }
}
