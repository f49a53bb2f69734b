//! Converts between Unix times, which the protocol uses, and `SystemTime`.

use std::time::{Duration, SystemTime};

/// A `SystemTime` in Unix milliseconds.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time at this distance from the epoch. Unrepresentable values saturate.
pub(crate) fn time(since_epoch: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into()))
}
