use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Says when expired rows are to be removed.
pub(super) struct Sweeper {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl Sweeper {
    pub(super) fn every(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::default(),
        }
    }

    /// Whether it is time to sweep again. This is true for one of the callers that ask at the same time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        // Nothing panics while it is held.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= self.every);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

impl Default for Sweeper {
    fn default() -> Self {
        Self::every(Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_removed_at_most_once_a_minute() {
        let sweeper = Sweeper::default();
        let begun = Instant::now();
        let due = [0, 59, 60, 61, 119, 120].map(|seconds| {
            let now = begun + Duration::from_secs(seconds);
            sweeper.is_due(now)
        });
        assert_eq!(due, [true, false, true, false, false, true]);
    }
}
