//! The spans of calls that libraries define.

use tracing::Instrument;

use crate::error::{Error, outcome};
use crate::flow::{Flow, Rejected};
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

    /// Runs the call in its span, and notes how it ended.
    pub async fn of<F: Future>(
        self,
        work: F,
        ending: impl FnOnce(&F::Output) -> Ending<'_>,
    ) -> F::Output {
        let output = work.instrument(self.0.span().clone()).await;
        match ending(&output) {
            Ending::Unknown => self.0.end(Outcome::Ended, None),
            Ending::Done => self.0.end(Outcome::Done, None),
            Ending::Failed(error) => self.0.end(outcome(error), Some(error)),
        }
        output
    }
}

/// How a call of a library has ended.
#[derive(Debug)]
pub enum Ending<'a> {
    /// The call returns something of the library's own, which does not say whether it failed.
    Unknown,
    /// It was successful.
    Done,
    /// It failed.
    Failed(&'a Error),
}

/// What a call has returned. [`calls!`](crate::calls) asks it for its ending: the compiler takes the method of
/// [`KnownEnding`] if the type has it, since that needs one reference less, and otherwise that of [`UnknownEnding`].
#[derive(Debug)]
pub struct Returned<'a, T>(pub &'a T);

/// A result with an error of this library.
pub trait KnownEnding<'a> {
    /// How the call has ended.
    fn ending(&self) -> Ending<'a>;
}

impl<'a, T> KnownEnding<'a> for Returned<'a, Result<T, Error>> {
    fn ending(&self) -> Ending<'a> {
        self.0
            .as_ref()
            .map_or_else(Ending::Failed, |_| Ending::Done)
    }
}

impl<'a, T, F> KnownEnding<'a> for Returned<'a, Result<T, Rejected<F>>> {
    fn ending(&self) -> Ending<'a> {
        match self.0 {
            Ok(_) => Ending::Done,
            Err(rejected) => Ending::Failed(rejected.error()),
        }
    }
}

/// Anything else.
pub trait UnknownEnding<'a> {
    /// How the call has ended.
    fn ending(&self) -> Ending<'a>;
}

impl<'a, T> UnknownEnding<'a> for &Returned<'a, T> {
    fn ending(&self) -> Ending<'a> {
        Ending::Unknown
    }
}
