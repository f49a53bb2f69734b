//! A web shop whose customers save their receipts to digi.me. See README.md for what it shows and where to begin.

#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    reason = "it is a program: its library part is for its tests"
)]

pub mod api;
mod app;
pub mod config;
mod db;
#[cfg(feature = "demo")]
pub mod demo;
mod digi_me;
mod notices;
mod page;
mod receipts;
mod routes;
mod session;
pub mod tenant;
mod turns;
mod web;

pub use api::Api;
pub use app::Shop;
pub use config::Config;
pub use digi_me::{ImportContract, PostboxContract};
