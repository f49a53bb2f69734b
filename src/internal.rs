//! Failures that no valid input should cause.

use thiserror::Error;

/// A failure that no valid input should cause, in the cryptographic library or in this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} failed, which no input explains: report it to the authors of digime")]
pub struct InternalError(pub(crate) &'static str);
