use thiserror::Error;

/// Why a suspended flow does not come back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SuspendedError {
    /// A later version of this library wrote it.
    #[error(
        "the suspended flow was written by a later version of digime (format {0}): update digime on this machine"
    )]
    LaterVersion(u32),
    /// It is of another state, or of the other kind of contract.
    #[error(
        "the suspended flow is in the state `{found}`, not `{wanted}`: resume it as what it is"
    )]
    AnotherState {
        /// The state that it is in.
        found: String,
        /// The state that was wanted.
        wanted: &'static str,
    },
    /// It is of another contract.
    #[error(
        "the suspended flow is of the contract {found}, not {wanted}: resume it with the contract that it was begun under"
    )]
    AnotherContract {
        /// The contract that it is of, as its application id and contract id.
        found: String,
        /// The contract that was given.
        wanted: String,
    },
    /// It is not what was written, or what is attached to it is of another type.
    #[error(
        "the suspended flow is damaged, or what is attached to it is of another type: begin a new flow"
    )]
    Damaged,
    /// It was sealed under a key that is not given.
    #[error("the flow was sealed under the key {0:?}, which is not given: accept that key too")]
    UnknownKey(String),
    /// It is longer than 64 KiB when it is sealed.
    #[error(
        "the sealed flow is longer than 64 KiB, the most that is sealed and opened: attach less to the flow, or park it in a `FlowStore`"
    )]
    TooLong,
    /// It was sealed for a time that is over.
    #[error("the sealed flow has expired: begin a new flow")]
    Expired,
}
