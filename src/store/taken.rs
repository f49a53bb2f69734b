//! A parked flow on its way from the store to the claim that takes it.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::bounded::Bounded;
use super::{FlowStore, StoreError};
use crate::chain::Chain;
use crate::observe::{self, in_millis};
use crate::random;

/// How long a caller waits for a flow to be put back. After that, it is put back in the background.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the library tries to put back a flow that may have been taken although the store reported an error. While a
/// store is away there is one such flow for each claim, and flows rarely wait for longer.
const LONGEST_DOUBT: Duration = Duration::from_secs(60 * 60);

/// When such a flow is put back, each after the one before: a database may execute a call long after it has failed.
const LATER: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// The pauses double. Before the first one of this length, most failures have passed.
const NOTEWORTHY: Duration = Duration::from_secs(1);

/// A claim to the flow under a key. No two claims have the same id.
pub(super) struct Claim<S> {
    store: Bounded<S>,
    key: String,
    id: String,
}

impl<S> Clone for Claim<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            key: self.key.clone(),
            id: self.id.clone(),
        }
    }
}

/// A parked flow that was taken for a claim. Dropping it puts the flow back, unless it was handed over.
pub(super) struct Taken<S: FlowStore> {
    claim: Claim<S>,
    record: String,
    is_handed_over: bool,
}

impl<S: FlowStore> Taken<S> {
    /// Takes the flow under a key. Dropping this future loses nothing: a flow that was taken is put back.
    pub(super) async fn take(store: &Bounded<S>, key: String) -> Result<Option<Self>, StoreError> {
        let claim = Claim {
            store: store.clone(),
            key,
            id: random::nonce(),
        };
        let mut taking = Box::pin(claim.clone().take());
        // A store that answers at once needs no task.
        if let Some(taken) = taking.as_mut().now_or_never() {
            return taken;
        }
        let Ok(taken) = tokio::time::timeout(store.timeout(), tokio::spawn(taking)).await else {
            claim.give_up();
            return Err(StoreError::TimedOut(store.timeout()));
        };
        taken.unwrap_or_else(|_| Err(StoreError::failed("its task ended early")))
    }

    pub(super) fn record(&self) -> &str {
        &self.record
    }

    /// Leaves it taken: the caller is responsible for the flow from now on.
    pub(super) fn hand_over(mut self) -> Claim<S> {
        self.is_handed_over = true;
        self.claim.clone()
    }

    /// Puts it back.
    pub(super) async fn put_back(self) {
        self.hand_over().put_back().await;
    }
}

/// Waits for work, which continues in the background if it takes long.
async fn in_moderation(work: impl Future<Output = ()> + Send + 'static) {
    let _ = tokio::time::timeout(PATIENCE, tokio::spawn(work)).await;
}

impl<S: FlowStore> Claim<S> {
    async fn take(self) -> Result<Option<Taken<S>>, StoreError> {
        match self.store.take_in_any_time(&self.key, &self.id).await {
            Ok(record) => Ok(record.map(|record| Taken {
                claim: self,
                record,
                is_handed_over: false,
            })),
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    /// Puts back a flow that the store may have given to this claim without saying so, or may still give.
    fn give_up(self) {
        tokio::spawn(async move {
            for later in LATER {
                tokio::time::sleep(later).await;
                self.clone()
                    .putting_back(pauses().with_total_delay(Some(LONGEST_DOUBT)))
                    .await;
            }
        });
    }

    /// Makes the record wait again.
    pub(super) async fn put_back(self) {
        in_moderation(self.putting_back(pauses())).await;
    }

    /// Leaves a note in place of the record.
    pub(super) async fn leave_note(self, note: String) {
        in_moderation(async move {
            let call = || self.store.leave_note(&self.key, &self.id, &note);
            // It ends when the store has taken the note.
            let _ = call.retry(pauses()).notify(note_retry).await;
        })
        .await;
    }

    async fn putting_back(self, pauses: ExponentialBuilder) {
        let call = || self.store.put_back(&self.key, &self.id);
        // A failure was logged.
        let _ = call.retry(pauses).notify(note_retry).await;
    }
}

/// Retries until the store has done it.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
}

fn note_retry(error: &StoreError, pause: Duration) {
    let pause_ms = in_millis(pause);
    if pause < NOTEWORTHY {
        tracing::debug!(target: observe::STORE, error = %Chain(error), pause_ms, "asking the store again to change a parked flow");
    } else {
        tracing::warn!(target: observe::STORE, error = %Chain(error), pause_ms, "the store did not take a change of a parked flow: trying again");
    }
}

impl<S: FlowStore> Drop for Taken<S> {
    fn drop(&mut self) {
        if !self.is_handed_over
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(self.claim.clone().putting_back(pauses()));
        }
    }
}
