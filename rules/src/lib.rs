//! The rules that the parts of a digi.me contract keep, in one place.
//!
//! `#[digime_contract]` applies them to literals while a program is compiled, and the `digime` library to values that
//! are read while it runs, so that both accept the same and say the same.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod id;
mod redirect_uri;

pub use id::{IdError, check_id};
pub use redirect_uri::{RedirectUriError, check_redirect_uri, is_loopback};
