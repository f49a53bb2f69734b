//! Unix times, as the protocol has them, and the system's.

use std::time::{Duration, SystemTime};

/// A system's time in Unix milliseconds.
pub fn millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time so long after the epoch; one that no clock can show is as good as never.
pub fn time(since_epoch: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into()))
}
