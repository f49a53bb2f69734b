//! The rules for the ids and redirect URIs of digi.me contracts, in one place.
//!
//! `#[digime_contract]` applies them to literals at compile time, and the `digime` library to values at run time. Both
//! accept the same values and report the same errors.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod id;
mod redirect_uri;

pub use id::{IdError, check_id};
pub use redirect_uri::{RedirectUriError, check_redirect_uri, is_loopback};
