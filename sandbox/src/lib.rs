//! A local digi.me: the platform, over real HTTP, and the user's client that answers deep links.
//!
//! It is made from the protocol and not from the `digime` library, so that the one checks the other; any program that
//! speaks the protocol can use it. It verifies what the platform would: signature and algorithm of each request token,
//! that its nonce was never seen before, its timestamp, the redirect URI, the challenge against the verifier, that
//! codes and sessions serve once. What is pushed is decrypted, and listed in the [inbox](Sandbox::inbox). What a
//! program does wrong is refused and noted in the [violations](Sandbox::violations).
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
//! It can be told to [misbehave](Sandbox::inject), as a platform or a network may.

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

mod contract;
mod fault;
mod keys;
mod platform;
mod push;
mod refusal;
mod request_token;
mod sandbox;
mod server;
mod user_client;

pub use contract::{Contract, Contracts};
pub use fault::{Endpoint, Fault};
pub use platform::Received;
pub use sandbox::{Builder, Sandbox};
pub use user_client::{BadLink, Decision};

/// Compiles the program of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
