//! The simulation of `digime`, with the flow of this package: `src/simulation/mod.rs` in `digime` says how it works. Here a
//! consent has an end, is renewed for the same person, and is ended by the application.

#![allow(
    clippy::incompatible_msrv,
    reason = "tests of `digime` run these files too, where this is not asked for"
)]

mod api;
mod endings;
mod renewals;
mod wire;

#[path = "../../../src/simulation/application.rs"]
mod application;
#[path = "../../../src/simulation/host.rs"]
mod host;
#[path = "../../../src/simulation/invariants.rs"]
mod invariants;
#[path = "../../../src/simulation/keys.rs"]
mod keys;
#[path = "../../../src/simulation/machine.rs"]
mod machine;
#[path = "../../../src/simulation/platform.rs"]
mod platform;
#[path = "../../../src/simulation/runs.rs"]
mod runs;
#[path = "../../../src/simulation/schedule.rs"]
mod schedule;
#[path = "../../../src/simulation/store.rs"]
mod store;
#[path = "../../../src/simulation/trace.rs"]
mod trace;
#[path = "../../../src/simulation/weather.rs"]
mod weather;
#[path = "../../../src/simulation/world.rs"]
mod world;
