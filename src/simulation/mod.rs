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
//! Another package with a flow of its own, such as `digime-import`, runs the same simulation in an integration test, whose root
//! names these files. What differs between the flows is in [`api`], and that test has its own. So the shared files name this
//! crate as others do, `digime`, and use its public API alone.

mod api;
mod application;
mod host;
mod invariants;
mod keys;
mod machine;
mod platform;
mod runs;
mod schedule;
mod store;
mod trace;
mod weather;
mod world;
