//! A local digi.me: the platform, over real HTTP, and the user's client that answers deep links.
//!
//! It is written from the protocol and shares no code with the `digime` library, so that each checks the other. Any program
//! that speaks the protocol can use it. It verifies what the platform would: the signature, algorithm, nonce and timestamp of
//! each request token, the redirect URI, the challenge against the verifier, and that codes and sessions are used once. Pushed
//! items are decrypted and listed in the [inbox](Sandbox::inbox). Mistakes of a program are refused and noted in the
//! [violations](Sandbox::violations).
//!
//! ```
//! use digime_sandbox::Sandbox;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start().await?;
//! println!("{} is ready", sandbox.base_url());
//! assert!(sandbox.inbox().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! It plays both versions of the platform's API: 1.5, with postboxes, and 1.7, with imports.
//!
//! [`Sandbox::inject`] makes it misbehave as a platform or a network may. [`Builder::contract`] registers contracts of
//! further applications. [`Sandbox::phone_url`] and [`Sandbox::inbox_page_url`] are pages for a person in a browser.
//!
//! The feature `program`, which is on by default, is for the program `digime-sandbox`. The library does not need it.

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

mod api;
mod bad_link;
mod builder;
mod clock;
mod content;
mod contract;
mod descriptor;
mod fault;
mod fault_request;
mod import;
mod keys;
mod latest;
mod new_contract;
mod nonces;
mod platform;
mod push;
mod random;
mod refusal;
mod reply;
mod request_token;
mod sandbox;
mod server;
mod start_error;
mod user_client;

pub use bad_link::BadLink;
pub use builder::Builder;
pub use contract::{Contract, Contracts, Kind};
pub use fault::{Endpoint, Fault};
pub use new_contract::NewContract;
pub use platform::{ProviderPush, Received};
pub use reply::{Decision, Reply};
pub use sandbox::Sandbox;
pub use start_error::StartError;

/// Compiles the program of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
