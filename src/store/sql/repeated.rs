//! Repeats what a fault of the connection may have interrupted.

use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};

use super::SqlError;
use crate::chain::Chain;
use crate::observe::{self, in_millis};
use crate::store::StoreError;

/// How long a call is repeated after faults of the connection.
const PATIENCE: Duration = Duration::from_secs(5);

pub(in crate::store) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(8)
        .with_jitter()
}

/// Makes a call, and again after faults of the connection.
pub(super) async fn repeated<T, F>(call: impl FnMut() -> F + Send) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, SqlError>> + Send,
{
    let begun = Instant::now();
    call.retry(pauses())
        .when(|error| matches!(error, SqlError::Connection(_)) && begun.elapsed() < PATIENCE)
        .notify(|error, pause| {
            let pause_ms = in_millis(pause);
            let error = Chain(error);
            tracing::debug!(target: observe::STORE, pause_ms, %error, "asking the database again");
        })
        .await
        .map_err(|error| StoreError::failed(error.into_cause()))
}
