use std::error::Error as StdError;
use std::fmt;

use super::Flow;
use super::suspended::{Durable, Suspended};
use crate::error::Error;

/// A failed call: its error, and the [`Flow`] or [`Suspended`] flow that was passed to it, so the call can be tried again.
///
/// `?` turns it into an [`Error`] if the flow is not needed.
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

/// Boxed, because a flow is large and a failure is rare.
struct Parts<F> {
    flow: F,
    error: Error,
}

impl<F> Rejected<F> {
    /// A call that has failed, and gives back what was passed to it.
    ///
    /// ```
    /// use digime::{Authorized, Error, Flow, Rejected};
    ///
    /// fn check<C>(flow: Flow<C, Authorized>, signature: &str) -> Result<Flow<C, Authorized>, Rejected<Flow<C, Authorized>>> {
    ///     if signature.is_empty() {
    ///         return Err(Rejected::new(flow, Error::extension("nobody has signed")));
    ///     }
    ///     Ok(flow)
    /// }
    /// ```
    #[must_use = "it is the error of a call"]
    pub fn new(flow: F, error: impl Into<Error>) -> Self {
        let error = error.into();
        Self(Box::new(Parts { flow, error }))
    }

    /// Why the call failed.
    ///
    /// ```
    /// # use digime::Rejected;
    /// # fn run<F>(rejected: &Rejected<F>) {
    /// eprintln!("{}", rejected.error().report());
    /// # }
    /// ```
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// What was passed to the call, and why the call failed.
    ///
    /// ```
    /// # use digime::{Flow, Rejected, Unstarted};
    /// # fn run<C>(rejected: Rejected<Flow<C, Unstarted>>) {
    /// let (flow, error) = rejected.into_parts();
    /// # }
    /// ```
    #[must_use = "the call can be tried again"]
    pub fn into_parts(self) -> (F, Error) {
        (self.0.flow, self.0.error)
    }
}

impl<C, S> Rejected<Flow<C, S>> {
    /// The flow, as it was before the call.
    ///
    /// ```
    /// # use digime::{Client, Error, OnceContract};
    /// # async fn run<C: OnceContract>(contract: C, client: Client) -> Result<(), Error> {
    /// # let flow = contract.flow(&client);
    /// # let session = flow.establish_session().await?;
    /// if let Err(rejected) = flow.create_postbox(session).await {
    ///     let flow = rejected.into_flow();
    ///     let another = flow.establish_session().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the flow can be tried again"]
    pub fn into_flow(self) -> Flow<C, S> {
        self.0.flow
    }
}

impl<C, S: Durable, D> Rejected<Suspended<C, S, D>> {
    /// The suspended flow, as it was before the call.
    ///
    /// ```
    /// # use digime::{AwaitingCallback, Flow, NoVerifier, OnceContract};
    /// # use digime::store::{FlowStore, ParkedFlows};
    /// # async fn run<C: OnceContract>(awaiting: Flow<C, AwaitingCallback<NoVerifier>>, flows: ParkedFlows<impl FlowStore>) {
    /// if let Err(rejected) = flows.park(awaiting.suspend()).await {
    ///     let suspended = rejected.into_suspended();
    /// }
    /// # }
    /// ```
    #[must_use = "the suspended flow can be kept again"]
    pub fn into_suspended(self) -> Suspended<C, S, D> {
        self.0.flow
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
