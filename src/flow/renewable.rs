use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::watch;
use tokio::task;
use tracing::Instrument;

use crate::error::Error;
use crate::platform::error::Operation;

/// A shared value that is renewed when it is stale, once for all of its users.
///
/// The renewal runs in a task of its own. So it continues if a caller is dropped, and no caller depends on another being
/// polled.
#[derive(Debug)]
pub(crate) struct Renewable<T> {
    value: watch::Sender<T>,
    /// The operation that a renewal asks of the platform.
    operation: Operation,
    renewal: Mutex<Option<Renewal<T>>>,
}

/// A running renewal.
#[derive(Debug)]
struct Renewal<T> {
    stale: T,
    /// The task that stores its outcome.
    task: task::Id,
    outcome: Outcome<T>,
    /// Whether it is a renewal of a caller with a `RetryAfter`.
    may_retry: bool,
}

/// All callers that wait for a renewal share its outcome.
type Outcome<T> = Shared<BoxFuture<'static, Result<T, Error>>>;

/// Selects the failures of another caller's renewal after which this caller wants a renewal of its own. `None` if it accepts
/// every outcome.
pub(super) type RetryAfter = Option<fn(&Error) -> bool>;

impl<T: Clone + Send + Sync + 'static> Renewable<T> {
    pub(crate) fn new(value: T, operation: Operation) -> Arc<Self> {
        Arc::new(Self {
            value: watch::Sender::new(value),
            operation,
            renewal: Mutex::new(None),
        })
    }

    pub(crate) fn get(&self) -> T {
        self.value.borrow().clone()
    }

    /// Changes the value in place.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        self.value.send_modify(change);
    }

    /// Waits until the value satisfies the condition, and returns it.
    pub(crate) async fn wait_for(&self, is_wanted: impl FnMut(&T) -> bool) -> T {
        match self.value.subscribe().wait_for(is_wanted).await {
            Ok(value) => value.clone(),
            // The sender can't be dropped, since `self` is borrowed.
            Err(_) => self.get(),
        }
    }

    /// The value that a running renewal replaces. The current value may already be another.
    pub(crate) fn being_replaced(&self) -> Option<T> {
        self.lock().as_ref().map(|renewal| renewal.stale.clone())
    }

    /// Waits until no renewal is running.
    pub(crate) async fn settled(&self) {
        let outcome = self.lock().as_ref().map(|renewal| renewal.outcome.clone());
        if let Some(outcome) = outcome {
            // The outcome does not matter, only that the renewal has ended.
            let _ = outcome.await;
        }
    }

    /// The value, renewed first if it is stale. Callers during a renewal share its outcome. The first caller with a
    /// `retry_after` queues a second renewal behind it, which later callers share.
    pub(crate) async fn fresh<F>(
        self: &Arc<Self>,
        is_stale: impl FnOnce(&T) -> bool,
        retry_after: RetryAfter,
        renew: impl FnOnce(T) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let outcome = {
            let mut running = self.lock();
            let current = self.get();
            if !is_stale(&current) {
                return Ok(current);
            }
            // A renewal whose runtime was shut down has ended without removing itself.
            let running_now = running
                .take()
                .filter(|renewal| renewal.outcome.peek().is_none());
            let renewal = match (running_now, retry_after) {
                (Some(renewal), Some(retry_after)) if !renewal.may_retry => self.begin(
                    true,
                    self.clone().after(renewal.outcome, retry_after, renew),
                ),
                (Some(renewal), _) => renewal,
                (None, _) => self.begin(retry_after.is_some(), renew(current)),
            };
            running.insert(renewal).outcome.clone()
        };
        outcome.await
    }

    /// The outcome of an earlier renewal, or of a new one if `retry_after` selects that outcome.
    async fn after<F: Future<Output = Result<T, Error>>>(
        self: Arc<Self>,
        earlier: Outcome<T>,
        retry_after: fn(&Error) -> bool,
        renew: impl FnOnce(T) -> F,
    ) -> Result<T, Error> {
        match earlier.await {
            Err(error) if retry_after(&error) => renew(self.get()).await,
            outcome => outcome,
        }
    }

    /// Starts a renewal, while the lock is held.
    fn begin(
        self: &Arc<Self>,
        may_retry: bool,
        renewing: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Renewal<T> {
        let renewable = self.clone();
        let operation = self.operation;
        // The request may have been sent before the task ended with its runtime.
        let ended_early = move || Error::answer_lost(operation, "its task ended early");
        let task = tokio::spawn(renewing.in_current_span());
        // A second task waits for the first, so that the outcome is stored even if no caller waits for it.
        let storing = async move {
            let outcome = task.await.unwrap_or_else(|_| Err(ended_early()));
            let mut running = renewable.lock();
            if let Ok(value) = &outcome {
                renewable.value.send_replace(value.clone());
            }
            // Another renewal may be queued behind it.
            running.take_if(|renewal| task::try_id() == Some(renewal.task));
            drop(running);
            outcome
        };
        let task = tokio::spawn(storing);
        Renewal {
            stale: self.get(),
            task: task.id(),
            outcome: task
                .map(move |ended| ended.unwrap_or_else(|_| Err(ended_early())))
                .boxed()
                .shared(),
            may_retry,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Renewal<T>>> {
        // Nothing panics while it is held.
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use futures_util::poll;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
    }

    #[tokio::test]
    async fn callers_that_retry_share_the_queued_renewal() {
        let value = Renewable::new(1, Operation::RefreshToken);
        let ((end_first, first_ends), (end_second, second_ends)) = (oneshot(), oneshot());
        let retry_after: RetryAfter = Some(|error| matches!(error, Error::RefreshInDoubt));
        let mut first = pin!(value.fresh(|_| true, None, |_| first_ends));
        assert!(poll!(&mut first).is_pending());
        let mut second = pin!(value.fresh(|_| true, retry_after, |_| second_ends));
        assert!(poll!(&mut second).is_pending());
        end_first(Err(Error::RefreshInDoubt));
        assert!(first.await.is_err(), "the first caller does not retry");

        let mut third = pin!(value.fresh(|_| true, retry_after, |_| ready(Ok(3))));
        assert!(poll!(&mut third).is_pending(), "it waits for the second");
        end_second(Ok(2));
        assert_eq!(second.await.expect("the second renewal"), 2);
        assert_eq!(third.await.expect("the same renewal"), 2);
        assert_eq!(value.being_replaced(), None);
    }

    #[tokio::test]
    async fn a_caller_that_retries_accepts_every_other_outcome() {
        for outcome in [Ok(2), Err(Error::SessionExpired)] {
            let value = Renewable::new(1, Operation::RefreshToken);
            let (end, ends) = oneshot();
            let retry_after: RetryAfter = Some(|error| matches!(error, Error::RefreshInDoubt));
            let mut first = pin!(value.fresh(|_| true, None, |_| ends));
            assert!(poll!(&mut first).is_pending());
            let mut second = pin!(value.fresh(|_| true, retry_after, |_| ready(Ok(3))));
            assert!(poll!(&mut second).is_pending());
            end(outcome.clone());
            let (first, second) = (first.await, second.await);
            assert_eq!(first.as_ref().ok(), outcome.as_ref().ok());
            assert_eq!(second.as_ref().ok(), outcome.as_ref().ok());
        }
    }

    /// A function that ends a renewal, and the renewal.
    fn oneshot() -> (
        impl FnOnce(Result<i32, Error>),
        impl Future<Output = Result<i32, Error>> + Send,
    ) {
        let (end, ends) = tokio::sync::oneshot::channel();
        (
            move |outcome| end.send(outcome).expect("a renewal"),
            async { ends.await.expect("an outcome") },
        )
    }

    #[test]
    fn a_renewal_whose_runtime_was_shut_down_does_not_block_the_next() {
        let value = Renewable::new(1, Operation::RefreshToken);
        let first = runtime();
        first.block_on(async {
            let renewing = value.fresh(|_| true, None, |_| pending());
            assert!(poll!(pin!(renewing)).is_pending());
        });
        drop(first);
        let renewed = runtime().block_on(async {
            let cut_short = value.fresh(|_| true, None, |_| ready(Ok(2))).await;
            let error = cut_short.expect_err("it shares the renewal that was cut short");
            assert!(error.may_have_taken_effect(), "{error}");
            value.fresh(|_| true, None, |_| ready(Ok(3))).await
        });
        assert_eq!(renewed.expect("another renewal"), 3);
    }
}
