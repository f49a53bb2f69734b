use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::watch;
use tracing::Instrument;

use crate::error::{Error, Internal};

/// A value that many use at a time and that is replaced when it is stale, once for all of them.
///
/// Its renewal is a task of its own: it goes on whoever is dropped, and no caller waits for another caller to be polled.
#[derive(Debug)]
pub struct Renewable<T> {
    value: watch::Sender<T>,
    renewal: Mutex<Option<Renewal<T>>>,
}

/// A renewal that runs. All who wait for it share its outcome.
type Renewal<T> = Shared<BoxFuture<'static, Result<T, Error>>>;

impl<T: Clone + Send + Sync + 'static> Renewable<T> {
    pub fn new(value: T) -> Arc<Self> {
        Arc::new(Self {
            value: watch::Sender::new(value),
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

    pub fn is_being_renewed(&self) -> bool {
        self.lock().is_some()
    }

    /// Waits until no renewal is running.
    pub async fn settled(&self) {
        let renewal = self.lock().clone();
        if let Some(renewal) = renewal {
            // The value is right whether it could be renewed or not.
            let _ = renewal.await;
        }
    }

    /// The value, renewed first if it is stale. Whoever asks while it is renewed gets the outcome of that renewal.
    pub async fn fresh<F>(
        self: &Arc<Self>,
        is_stale: impl FnOnce(&T) -> bool,
        renew: impl FnOnce(T) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let renewal = {
            let mut running = self.lock();
            let current = self.get();
            if !is_stale(&current) {
                return Ok(current);
            }
            // A renewal whose runtime was shut down has ended and did not say so.
            running.take_if(|renewal| renewal.peek().is_some());
            let begin = || self.begin(renew(current));
            running.get_or_insert_with(begin).clone()
        };
        renewal.await
    }

    /// Starts a renewal, while the lock is held.
    fn begin(
        self: &Arc<Self>,
        renewing: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Renewal<T> {
        let renewable = self.clone();
        let task = tokio::spawn(renewing.in_current_span());
        // A second task waits for the first, so that the outcome is taken in although nobody waits for it.
        let taking_in = async move {
            let outcome = task
                .await
                .unwrap_or_else(|_| Err(Internal("renewing a token or session").into()));
            let mut running = renewable.lock();
            if let Ok(value) = &outcome {
                renewable.value.send_replace(value.clone());
            }
            *running = None;
            drop(running);
            outcome
        };
        tokio::spawn(taking_in)
            .map(|ended| {
                ended.unwrap_or_else(|_| Err(Internal("renewing a token or session").into()))
            })
            .boxed()
            .shared()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Renewal<T>>> {
        // Nothing panics while it is held.
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
    }

    #[test]
    fn a_renewal_whose_runtime_was_shut_down_blocks_no_other() {
        let value = Renewable::new(1);
        let first = runtime();
        first.block_on(async {
            let renewing = value.fresh(|_| true, |_| pending());
            assert!(futures_util::poll!(std::pin::pin!(renewing)).is_pending());
        });
        drop(first);
        let renewed = runtime().block_on(async {
            let cut_short = value.fresh(|_| true, |_| ready(Ok(2))).await;
            assert!(
                cut_short.is_err(),
                "it shares the renewal that was cut short"
            );
            value.fresh(|_| true, |_| ready(Ok(3))).await
        });
        assert_eq!(renewed.expect("another renewal"), 3);
    }
}
