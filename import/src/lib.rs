//! Push by import, for [`digime`]: an application pushes straight into a person's library, by digi.me's API 1.7.
//!
//! The person consents on a web page of digi.me, and needs no digi.me client. A push is in the person's library at once. The
//! consent has an end, which the platform says, and is renewed on the same sort of page.
//!
//! ```text
//! Unstarted --authorize--> AwaitingConsent<Verifier> --exchange_code--> Connected --push--> …
//!                                     ^                                 |      |
//!                                     '---------- reauthorize ----------'   Lapsed
//! ```
//!
//! A contract says by its kind that it has this flow. The calls come with the trait [`ImportFlow`]:
//!
//! ```
//! use digime::{digime_contract, ApplicationId, Callback, ContractId, Error, PostboxItem, PrivateKey, RedirectUri};
//! use digime_import::{Import, ImportFlow};
//!
//! #[digime_contract(kind = Import)]
//! #[derive(serde::Deserialize)]
//! struct Receipts {
//!     application_id: ApplicationId,
//!     contract_id: ContractId,
//!     private_key: PrivateKey,
//!     redirect_uri: RedirectUri,
//! }
//!
//! # async fn redirect(_: &url::Url) -> String { String::new() }
//! async fn run(receipts: Receipts) -> Result<(), Error> {
//!     let client = digime_import::client().build()?;
//!     let awaiting = receipts.flow(&client).authorize().await?;
//!     let called = redirect(awaiting.url()).await; // a page of digi.me, in the person's browser
//!
//!     let connected = awaiting.exchange_code(Callback::from_url(called)?).await?;
//!     connected.push(PostboxItem::file("receipt.pdf").account("customer-42")).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Which flow is for whom
//!
//! | | postbox (`digime`, API 1.5) | import (this package, API 1.7) |
//! | --- | --- | --- |
//! | the person needs | the digi.me app | a browser |
//! | a push lands | in a postbox, and in digi.me when the person opens it | in the person's library, at once |
//! | the application encrypts | each item, so that only the person can open it | nothing: the item is protected by TLS alone |
//! | a one-off contract | `once` | does not exist |
//! | the end of a consent | is not said | [`consent_expires_at`](Connected::consent_expires_at), and a renewal for the same person |
//! | a name of a file | arrives | does not arrive; put it into a reference or a tag |
//!
//! # What stays the same
//!
//! Everything around the flow is that of `digime`. A waiting flow is parked with
//! [`ParkedFlows`](digime::store::ParkedFlows), and
//! [`SharedTokens::receive_callback`](digime::store::SharedTokens::receive_callback) takes the callback of a web application in
//! one call. [`SharedTokens`](digime::store::SharedTokens) shares the tokens of a person between machines.
//! [`PostboxItem`](digime::PostboxItem) is what is pushed, with any source, progress and retries. `digime-outbox` delivers
//! through [`ConnectedUsers`](https://docs.rs/digime-outbox).
//!
//! # The end of a consent
//!
//! A consent has an end. [`lapsing_soon`] reports those that end soon, and
//! [`SharedTokens::lapsing`](digime::store::SharedTokens::lapsing) lists them. [`ImportFlow::reauthorize`] leads to the page on
//! which the person renews the consent. The connection keeps its place in the store, what the application attached, and what
//! waits in the outbox. When a consent has ended, a push fails with
//! [`Error::ConsentEnded`](digime::Error::ConsentEnded), the store keeps the connection, and [`ImportFlow::into_consent`] shows
//! that it is [`Lapsed`].
//!
//! [`end_connection`] deletes the person's data at digi.me and the connection here.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

mod agent;
mod authorization;
mod awaiting_consent;
mod calls;
mod connected;
mod consent;
mod deletion;
mod error;
#[cfg(test)]
mod examples;
mod kind;
mod lapsing;
mod onboarding;
mod options;
mod push;
mod session;
mod tokens;
mod unstarted;

pub use digime;

pub use kind::Import;
pub use onboarding::{OnboardingUrl, OnboardingUrlError, client};

pub use calls::ImportFlow;
// The compiler prints the paths of private traits in full.
#[doc(hidden)]
pub use calls::{
    CanAuthorize, CanAuthorizeWith, CanDeleteTheUser, CanExchangeTheCode, CanPush, CanPushMany,
    CanPushToAProvider, CanReauthorize, CanReauthorizeWith, CanRefresh, HasConsent, HasState,
    HasUrl, reasons,
};
pub use options::{ConsentOptions, PullOptions, RenewalOptions, SourcesScope};
pub use unstarted::Unstarted;

pub use awaiting_consent::AwaitingConsent;
pub use session::ReadingSession;

pub use connected::Connected;
pub use consent::{Consent, Lapsed};
pub use push::{FhirVersion, ProviderAccount};

pub use deletion::{ConnectionEnd, end_connection};
pub use lapsing::lapsing_soon;

pub use error::ImportError;

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
