//! Failures that no input explains.

use thiserror::Error;

/// A failure that no input explains: of the cryptographic library, or of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} failed, which no input explains: report it to the authors of digime")]
pub struct InternalError(pub(crate) &'static str);
