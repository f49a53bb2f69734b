//! A machine of the application as seen by its connections: running, paused or dead.

use std::fmt;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};
use std::time::Duration;

use digime::transport::TransportError;
use futures_util::future::poll_fn;
use tokio::time::Instant;

/// The configuration of a machine, which may be wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetUp {
    /// By how many milliseconds its clock is ahead of the platform's.
    pub clock_ahead: i64,
    pub has_wrong_redirect_uri: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    Running,
    Paused,
    Dead,
}

/// Whether a machine is running, and the tasks that wait for it to run.
struct Supply {
    now: Power,
    waiting: Vec<Waker>,
}

/// A machine as seen by its connections.
pub(super) struct Host {
    pub id: u64,
    pub set_up: SetUp,
    power: Mutex<Supply>,
    no_platform: AtomicBool,
    no_store: AtomicBool,
    paused: Mutex<(Option<Instant>, Duration)>,
    /// The call of the store after whose effect the machine is paused.
    pauses_at: Mutex<Option<&'static str>>,
    /// How many connections failed.
    pub not_connected: AtomicU64,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.id)
    }
}

impl Host {
    pub(super) fn new(id: u64, set_up: SetUp) -> Self {
        Self {
            id,
            set_up,
            power: Mutex::new(Supply {
                now: Power::Running,
                waiting: Vec::new(),
            }),
            no_platform: AtomicBool::new(false),
            no_store: AtomicBool::new(false),
            paused: Mutex::default(),
            pauses_at: Mutex::default(),
            not_connected: AtomicU64::new(0),
        }
    }

    /// Waits until the machine is running, forever if it is dead. Tasks continue in the order in which they came, which tokio's
    /// own channels don't promise.
    pub(super) async fn runs(&self) {
        poll_fn(|context| {
            let mut power = self.power.lock().expect("no panic");
            if power.now == Power::Running {
                return Poll::Ready(());
            }
            power.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn switch(&self, now: Power) {
        let waiting = {
            let mut power = self.power.lock().expect("no panic");
            power.now = now;
            std::mem::take(&mut power.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn power(&self) -> Power {
        self.power.lock().expect("no panic").now
    }

    pub(super) fn pause(&self) {
        let mut paused = self.paused.lock().expect("no panic");
        if self.power() == Power::Running {
            paused.0 = Some(Instant::now());
            self.switch(Power::Paused);
        }
    }

    /// Pauses the machine as soon as a certain call of the store has taken effect, or cancels that.
    pub(super) fn pause_at(&self, call: Option<&'static str>) {
        *self.pauses_at.lock().expect("no panic") = call;
    }

    pub(super) fn has_acted(&self, call: &'static str) {
        let mut pauses_at = self.pauses_at.lock().expect("no panic");
        if pauses_at.take_if(|at| *at == call).is_some() {
            self.pause();
        }
    }

    pub(super) fn resume(&self) {
        let mut paused = self.paused.lock().expect("no panic");
        if let Some(since) = paused.0.take() {
            paused.1 += since.elapsed();
        }
        if !self.is_dead() {
            self.switch(Power::Running);
        }
    }

    /// How long it was paused in total.
    pub(super) fn paused_for(&self) -> Duration {
        let (since, before) = *self.paused.lock().expect("no panic");
        before + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn die(&self) {
        self.switch(Power::Dead);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.power() == Power::Paused
    }

    pub(super) fn is_dead(&self) -> bool {
        self.power() == Power::Dead
    }

    pub(super) fn cut_from_platform(&self, is_cut: bool) {
        self.no_platform.store(is_cut, Relaxed);
    }

    pub(super) fn is_cut_from_platform(&self) -> bool {
        self.no_platform.load(Relaxed)
    }

    pub(super) fn cut_from_store(&self, is_cut: bool) {
        self.no_store.store(is_cut, Relaxed);
    }

    pub(super) fn is_cut_from_store(&self) -> bool {
        self.no_store.load(Relaxed)
    }

    pub(super) fn connection_refused(&self) -> TransportError {
        self.not_connected.fetch_add(1, Relaxed);
        TransportError::not_connected(io::Error::other("connection refused"))
    }
}
