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
//! ```
//! use digime::Error;
//! use digime::error::{RequestError, StoreError};
//!
//! /// Whether a background job should push again later.
//! fn is_worth_another_try(error: &Error) -> bool {
//!     match error.reason() {
//!         Error::Request(RequestError::NotSent { .. } | RequestError::AnswerLost { .. }) => true,
//!         Error::Store(StoreError::Busy | StoreError::TimedOut(_)) => true,
//!         _ => false,
//!     }
//! }
//! ```

pub(crate) mod any;

pub(crate) use any::Error;
pub use any::ExtensionError;

pub use digime_rules::{IdError, RedirectUriError};

pub use crate::callback::CallbackError;
pub use crate::contract::{PrivateKeyError, PrivateKeyFileError, SignerError};
pub use crate::flow::suspended::error::SuspendedError;
pub use crate::internal::InternalError;
pub use crate::platform::client::{BaseUrlError, ClientError};
pub use crate::platform::error::{Cause, Operation, PlatformTokenError, Refusal, RequestError};
pub use crate::postbox::ItemError;
pub use crate::store::error::StoreError;
