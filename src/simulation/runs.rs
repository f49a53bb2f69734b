//! Makes runs, and fails if a promise is broken in one.

use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;

use super::api::DEFAULT_SECONDS;
use super::schedule;
use super::trace::Texts;

/// The result of a run.
pub(super) struct Outcome {
    pub violations: Vec<String>,
    pub log: Vec<String>,
    pub calls: u64,
    pub requests: usize,
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
