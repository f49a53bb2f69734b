//! The errors, one type for each part of the library that can fail.
//!
//! [`Error`] gathers all of them. A message says what was wrong and what to do. It does not repeat its
//! [source](std::error::Error::source): print the whole chain with [`Error::report`], or with the error library of your
//! application.
//!
//! | error | raised by |
//! | --- | --- |
//! | [`IdError`], [`RedirectUriError`], [`PrivateKeyError`], [`PrivateKeyFileError`] | the parts of a contract |
//! | [`SignerError`] | a [`Signer`](crate::Signer), as the source of a [`RequestError`] |
//! | [`ClientError`] | [`ClientBuilder::build`](crate::ClientBuilder::build) |
//! | [`CallbackError`] | a callback, when it is read and when a flow takes it |
//! | [`ItemError`] | an item that can't be read or sent |
//! | [`RequestError`] | a request to the platform, with the [`Operation`] that it was for |
//! | [`SuspendedError`] | a suspended flow that can't be written, opened or resumed |
//! | [`StoreError`] | a store |
//!
//! A program that decides by itself what to do next asks for the class of an error:
//!
//! ```
//! use digime::Error;
//!
//! fn next_step(error: &Error) -> &'static str {
//!     if error.is_transient() {
//!         "try again later"
//!     } else if error.needs_consent() {
//!         "ask the user to connect again"
//!     } else if error.is_config() {
//!         "call the operator, then try again"
//!     } else {
//!         "give up"
//!     }
//! }
//! ```

pub(crate) mod any;
mod class;
mod outcome;

pub(crate) use any::Error;
pub use any::ExtensionError;
pub(crate) use outcome::outcome;

pub use digime_rules::{IdError, RedirectUriError};

pub use crate::callback::CallbackError;
pub use crate::contract::{PrivateKeyError, PrivateKeyFileError, SignerError};
pub use crate::flow::suspended::error::SuspendedError;
pub use crate::internal::InternalError;
pub use crate::platform::client::{BaseUrlError, ClientError};
pub use crate::platform::error::{
    Cause, Operation, PlatformTokenError, Refusal, RequestError, SentAs,
};
pub use crate::postbox::ItemError;
pub use crate::store::error::StoreError;
