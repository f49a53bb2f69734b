//! Push data into a person's private digi.me, with a flow whose mistakes do not compile.
//!
//! digi.me lets a business push data, a receipt or a lab result, into a person's private digi.me, through a *postbox*
//! that only the two can open. To get one, an application establishes a session, sends the person's digi.me client a
//! link, and is called back with the postbox. [`#[digime_contract]`](digime_contract) on the struct that holds the
//! contract's ids and key makes that a [`Flow`], which offers in each state just the calls that are right there:
//!
//! ```text
//! once:     Unstarted --create_postbox--> AwaitingCallback<NoVerifier> --receive_postbox--> PostboxReady --push--> …
//! ongoing:  Unstarted --create_postbox--> AwaitingCallback<Verifier>   --exchange_code----> Authorized   --push--> …
//! ```
//!
//! ```no_run
//! use digime::{digime_contract, ApplicationId, Callback, Client, ContractId, PostboxItem, PrivateKey, RedirectUri};
//!
//! #[digime_contract(ongoing)]
//! #[derive(Clone, serde::Deserialize)]
//! struct Receipts {
//!     application_id: ApplicationId,
//!     contract_id: ContractId,
//!     #[digime(private_key)]
//!     signing_key: PrivateKey,
//!     redirect_uri: RedirectUri,
//!     shop: String,
//! }
//!
//! # async fn run(receipts: Receipts, called: String) -> Result<(), digime::Error> {
//! let client = Client::new();
//! let flow = receipts.flow(&client);
//! let session = flow.establish_session().await?;
//! let awaiting = flow.create_postbox(session).await?;
//! println!("open {}", awaiting.url());
//!
//! let callback = Callback::from_url(called)?;
//! let authorized = awaiting.exchange_code(callback).await?;
//! let delivery = authorized.push(PostboxItem::file("receipt.pdf").account("customer-42").tag("receipt")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Pushing before there is a postbox is a compile error that says so:
//!
//! ```compile_fail
//! # use digime::*;
//! # async fn run<C: OngoingContract>(awaiting: Flow<C, AwaitingCallback<Verifier>>) -> Result<(), Error> {
//! awaiting.push(PostboxItem::file("receipt.pdf")).await?; // cannot push yet: `AwaitingCallback<Verifier>` has no postbox
//! # Ok(())
//! # }
//! ```
//!
//! Secrets (keys, verifiers, tokens, session keys) have a redacted `Debug`, no `Display`, and are wiped when dropped.
//! The buffers of the HTTP library, which see a request's token, are not.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

// Lets the attribute's `::digime` mean this crate in its own tests.
#[cfg(test)]
extern crate self as digime;

mod callback;
mod client;
mod contract;
mod error;
mod excerpt;
mod flow;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod pkce;
mod platform;
mod postbox;
mod random;
pub mod roles;
mod scope;
mod secret;
mod session;
#[cfg(test)]
mod simulation;
pub mod store;
mod suspended;
mod unix_time;
#[cfg(test)]
mod vectors;

#[doc(hidden)]
pub mod __private;

pub use digime_macros::digime_contract;
pub use digime_rules::{InvalidId, InvalidRedirectUri};
pub use url::Url;

pub use callback::{Callback, CallbackError};
pub use client::{Client, ClientBuilder, InvalidClient};
pub use contract::{
    ApplicationId, Contract, ContractId, InvalidPrivateKey, Kind, Once, OnceContract, Ongoing,
    OngoingContract, PrivateKey, RedirectUri,
};
pub use error::{Error, Internal, Operation, Refusal, RequestError};
pub use flow::reasons;
pub use flow::{
    Authorized, AwaitingCallback, CreatePostbox, Flow, ManyProgress, NoVerifier, PostboxReady,
    PushMany, Pushed, Rejected, Unstarted, Verifier,
};
pub use link::import_url;
pub use platform::{AccessToken, PlatformTokenError};
pub use postbox::{Delivery, DeliveryStatus, ItemError, PostboxItem, Progress};
pub use scope::{Scope, TimeRange, Unit};
pub use session::Session;
pub use store::{FlowStore, SharedTokens, StoreError, TokenStore};
pub use suspended::{Durable, OfContract, Reaches, SealingKeys, Suspended, SuspendedError};

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
