use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::Attempts;
use crate::rules::Rules;
use crate::run::{InFlight, Run};
use crate::telemetry::ConfigWarnings;
use crate::{Deliver, Outbox};

/// A background job that delivers what is due. Any number of them may run, in any number of processes.
///
/// ```
/// use digime_outbox::{Deliver, Outbox};
///
/// async fn run(outbox: Outbox, deliver: impl Deliver) -> std::io::Result<()> {
///     let shutdown = async {
///         let _ = tokio::signal::ctrl_c().await;
///     };
///     outbox.worker(deliver).concurrency(8).run_until(shutdown).await;
///     Ok(())
/// }
/// ```
///
/// | setting | default | |
/// | --- | --- | --- |
/// | [`concurrency`](Self::concurrency) | 8 | how many entries it delivers at a time |
/// | [`per_user`](Self::per_user) | 4 | how many entries of one user all workers deliver at a time |
/// | [`poll_interval`](Self::poll_interval) | 1 s | the longest time in which it finds what other processes have enqueued |
/// | [`lease`](Self::lease) | 60 s | the time after which other workers take the entries of one that died |
/// | [`grace`](Self::grace) | 60 s | how long it waits for those in flight when it stops |
/// | [`retry_delays`](Self::retry_delays) | 5 s to 1 h | pauses after transient failures |
/// | [`config_delay`](Self::config_delay) | 1 min | the first pause after a failure that somebody has to repair |
/// | [`max_age`](Self::max_age) | 7 days | how long an entry is tried |
/// | [`consent_interval`](Self::consent_interval) | 1 h | how often it looks again whether a user has connected |
#[must_use = "a worker does nothing until `run_until` is awaited"]
pub struct Worker<D> {
    outbox: Outbox,
    deliver: D,
    concurrency: usize,
    per_user: usize,
    poll_interval: Duration,
    lease: Duration,
    grace: Duration,
    consent_interval: Duration,
    rules: Rules,
}

impl<D: Deliver> Worker<D> {
    pub(crate) fn new(outbox: Outbox, deliver: D) -> Self {
        Self {
            outbox,
            deliver,
            concurrency: 8,
            per_user: 4,
            poll_interval: Duration::from_secs(1),
            lease: Duration::from_mins(1),
            grace: Duration::from_mins(1),
            consent_interval: Duration::from_hours(1),
            rules: Rules::default(),
        }
    }

    /// How many entries it delivers at a time, at least one. Their contents are in memory.
    pub fn concurrency(mut self, entries: usize) -> Self {
        self.concurrency = entries.max(1);
        self
    }

    /// How many entries of one user are delivered at a time, at least one, so that a user with thousands of entries does not
    /// keep the others waiting. It counts what all workers deliver. Workers that look at the same moment may exceed it.
    pub fn per_user(mut self, entries: usize) -> Self {
        self.per_user = entries.max(1);
        self
    }

    /// How often it looks for entries that are due. Each pause is shorter by up to a fifth, so that workers do not look
    /// together. An entry that this process has enqueued is found at once.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How long an entry belongs to a worker that no longer extends its lease. After a third of this time it is extended.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long it waits for the entries in flight when it stops. Those that are not done then are cut off and released, and
    /// may arrive twice.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The first and the longest pause after a transient failure. Each pause is twice as long as the one before, and up to a
    /// half of it is left out at random.
    pub fn retry_delays(mut self, first: Duration, longest: Duration) -> Self {
        self.rules.pauses = (first, longest);
        self
    }

    /// The first pause after a failure that somebody has to repair, such as a wrong key. These pauses double too.
    pub fn config_delay(mut self, first: Duration) -> Self {
        self.rules.config_pause = first;
        self
    }

    /// How long an entry is tried before it is given up, from its first attempt on. The time in which it waits for consent does
    /// not count, nor does the time in which no worker ran.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.rules.max_age = age;
        self
    }

    /// How often it looks again whether a user has connected, for an application that died before it called
    /// [`Outbox::connected`].
    pub fn consent_interval(mut self, interval: Duration) -> Self {
        self.consent_interval = interval;
        self
    }

    /// Delivers what is due until `shutdown` is done. Then it takes nothing new, waits for what is in flight, and returns. If the
    /// future is dropped, what is in flight is cut off, and tried again when its lease has ended.
    ///
    /// With [`ConnectedUsers`](crate::ConnectedUsers), wait for [`SharedTokens::flush`](digime::store::SharedTokens::flush)
    /// afterwards, so that every new token has reached its store.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        let attempts = Arc::new(Attempts {
            outbox: self.outbox.clone(),
            deliver: self.deliver,
            rules: self.rules,
            lease: self.lease,
            consent_interval: self.consent_interval,
            warnings: ConfigWarnings::default(),
        });
        let mut run = Run {
            attempts,
            concurrency: self.concurrency,
            per_user: self.per_user,
            in_flight: InFlight::default(),
            swept: None,
        };
        let mut shutdown = pin!(shutdown);
        loop {
            // A claim is never dropped: nobody would know what it has claimed.
            run.take_what_is_due().await;
            run.sweep_sometimes();
            let has_room = run.room() > 0;
            let pause = self
                .poll_interval
                .mul_f64(1.0 - rand::random::<f64>() / 5.0);
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = run.in_flight.next_done(), if !run.in_flight.is_empty() => {}
                () = self.outbox.added.notified(), if has_room => {}
                () = tokio::time::sleep(pause), if has_room => {}
            }
        }
        run.stop(self.grace).await;
    }
}

impl<D> fmt::Debug for Worker<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("outbox", &self.outbox)
            .field("concurrency", &self.concurrency)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
