//! Time: the machine's, and the sandbox's, which can be moved ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How far a clock can be moved ahead: a thousand years. So every date stays one that can be written.
const MOST_AHEAD: u64 = 1000 * 365 * 24 * 60 * 60 * 1000;

/// The sandbox's clock, by which everything begins and ends. It is the machine's, moved ahead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// In milliseconds.
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// Now, in Unix milliseconds.
    pub(crate) fn now(&self) -> u64 {
        now().saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// Whether it was moved.
    pub(crate) fn is_moved(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) > 0
    }

    /// Moves it ahead. It never goes back.
    pub(crate) fn advance(&self, by: Duration) {
        let later = |ahead: u64| ahead.saturating_add(millis(by)).min(MOST_AHEAD);
        self.ahead
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ahead| {
                Some(later(ahead))
            })
            .unwrap_or_default();
    }
}

/// The machine's time, in Unix milliseconds.
pub(crate) fn now() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// When a lifetime that began at `since` is over.
pub(crate) fn end(since: u64, lifetime: Duration) -> u64 {
    since.saturating_add(millis(lifetime))
}

/// Whether a lifetime that began at `since` is over at `now`.
pub(crate) fn is_over(since: u64, lifetime: Duration, now: u64) -> bool {
    end(since, lifetime) <= now
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A point in time. One after the year 9999 can't be written, so it counts as the last one before.
pub(crate) fn time(millis: u64) -> SystemTime {
    let last = 253_402_300_799_000;
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_moved_ahead_and_stays_writable() {
        let clock = Clock::default();
        assert!(!clock.is_moved());
        let before = clock.now();
        clock.advance(Duration::from_secs(60));
        assert!(clock.is_moved());
        assert!(clock.now() >= before + 60_000);
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        let written = humantime::format_rfc3339_seconds(time(clock.now())).to_string();
        assert!(written.starts_with("30"), "{written}");
        humantime::format_rfc3339_seconds(time(u64::MAX)).to_string();
    }
}
