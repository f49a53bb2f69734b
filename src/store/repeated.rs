//! Repeats what a fault of the connection to a database may have interrupted.

use std::error::Error;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};

use crate::chain::Chain;
use crate::observe::{self, in_millis};

/// How long a call is repeated.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(8)
        .with_jitter()
}

/// Makes a call, and again after errors that may pass. The first call may have been executed and its answer lost, so it is one
/// that does nothing twice.
pub(super) async fn repeated<T, E, F>(
    call: impl FnMut() -> F,
    may_pass: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: Error + 'static,
{
    let begun = Instant::now();
    call.retry(pauses())
        .when(|error| may_pass(error) && begun.elapsed() < PATIENCE)
        .notify(|error, pause| {
            let pause_ms = in_millis(pause);
            let error = Chain(error);
            tracing::debug!(target: observe::STORE, pause_ms, %error, "asking the database again");
        })
        .await
}
