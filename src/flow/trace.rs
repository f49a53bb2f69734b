use tracing::Instrument;

use super::Flow;
use super::suspended::ContractIds;
use crate::error::{Error, outcome};
use crate::observe::{Call, Outcome};
use crate::platform::Platform;

/// Observes a call of a flow or of a store: a span with the contract, the state and the name of the call, and how it ended.
pub(crate) struct Trace(Call);

impl Trace {
    pub(crate) fn new(platform: &Platform, state: &'static str, call: &'static str) -> Self {
        Self(Call::begin(
            platform.credentials.contract_id.as_str(),
            state,
            call,
        ))
    }

    pub(crate) fn of_flow<C, S>(
        flow: &Flow<C, S>,
        state: &'static str,
        call: &'static str,
    ) -> Self {
        Self::new(&flow.platform, state, call)
    }

    pub(crate) fn of_ids(contract: &ContractIds, state: &'static str, call: &'static str) -> Self {
        Self(Call::begin(contract.contract_id(), state, call))
    }

    /// Does the work of the call in its span. If this future is dropped before its end, the log says so.
    pub(crate) async fn of<T, E: Into<Error>>(
        self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        let result = work.instrument(self.0.span().clone()).await;
        self.end(result)
    }

    pub(crate) fn end<T, E: Into<Error>>(self, result: Result<T, E>) -> Result<T, Error> {
        let result = result.map_err(Into::into);
        match &result {
            Ok(_) => self.0.end(Outcome::Done, None),
            Err(error) => self.0.end(outcome(error), Some(error)),
        }
        result
    }

    /// Another trace of the same call, for a task that continues without the caller.
    pub(crate) fn of_the_same_call(&self) -> Self {
        Self(self.0.clone())
    }

    /// Another trace says how the call ended.
    pub(crate) fn leave(self) {
        self.0.leave();
    }
}
