//! A library that extends `digime` through its public API: the example of `docs/extending.md`.

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

pub mod attempts;
pub mod checkup;
pub mod review;
