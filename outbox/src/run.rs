//! A worker while it runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};

use crate::Deliver;
use crate::attempt::{Attempts, report};
use crate::queue::{Outcome, Taken};
use crate::telemetry::TARGET;

/// How often delivered entries are removed and the gauges are set.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct Run<D> {
    pub(crate) attempts: Arc<Attempts<D>>,
    pub(crate) concurrency: usize,
    pub(crate) per_user: usize,
    pub(crate) in_flight: InFlight,
    pub(crate) swept: Option<Instant>,
}

/// The entries that a worker delivers at the moment.
#[derive(Default)]
pub(crate) struct InFlight {
    tasks: JoinSet<()>,
    entries: HashMap<Id, Arc<Taken>>,
}

impl InFlight {
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until an entry is done, and notes which others are.
    pub(crate) async fn next_done(&mut self) {
        let mut next = self.tasks.join_next_with_id().await;
        while let Some(done) = next {
            let id = match done {
                Ok((id, ())) => id,
                Err(error) => error.id(),
            };
            self.entries.remove(&id);
            next = self.tasks.try_join_next_with_id();
        }
    }

    async fn all_done(&mut self) {
        while !self.is_empty() {
            self.next_done().await;
        }
    }
}

impl<D: Deliver> Run<D> {
    pub(crate) fn room(&self) -> usize {
        self.concurrency - self.in_flight.entries.len()
    }

    /// Takes entries until there is no room, or nothing more is due.
    pub(crate) async fn take_what_is_due(&mut self) {
        let attempts = &self.attempts;
        while self.room() > 0 {
            // More than a user may have in flight would be taken for one user.
            let limit = self.room().min(self.per_user);
            let taken = attempts.outbox.take(limit, self.per_user, attempts.lease);
            let taken = match taken.await {
                Ok(taken) => taken,
                Err(error) => {
                    let cause = report(&error);
                    tracing::warn!(target: TARGET, error = %cause, "the outbox can't be read: looking again");
                    return;
                }
            };
            let is_all = taken.len() < limit;
            for taken in taken.into_iter().map(Arc::new) {
                let attempt = attempts.clone().attempt(taken.clone());
                let task = self.in_flight.tasks.spawn(attempt);
                self.in_flight.entries.insert(task.id(), taken);
            }
            if is_all {
                return;
            }
        }
    }

    /// Removes what was delivered long ago, at most once a minute, in a task that nothing waits for.
    pub(crate) fn sweep_sometimes(&mut self) {
        let is_due = self
            .swept
            .is_none_or(|swept| swept.elapsed() >= SWEEP_INTERVAL);
        if is_due {
            self.swept = Some(Instant::now());
            let outbox = self.attempts.outbox.clone();
            tokio::spawn(async move {
                if let Err(error) = outbox.sweep().await {
                    let cause = report(&error);
                    tracing::warn!(target: TARGET, error = %cause, "delivered entries were not removed");
                }
                #[cfg(feature = "metrics")]
                let _ = outbox.counts().await;
            });
        }
    }

    /// Waits for what is in flight. What is not done in time is cut off and released.
    pub(crate) async fn stop(mut self, grace: Duration) {
        let in_time = tokio::time::timeout(grace, self.in_flight.all_done()).await;
        if in_time.is_ok() {
            return;
        }
        self.in_flight.tasks.abort_all();
        let cut_off: Vec<Arc<Taken>> = self.in_flight.entries.values().cloned().collect();
        self.in_flight.all_done().await;
        tracing::warn!(
            target: TARGET,
            entries = cut_off.len(),
            "the worker stops before all of its pushes are done: they are tried again, and may arrive twice"
        );
        let released = Outcome::TryAgain {
            after: Duration::ZERO,
            error: None,
        };
        for taken in cut_off {
            // Otherwise it is due when its lease has ended.
            if let Err(error) = self.attempts.outbox.record(&taken, &released).await {
                let cause = report(&error);
                tracing::warn!(target: TARGET, id = taken.id, error = %cause, "not released");
            }
        }
    }
}
