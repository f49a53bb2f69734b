use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why a sandbox can't start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address can't be used.
    #[error("can't listen on {address}")]
    #[non_exhaustive]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// An I/O error that is not about the address.
    #[error("can't start")]
    Io(#[from] io::Error),
    /// The public URL is not an origin.
    #[error(
        "the public URL `{0}` is not `http://` or `https://`, a host and possibly a port: write it like `http://sandbox:8700`"
    )]
    PublicUrl(String),
    /// The id of an application or contract is empty.
    #[error("a contract has an empty `{0}`")]
    EmptyId(&'static str),
    /// A contract has an id by which the program's output names one of the contracts that every sandbox has.
    #[error("a contract can't have the id `{0}`, which names one of the sandbox's own contracts")]
    ReservedId(String),
    /// Two contracts have the same id.
    #[error("two contracts have the id `{0}`")]
    DuplicateContract(String),
    /// The ids of an application and a contract, joined by `_`, are the same for two contracts.
    #[error(
        "two contracts have the client id `{0}`: change the id of an application or a contract"
    )]
    DuplicateClient(String),
    /// A redirect URI can't be registered.
    #[error("the redirect URI `{uri}` of the contract `{contract_id}` {why}")]
    #[non_exhaustive]
    RedirectUri {
        /// The contract's id.
        contract_id: String,
        /// The redirect URI.
        uri: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A private key can't be read.
    #[error("the private key of the contract `{contract_id}` {why}")]
    #[non_exhaustive]
    PrivateKey {
        /// The contract's id.
        contract_id: String,
        /// What is wrong with it.
        why: &'static str,
    },
}
