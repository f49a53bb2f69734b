//! A consent that lasts, and the tokens for it.

/// A consent under a contract that lasts, and what a code or token is for.
#[derive(Clone)]
pub(crate) struct Grant {
    pub consent_id: String,
    pub contract_id: String,
    pub place: Place,
    /// When the user gave it, in Unix milliseconds.
    pub since: u64,
}

/// To where a consent lets an application push.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The postbox with this id.
    Postbox(String),
    /// The library of the user with this id.
    Library(String),
}

impl Place {
    /// The user of a library.
    pub(crate) fn user_id(&self) -> Option<&str> {
        match self {
            Self::Library(user_id) => Some(user_id),
            Self::Postbox(_) => None,
        }
    }
}

/// The tokens that answer a code or a refresh token. Times are Unix times in milliseconds.
pub(crate) struct Issued {
    pub grant: Grant,
    pub access_token: String,
    pub access_expiry: u64,
    pub refresh_token: String,
    pub refresh_expiry: u64,
}
