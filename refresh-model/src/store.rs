//! The store: one user's record, and the calls that change it. Each call is atomic.

use crate::platform::Token;

/// The version of a record. Real versions are random and never come back. Here they are small numbers, and a number is
/// given out again once nobody remembers it (see [`renumber`](crate::model::State::renumber)), so that states stay few.
pub type Version = u8;

/// What the store holds for the user.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Record {
    /// The version that a conditional call has to name.
    pub version: Version,
    /// The refresh token.
    pub token: Token,
    /// `Sent`: whoever wrote this version may have sent the token to the platform. Otherwise `Idle`.
    pub sent: bool,
}

/// A conditional store call that changes something.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Write {
    /// Replaces this version by a new record. A repetition succeeds.
    Replace(Version, Record),
    /// Removes the record if it has this version.
    Remove(Version),
}

/// Carries a write out, and says whether the store reports success.
pub fn write(store: &mut Option<Record>, write: Write) -> bool {
    let version = store.map(|record| record.version);
    match write {
        Write::Replace(old, new) if version == Some(old) => {
            *store = Some(new);
            true
        }
        Write::Replace(_, new) => version == Some(new.version),
        Write::Remove(old) if version == Some(old) => {
            *store = None;
            true
        }
        Write::Remove(_) => false,
    }
}
