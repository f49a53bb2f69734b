//! The parts of a contract: two ids, a private key and a redirect URI.

mod credentials;
mod id;
mod private_key;
mod redirect_uri;

pub(crate) use credentials::Credentials;
pub use id::{ApplicationId, ContractId};
pub use private_key::{PrivateKey, PrivateKeyError};
pub use redirect_uri::RedirectUri;
