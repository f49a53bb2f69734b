use std::error::Error as StdError;
use std::fmt;

use crate::error::Error;

/// A call that failed, with the flow that went in, so that nothing is lost and it can be tried again.
///
/// `?` turns it into an [`Error`] for those who don't want the flow back.
///
/// ```
/// use digime::{AwaitingCallback, Authorized, Callback, Error, Flow, OngoingContract, Rejected, Verifier};
///
/// async fn authorize<C: OngoingContract>(
///     awaiting: Flow<C, AwaitingCallback<Verifier>>,
///     callback: Callback,
/// ) -> Result<Flow<C, Authorized>, Error> {
///     match awaiting.exchange_code(callback.clone()).await {
///         Err(rejected) if !rejected.error().may_have_taken_effect() => {
///             Ok(rejected.into_flow().exchange_code(callback).await?)
///         }
///         other => Ok(other?),
///     }
/// }
/// ```
pub struct Rejected<F>(Box<Parts<F>>);

/// Kept in a box: a flow is large and a failure is rare.
struct Parts<F> {
    flow: F,
    error: Error,
}

impl<F> Rejected<F> {
    pub(crate) fn new(flow: F, error: Error) -> Self {
        Self(Box::new(Parts { flow, error }))
    }

    /// Why the call failed.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// The flow, as it was before the call.
    #[must_use = "the flow can be tried again"]
    pub fn into_flow(self) -> F {
        self.0.flow
    }

    /// The flow and the reason.
    #[must_use = "the flow can be tried again"]
    pub fn into_parts(self) -> (F, Error) {
        (self.0.flow, self.0.error)
    }
}

impl<F> From<Rejected<F>> for Error {
    fn from(rejected: Rejected<F>) -> Self {
        rejected.0.error
    }
}

impl<F> fmt::Display for Rejected<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl<F> fmt::Debug for Rejected<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("error", &self.0.error)
            .finish_non_exhaustive()
    }
}

impl<F> StdError for Rejected<F> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.error.source()
    }
}
