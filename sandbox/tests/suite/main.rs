//! The sandbox over real HTTP.

mod contracts;
mod draining;
mod faults;
mod import;
mod inbox;
mod pages;
mod raw;
mod strictness;
