//! What the machines of a run share.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::api::{self, Notes};
use super::application::Users;
use super::host::Host;
use super::invariants::Book;
use super::platform::{Answer, Platform, Request, millis};
use super::store::Records;
use super::trace::Texts;
use super::weather::{Passage, Weather};

/// What the machines share.
pub(super) struct World {
    pub state: Mutex<State>,
    pub begun: Instant,
    pub base: SystemTime,
    pub texts: Texts,
    pub is_over: AtomicBool,
}

pub(super) struct State {
    pub weather: Weather,
    pub platform: Platform,
    pub records: Records,
    pub users: Users,
    pub book: Book,
    #[allow(dead_code, reason = "only some flows have notes")]
    pub notes: Notes,
}

impl World {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The time at the platform.
    pub(super) fn time(&self) -> SystemTime {
        self.base + self.elapsed()
    }

    pub(super) fn millis(&self) -> u64 {
        millis(
            self.time()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }

    pub(super) fn log(&self, line: impl Into<String>) {
        let now = self.elapsed();
        let line = format!("{:>10.3}  {}", now.as_secs_f64(), line.into());
        self.lock().book.log.push(line);
    }

    pub(super) fn violation(&self, what: String) {
        self.log(format!("VIOLATION {what}"));
        self.lock().book.violations.push(what);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Notes that a machine has died, so what only it knew is lost.
    pub(super) fn machine_is_gone(&self, host: &Host) {
        let State {
            platform,
            records,
            users,
            book,
            ..
        } = &mut *self.lock();
        let is_kept = |token: &str| records.hold(token);
        platform.excuse(host.id, "its machine died", is_kept);
        users.machine_is_gone(host.id, records);
        book.forget_calls_of(host.id);
    }

    /// Notes that a machine can't fetch the platform's keys, so it can't verify the tokens that it got.
    pub(super) fn keys_are_missing(&self, host: &Host) {
        let State {
            platform, records, ..
        } = &mut *self.lock();
        let is_kept = |token: &str| records.hold(token);
        platform.excuse(host.id, "the platform's keys were missing", is_kept);
    }
}

impl State {
    pub(super) fn arrived(
        &mut self,
        request: &Request,
        passage: &Passage,
        now: u64,
    ) -> Option<Answer> {
        let allowances = &mut self.users.refreshes;
        let answer =
            self.platform
                .arrived(request, &passage.fault, passage.echoes, now, allowances);
        api::has_arrived(self);
        answer
    }
}

/// The next whole day, so that no session has ended by the system's clock when the run begins.
pub(super) fn base() -> SystemTime {
    let day = 24 * 60 * 60;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs((now.as_secs() / day + 1) * day)
}
