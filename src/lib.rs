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
//!     private_key: PrivateKey,
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
//!
//! # tokio
//!
//! The calls need a [tokio](https://docs.rs/tokio) 1 runtime with I/O and time, such as `#[tokio::main]` makes. Some of their
//! work continues in tasks of that runtime, so let it live as long as the program. Outside of one a call panics with tokio's
//! words, "there is no reactor running, must be called from the context of a Tokio 1.x runtime". A program on another runtime
//! can enter a tokio runtime of its own around its calls, as the crate `async-compat` does.
//!
//! # Where things are
//!
//! The names that every program uses are at the root. The rest has modules of its own:
//!
//! | module | what it has |
//! | --- | --- |
//! | [`error`] | the errors, which [`Error`] gathers |
//! | [`store`] | flows that wait for their callback and tokens that machines share, in a database |
//! | [`push`] | progress, and pushes of many items |
//! | [`transport`] | what sends the requests, if it is not the network as digime sets it up |
//! | [`request`] | requests that a library adds |
//! | [`scope`] | limits of a session |
//! | [`extend`] | states and calls that a library adds, with [`reasons!`], [`calls!`] and [`wrong_calls!`] |
//! | [`kind`], [`suspended`], [`roles`], [`future`] | what generic code and contracts written by hand name |
//!
//! # Crate features
//!
//! None is on by default, and none changes what the others do.
//!
//! - `sqlite`: [`store::SqliteStore`](store), for the processes of one machine. It compiles SQLite.
//! - `postgres`: `store::PostgresStore`, for many machines.
//! - `redis`: `store::RedisStore`, for many machines. `redis-tls` adds `rediss://`, and `redis-cluster` a Redis Cluster.
//! - `metrics`: counters and histograms of calls and requests, for the recorder of the crate `metrics` 0.24 that the application
//!   installs. `describe_metrics` gives their meanings.
//! - `conformance`: `store::conformance`, the tests that a store of your own has to pass.
//!
//! # Dependencies that are part of the API
//!
//! [`url`], [`bytes`], [`zeroize`] and [`macro@async_trait`] are re-exported, [`store`] re-exports the database library of each
//! store, and [`transport`] what it takes from `http`, `http-body` and `tower`. [`ClientBuilder::http_settings`] and
//! [`ClientBuilder::http_client`] take types of `reqwest` 0.13. A new major version of one of them is a new major version of
//! this crate.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

// Lets the attribute's `::digime` mean this crate in its own tests.
#[cfg(test)]
extern crate self as digime;

mod callback;
mod chain;
mod clock;
mod contract;
pub mod error;
mod excerpt;
mod flow;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod internal;
mod link;
#[cfg(digime_bench)]
#[doc(hidden)]
pub mod measured;
mod observe;
mod pkce;
mod platform;
mod postbox;
mod random;
pub mod roles;
pub mod scope;
mod secret;
#[cfg(test)]
mod simulation;
pub mod store;
mod unix_time;
#[cfg(test)]
mod vectors;

#[doc(hidden)]
pub mod __private;

pub use async_trait::async_trait;
pub use bytes;
pub use url;
pub use zeroize;

pub use digime_macros::digime_contract;

pub use contract::{ApplicationId, ContractId, PrivateKey, RedirectUri, Signer};
pub use flow::contract::{Contract, OnceContract, OngoingContract};
pub use platform::client::{Client, ClientBuilder};

pub use flow::{AwaitingCallback, NoVerifier, Verifier};
pub use flow::{Flow, Session, Unstarted};

pub use callback::Callback;
pub use flow::{Authorized, PostboxReady};
pub use platform::AccessToken;

pub use link::import_url;
pub use postbox::{Delivery, DeliveryStatus, PostboxItem};

pub use flow::suspended::{SealingKeys, Suspended};

pub use error::any::Error;
pub use flow::Rejected;
#[cfg(feature = "metrics")]
pub use observe::numbers::describe_metrics;

#[doc(hidden)]
pub use flow::reasons;

/// The kinds of contracts, for code that is generic over them or implements [`Contract`] by hand.
pub mod kind {
    pub use crate::flow::contract::{FlowKind, Kind, Once, Ongoing};
}

/// What libraries need that bring states and calls of their own: [`reasons!`], [`calls!`] and [`wrong_calls!`] too.
pub mod extend {
    pub use crate::flow::call;
    pub use crate::flow::extension::explained::{Explained, Offers, WrongCall};
    pub use crate::flow::extension::{Call, ExtensionState};
}

/// Progress, and pushes of many items at a time.
pub mod push {
    pub use crate::flow::{ManyProgress, PushMany, Pushed, Pushes};
    pub use crate::postbox::{Descriptor, Progress};
}

/// What sends the requests to the platform: the application's own HTTP client, a `tower` service, or anything else.
///
/// | you have | give it to |
/// | --- | --- |
/// | a proxy, certificates, a user agent | [`ClientBuilder::http_settings`] |
/// | an HTTP client whose connections are shared | [`ClientBuilder::http_client`] |
/// | a `tower` service | [`ClientBuilder::service`] |
/// | a platform for a test, or something of your own | [`ClientBuilder::transport`] |
/// | something that sees or changes each attempt | [`ClientBuilder::layer`] |
pub mod transport {
    pub use crate::platform::transport::{
        Attempt, Body, Transport, TransportError, TransportService,
    };

    // A re-export of whole crates would bring other types of names such as `Error` into view, and the compiler would print
    // such names with their paths.
    /// What a transport takes from the crate `http`.
    pub mod http {
        pub use ::http::{
            Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
            Uri,
        };
    }

    /// What a transport takes from the crate `http-body`.
    pub mod http_body {
        pub use ::http_body::{Body, Frame, SizeHint};
    }

    /// What layers and services take from `tower`.
    pub mod tower {
        pub use ::tower_layer::Layer;
        pub use ::tower_service::Service;
    }
}

/// Requests that this library does not have, sent as its own are.
pub mod request {
    pub use crate::pkce::CodeVerifier;
    pub use crate::platform::request::{Answer, Request};
}

/// The tokens of a user's consent, for libraries whose states have them, and for code that is generic over such states.
pub mod tokens {
    pub use crate::flow::grant::{
        AwaitsCode, Grant, HoldsTokens, TokenContract, TokenKind, exchange_code, refresh,
    };
    pub use crate::flow::received_consent::ReceivedConsent;
    pub use crate::platform::{IssuedTokens, TokenAnswer, Tokens};
}

/// The futures that have a name.
pub mod future {
    pub use crate::flow::CreatePostbox;
}

/// What code that is generic over [`Suspended`] flows needs to know of their states and contracts.
pub mod suspended {
    pub use crate::flow::suspended::{
        AnyFlow, AnySuspended, Durable, OfContract, Parkable, Reaches, Resuming, SuspendedHead,
    };
}

/// Compiles the programs of the README and of the guides.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/contracts.md")]
    struct Contracts;

    #[doc = include_str!("../docs/applications.md")]
    struct Applications;
}
