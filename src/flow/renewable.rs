use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::watch;
use tokio::task;
use tracing::Instrument;

use crate::error::Error;
use crate::platform::error::Operation;

/// A value that many use at a time and that is replaced when it is stale, once for all of them.
///
/// Its renewal is a task of its own: it goes on whoever is dropped, and no caller waits for another caller to be polled.
#[derive(Debug)]
pub struct Renewable<T> {
    value: watch::Sender<T>,
    /// What the platform is asked for by a renewal.
    operation: Operation,
    renewal: Mutex<Option<Renewal<T>>>,
}

/// A renewal that runs.
#[derive(Debug)]
struct Renewal<T> {
    stale: T,
    /// The task that takes its outcome in.
    task: task::Id,
    outcome: Outcome<T>,
    insists: bool,
}

/// All who wait for a renewal share its outcome.
type Outcome<T> = Shared<BoxFuture<'static, Result<T, Error>>>;

/// The failures of a renewal that somebody else began after which a caller wants a renewal of its own. Nothing for a caller
/// that shares every outcome.
pub type Insists = Option<fn(&Error) -> bool>;

impl<T: Clone + Send + Sync + 'static> Renewable<T> {
    pub fn new(value: T, operation: Operation) -> Arc<Self> {
        Arc::new(Self {
            value: watch::Sender::new(value),
            operation,
            renewal: Mutex::new(None),
        })
    }

    pub fn get(&self) -> T {
        self.value.borrow().clone()
    }

    /// Changes the value in place.
    pub fn change(&self, change: impl FnOnce(&mut T)) {
        self.value.send_modify(change);
    }

    /// The value, as soon as it is one that is wanted.
    pub async fn wait_for(&self, is_wanted: impl FnMut(&T) -> bool) -> T {
        match self.value.subscribe().wait_for(is_wanted).await {
            Ok(value) => value.clone(),
            // The sender is `self`, which is borrowed meanwhile.
            Err(_) => self.get(),
        }
    }

    /// The value in whose place a running renewal gets another. The value may have been changed already.
    pub fn being_replaced(&self) -> Option<T> {
        self.lock().as_ref().map(|renewal| renewal.stale.clone())
    }

    /// Waits until no renewal is running.
    pub async fn settled(&self) {
        let outcome = self.lock().as_ref().map(|renewal| renewal.outcome.clone());
        if let Some(outcome) = outcome {
            // The value is right whether it could be renewed or not.
            let _ = outcome.await;
        }
    }

    /// The value, renewed first if it is stale. Whoever asks while it is renewed gets the outcome of that renewal. For the
    /// first caller that insists, another renewal is put behind it, which the callers after that one share.
    pub async fn fresh<F>(
        self: &Arc<Self>,
        is_stale: impl FnOnce(&T) -> bool,
        insists: Insists,
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
            // A renewal whose runtime was shut down has ended and did not say so.
            let running_now = running
                .take()
                .filter(|renewal| renewal.outcome.peek().is_none());
            let renewal = match (running_now, insists) {
                (Some(renewal), Some(insists)) if !renewal.insists => {
                    self.begin(true, self.clone().after(renewal.outcome, insists, renew))
                }
                (Some(renewal), _) => renewal,
                (None, _) => self.begin(insists.is_some(), renew(current)),
            };
            running.insert(renewal).outcome.clone()
        };
        outcome.await
    }

    /// The outcome of an earlier renewal, or of another where a caller insists on it.
    async fn after<F: Future<Output = Result<T, Error>>>(
        self: Arc<Self>,
        earlier: Outcome<T>,
        insists: fn(&Error) -> bool,
        renew: impl FnOnce(T) -> F,
    ) -> Result<T, Error> {
        match earlier.await {
            Err(error) if insists(&error) => renew(self.get()).await,
            outcome => outcome,
        }
    }

    /// Starts a renewal, while the lock is held.
    fn begin(
        self: &Arc<Self>,
        insists: bool,
        renewing: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Renewal<T> {
        let renewable = self.clone();
        let operation = self.operation;
        // The request may have been sent before the task ended with its runtime.
        let ended_early = move || Error::answer_lost(operation, "its task ended early");
        let task = tokio::spawn(renewing.in_current_span());
        // A second task waits for the first, so that the outcome is taken in although nobody waits for it.
        let taking_in = async move {
            let outcome = task.await.unwrap_or_else(|_| Err(ended_early()));
            let mut running = renewable.lock();
            if let Ok(value) = &outcome {
                renewable.value.send_replace(value.clone());
            }
            // Another may have been put behind it.
            running.take_if(|renewal| task::try_id() == Some(renewal.task));
            drop(running);
            outcome
        };
        let task = tokio::spawn(taking_in);
        Renewal {
            stale: self.get(),
            task: task.id(),
            outcome: task
                .map(move |ended| ended.unwrap_or_else(|_| Err(ended_early())))
                .boxed()
                .shared(),
            insists,
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
    async fn callers_that_insist_share_the_renewal_behind_the_first() {
        let value = Renewable::new(1, Operation::RefreshToken);
        let ((end_first, first_ends), (end_second, second_ends)) = (oneshot(), oneshot());
        let insists: Insists = Some(|error| matches!(error, Error::RefreshInDoubt));
        let mut first = pin!(value.fresh(|_| true, None, |_| first_ends));
        assert!(poll!(&mut first).is_pending());
        let mut second = pin!(value.fresh(|_| true, insists, |_| second_ends));
        assert!(poll!(&mut second).is_pending());
        end_first(Err(Error::RefreshInDoubt));
        assert!(first.await.is_err(), "the first caller does not insist");

        let mut third = pin!(value.fresh(|_| true, insists, |_| ready(Ok(3))));
        assert!(poll!(&mut third).is_pending(), "it waits for the second");
        end_second(Ok(2));
        assert_eq!(second.await.expect("the second renewal"), 2);
        assert_eq!(third.await.expect("the same renewal"), 2);
        assert_eq!(value.being_replaced(), None);
    }

    #[tokio::test]
    async fn a_caller_that_insists_takes_every_other_outcome() {
        for outcome in [Ok(2), Err(Error::SessionExpired)] {
            let value = Renewable::new(1, Operation::RefreshToken);
            let (end, ends) = oneshot();
            let insists: Insists = Some(|error| matches!(error, Error::RefreshInDoubt));
            let mut first = pin!(value.fresh(|_| true, None, |_| ends));
            assert!(poll!(&mut first).is_pending());
            let mut second = pin!(value.fresh(|_| true, insists, |_| ready(Ok(3))));
            assert!(poll!(&mut second).is_pending());
            end(outcome.clone());
            let (first, second) = (first.await, second.await);
            assert_eq!(first.as_ref().ok(), outcome.as_ref().ok());
            assert_eq!(second.as_ref().ok(), outcome.as_ref().ok());
        }
    }

    /// A renewal, and what ends it.
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
    fn a_renewal_whose_runtime_was_shut_down_blocks_no_other() {
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
