//! A simulation of the library in use: several machines, users and stores, against a model of the platform, under
//! schedules that a seed generates.
//!
//! The real library runs against a simulated environment. Tokio's time is paused: it advances only when all tasks wait, so
//! years pass in seconds. A run is
//!
//! 1. a [`World`] with a [model of the platform](platform), a [store](store) and a [`weather`], which decides the delay
//!    and the fault of each request and each call of the store,
//! 2. some [machines](machine), which can be paused, cut off, killed and replaced, and whose clocks may be wrong,
//! 3. a [schedule] of steps: users connect, an [`application`] pushes, futures are dropped, consents end,
//! 4. the [`invariants`], which compare the results of the calls with what the platform and the store know, at any time and
//!    once more when all faults have ended.
//!
//! A run that fails prints its seed and its log. `DIGIME_SIMULATION_SEED=…` makes that run again,
//! `DIGIME_SIMULATION_RUNS=…` or `DIGIME_SIMULATION_SECONDS=…` says how many more runs to make, beginning at a random seed.
//! Without them the runs begin at seed 0.
//!
//! A seed decides the steps, the faults and the pauses between attempts. The library's ids and signatures are random in
//! each run, and nothing depends on them. The system decides two things: when a task of tokio's blocking pool ends among the
//! events of the same instant (the library asks there whether a stalled upload makes progress), and the date on which a run
//! begins. So a seed repeats the same run, with the same log, as long as the library and this folder do not change. A test
//! compares some runs.
//!

mod application;
mod host;
mod invariants;
mod machine;
mod platform;
mod schedule;
mod store;
mod trace;
mod weather;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt;

use application::Users;
use host::Host;
use invariants::Book;
use platform::{Answer, Platform, Request};
use store::Records;
use trace::Texts;
use weather::{Passage, Weather};

/// How long runs are made by default.
const DEFAULT_SECONDS: u64 = 45;

/// What the machines share.
struct World {
    state: Mutex<State>,
    begun: Instant,
    base: SystemTime,
    texts: Texts,
    is_over: AtomicBool,
}

struct State {
    weather: Weather,
    platform: Platform,
    records: Records,
    users: Users,
    book: Book,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The time at the platform.
    fn time(&self) -> SystemTime {
        self.base + self.elapsed()
    }

    fn millis(&self) -> u64 {
        crate::unix_time::millis(self.time())
    }

    fn log(&self, line: impl Into<String>) {
        let now = self.elapsed();
        let line = format!("{:>10.3}  {}", now.as_secs_f64(), line.into());
        self.lock().book.log.push(line);
    }

    fn violation(&self, what: String) {
        self.log(format!("VIOLATION {what}"));
        self.lock().book.violations.push(what);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Notes that a machine has died, so what only it knew is lost.
    fn machine_is_gone(&self, host: &Host) {
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
    fn keys_are_missing(&self, host: &Host) {
        let State {
            platform, records, ..
        } = &mut *self.lock();
        let is_kept = |token: &str| records.hold(token);
        platform.excuse(host.id, "the platform's keys were missing", is_kept);
    }
}

impl State {
    fn arrived(&mut self, request: &Request, passage: &Passage, now: u64) -> Option<Answer> {
        let allowances = &mut self.users.refreshes;
        self.platform
            .arrived(request, &passage.fault, passage.echoes, now, allowances)
    }
}

/// The result of a run.
struct Outcome {
    violations: Vec<String>,
    log: Vec<String>,
    calls: u64,
    requests: usize,
}

/// Makes the run of a seed.
fn run(seed: u64) -> Outcome {
    // The library's pauses between attempts have jitter, which comes from here.
    fastrand::seed(seed);
    let texts = Texts::default();
    let subscriber = tracing_subscriber::registry().with(texts.clone());
    let _collecting = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(schedule::run(seed, texts))
}

/// The next whole day, so that no session has ended by the system's clock when the run begins.
fn base() -> SystemTime {
    let day = 24 * 60 * 60;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs((now.as_secs() / day + 1) * day)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_promises_hold_under_generated_schedules() {
    let seed = setting("DIGIME_SIMULATION_SEED");
    let runs = setting("DIGIME_SIMULATION_RUNS").or(seed.map(|_| 1));
    let seconds = setting("DIGIME_SIMULATION_SECONDS");
    let limit = match (runs, seconds) {
        (_, Some(seconds)) => Duration::from_secs(seconds),
        (Some(_), None) => Duration::MAX,
        (None, None) => Duration::from_secs(DEFAULT_SECONDS),
    };
    // The suite makes the same runs each time, unless more are asked for.
    let first = match (seed, runs.or(seconds)) {
        (Some(seed), _) => seed,
        (None, Some(_)) => u64::from(rand::random::<u32>()),
        (None, None) => 0,
    };
    println!("simulation: the first seed is {first}");
    let begun = std::time::Instant::now();
    let (mut made, mut calls, mut requests) = (0, 0, 0);
    while runs.is_none_or(|runs| made < runs) && begun.elapsed() < limit {
        let seed = first + made;
        let outcome = run(seed);
        made += 1;
        calls += outcome.calls;
        requests += outcome.requests;
        assert!(
            outcome.violations.is_empty(),
            "a promise was broken in run {made} after {:?}; DIGIME_SIMULATION_SEED={seed} makes the run again\n{}\n\n{}",
            begun.elapsed(),
            outcome.log.join("\n"),
            outcome.violations.join("\n"),
        );
    }
    println!(
        "simulation: {made} runs, {calls} calls, {requests} requests in {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_seed_makes_the_same_run_again() {
    for seed in 0..10 {
        let [one, other] = [run(seed), run(seed)];
        assert_eq!(one.log, other.log, "seed {seed}");
    }
}
