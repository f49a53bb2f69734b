//! Retries of a request, and what is known of the effect of its attempts.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::Retryable;
use tokio::time::Instant;
use tracing::{Instrument, field};

use super::Platform;
use super::client::Client;
use super::error::{Operation, PlatformError, RequestError};
use crate::chain::Chain;
use crate::observe::{self, in_millis};

/// The shortest pause of a request that is retried for minutes, whatever the client's settings are.
const SHORTEST_PERSISTENT: Duration = Duration::from_millis(100);

/// When a call ends, even if it could still be retried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) const NEVER: Self = Self(None);

    pub(super) const fn at(time: Option<Instant>) -> Self {
        Self(time)
    }

    pub(super) fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    /// How much time is left, or `None` if there is no deadline.
    pub(super) fn remaining(self) -> Option<Duration> {
        Some(self.0?.saturating_duration_since(Instant::now()))
    }

    /// This deadline, or one after `timeout` if there is none.
    pub(super) fn or_after(self, timeout: Duration) -> Self {
        self.0.map_or_else(|| Self::after(timeout), |_| self)
    }

    /// `timeout`, or the time that is left if that is shorter.
    pub(super) fn limit(self, timeout: Duration) -> Duration {
        self.remaining().map_or(timeout, |left| left.min(timeout))
    }

    /// `timeout`, or less if a signature could take until the deadline. Its caller would then give up before it knows that
    /// nothing was sent, so a part of the time is left for that.
    pub(super) fn limit_of_signing(self, timeout: Duration) -> Duration {
        self.remaining()
            .map_or(timeout, |left| timeout.min(left / 10 * 9))
    }

    pub(super) fn leaves(self, pause: Duration) -> bool {
        self.remaining().is_none_or(|left| pause < left)
    }
}

/// The first attempt of a call of which it is not known whether it took effect.
///
/// The last attempt may fail without any effect, for example by a refusal. The error of the call must then still say that an
/// earlier attempt may have taken effect.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Mutex<Option<RequestError>>);

impl Doubt {
    pub(crate) fn note(&self, error: &PlatformError) {
        if let PlatformError::Request(error) = error
            && error.may_have_taken_effect()
        {
            self.lock().get_or_insert_with(|| error.clone());
        }
    }

    /// Why the effect of an earlier attempt is unknown.
    pub(crate) fn earlier(&self) -> Option<RequestError> {
        self.lock().clone()
    }

    /// The outcome of the call, with what is known about all its attempts.
    pub(crate) fn settle<T>(&self, result: Result<T, PlatformError>) -> Result<T, PlatformError> {
        result.map_err(|error| match self.earlier() {
            Some(earlier) if !error.may_have_taken_effect() => PlatformError::EarlierAttempt {
                earlier: Box::new(earlier),
                source: Box::new(error),
            },
            _ => error,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<RequestError>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rules by which a request is retried.
#[derive(Debug)]
pub(super) struct Retries<'a> {
    pub operation: Operation,
    /// No attempt begins after it.
    pub deadline: Deadline,
    /// Notes the attempts of unknown effect.
    pub doubt: &'a Doubt,
    /// Whether the request is retried until the deadline after any failure, however long the platform asks to wait.
    pub is_persistent: bool,
}

impl Retries<'_> {
    /// Whether another attempt may succeed.
    fn may_succeed_next(&self, error: &PlatformError) -> bool {
        match error {
            PlatformError::Request(RequestError::Unsendable { .. }) => false,
            PlatformError::Request(error) => self.is_persistent || error.may_be_transient(),
            _ => false,
        }
    }

    /// The pause before the next attempt, or `None` if there is none.
    fn pause(
        &self,
        error: &PlatformError,
        planned: Option<Duration>,
        client: &Client,
    ) -> Option<Duration> {
        let asked = match error {
            PlatformError::Request(error) => error.retry_after().unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let mut pause = planned?.max(asked);
        if self.is_persistent {
            pause = pause.max(SHORTEST_PERSISTENT);
            // The last attempt needs time too.
            let latest = self.deadline.remaining().unwrap_or(Duration::MAX);
            match latest.saturating_sub(client.timeout()) {
                Duration::ZERO => {}
                latest => pause = pause.min(latest),
            }
        } else if asked > client.max_retry_after() {
            return None;
        }
        self.deadline.leaves(pause).then_some(pause)
    }
}

impl Platform {
    /// Retries with pauses while `is_possible` and the failure may be transient. `attempt` gets the number of the attempt.
    pub(super) async fn retry<T, A>(
        &self,
        retries: &Retries<'_>,
        is_possible: impl Fn() -> bool,
        attempt: impl Fn(u32) -> A,
    ) -> Result<T, PlatformError>
    where
        A: Future<Output = Result<T, PlatformError>>,
    {
        let attempts = AtomicU32::new(0);
        let observed = || {
            let number = attempts.fetch_add(1, Relaxed) + 1;
            // Boxed, so that the futures of all the calls above stay small.
            Box::pin(self.observed(retries.operation, number, attempt(number)))
        };
        let pauses = if retries.is_persistent {
            self.client.endless_pauses()
        } else {
            self.client.pauses()
        };
        observed
            .retry(pauses)
            .when(|error| {
                retries.doubt.note(error);
                retries.may_succeed_next(error) && is_possible()
            })
            .adjust(|error, pause| retries.pause(error, pause, &self.client))
            .notify(|error, pause| {
                let pause_ms = in_millis(pause);
                tracing::debug!(target: observe::REQUEST, pause_ms, error = %Chain(error), "trying again");
            })
            .await
    }

    /// Makes one attempt in a span that records its number and outcome.
    async fn observed<T>(
        &self,
        operation: Operation,
        attempt: u32,
        work: impl Future<Output = Result<T, PlatformError>>,
    ) -> Result<T, PlatformError> {
        let span = tracing::debug_span!(
            target: observe::REQUEST,
            "request",
            %operation,
            contract = %self.credentials.contract_id,
            attempt,
            bytes = field::Empty,
            status = field::Empty,
        );
        let begun = Instant::now();
        let result = work.instrument(span.clone()).await;
        let duration = begun.elapsed();
        let (outcome, error) = match &result {
            Ok(_) => ("2xx", None),
            Err(error) => (label(error), Some(error as _)),
        };
        observe::attempt(&span, operation.name(), outcome, duration, error);
        result
    }
}

/// The outcome of an attempt that failed, as metrics name it.
fn label(error: &PlatformError) -> &'static str {
    match error {
        PlatformError::Request(error) => match error {
            RequestError::Refused { refusal, .. } => match refusal.status {
                ..400 => "3xx",
                400..500 => "4xx",
                500.. => "5xx",
            },
            RequestError::NotSent { .. } => "not_sent",
            RequestError::AnswerLost { .. } => "answer_lost",
            RequestError::Unsigned { .. } => "unsigned",
            RequestError::Unsendable { .. } => "unsendable",
            RequestError::Malformed { .. } | RequestError::Untrusted { .. } => "unreadable",
        },
        PlatformError::Item(_) => "item",
        PlatformError::EarlierAttempt { source, .. } => label(source),
        PlatformError::AlreadyExchanged | PlatformError::Internal(_) => "internal",
    }
}
