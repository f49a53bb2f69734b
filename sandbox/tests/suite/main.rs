//! The sandbox over real HTTP.

mod draining;
mod raw;
mod strictness;
