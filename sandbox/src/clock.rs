use std::time::{Duration, SystemTime};

/// Now, in Unix milliseconds.
pub(crate) fn now() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// Whether a lifetime that began at `since` is over at `now`.
pub(crate) fn is_over(since: u64, lifetime: Duration, now: u64) -> bool {
    since.saturating_add(millis(lifetime)) <= now
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
