//! The library against the sandbox, over real HTTP.

mod attribute;
mod callbacks;
mod connections;
mod dropped_futures;
mod dyn_stores;
mod examples;
mod fault_table;
mod faults;
mod faulty_stores;
mod flows;
mod lying_platform;
mod misuse;
mod promises;
mod pushes;
mod refusals;
mod renewals;
mod requests;
mod set_up;
mod signers;
mod slow_line;
mod suspended;
mod tokens;
mod transports;
