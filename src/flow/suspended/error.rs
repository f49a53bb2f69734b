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
    /// A later version of the library that defines the state wrote it.
    #[error(
        "the suspended flow's `{state}` was written by a later version of its library (record {version}): update that library on this machine"
    )]
    LaterRecord {
        /// The state.
        state: &'static str,
        /// The version of its record.
        version: u32,
    },
    /// It is in another state, or belongs to the other kind of contract.
    #[error(
        "the suspended flow is in the state `{found}`, not `{wanted}`: resume it as what it is"
    )]
    AnotherState {
        /// The state that it is in.
        found: String,
        /// The state that was wanted.
        wanted: &'static str,
    },
    /// It belongs to another contract.
    #[error(
        "the suspended flow belongs to the contract {found}, not {wanted}: resume it with the contract that it was begun under"
    )]
    AnotherContract {
        /// The contract that it belongs to, as its application id and contract id.
        found: String,
        /// The contract that was given.
        wanted: String,
    },
    /// It was changed, or the attached data has another type.
    #[error(
        "the suspended flow is damaged, or its attached data has another type: begin a new flow"
    )]
    Damaged,
    /// It was sealed under a key that was not given.
    #[error("the flow was sealed under the key {0:?}, which is not given: accept that key too")]
    UnknownKey(String),
    /// It is longer than 64 KiB when it is sealed.
    #[error(
        "the sealed flow is longer than 64 KiB, the limit for sealing and opening: attach less data to the flow, or park it with `ParkedFlows`"
    )]
    TooLong,
    /// The time that it was sealed for is over.
    #[error("the sealed flow has expired: begin a new flow")]
    Expired,
}
