//! The clock. Nothing else in the library asks the system for the time.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::unix_time;

/// A clock: the system's, or one that the application sets. Clones are the same clock.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// The current time, in Unix milliseconds.
    pub(crate) fn millis(&self) -> u64 {
        unix_time::millis(self.now())
    }
}

/// The system's clock.
impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
