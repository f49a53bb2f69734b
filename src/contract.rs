//! The parts of a contract: two ids, a signer and a redirect URI.

mod credentials;
mod id;
mod private_key;
mod redirect_uri;
mod signer;

pub(crate) use credentials::Credentials;
pub use id::{ApplicationId, ContractId};
pub use private_key::{PrivateKey, PrivateKeyError, PrivateKeyFileError};
pub use redirect_uri::RedirectUri;
pub use signer::{Signer, SignerError};
