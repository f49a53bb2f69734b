use serde::{Deserialize, Serialize};

use super::grant::HoldsTokens;
use crate::platform::Tokens;

/// Tells one consent of a user from another that the same user gives: by the platform's id of it, and by when it was received. It is
/// no secret.
///
/// ```
/// use digime::tokens::{HoldsTokens, ReceivedConsent};
///
/// /// What a state that renews the consent of another state keeps of it.
/// fn renewed<S: HoldsTokens>(connected: &S) -> ReceivedConsent {
///     ReceivedConsent::of::<S>(&connected.record())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedConsent {
    id: String,
    /// In Unix milliseconds by the platform's clock.
    received_at: u64,
}

impl ReceivedConsent {
    /// The consent whose tokens a record holds.
    #[must_use]
    pub fn of<S: HoldsTokens>(record: &S::Record) -> Self {
        Self::new(S::consent(record).to_owned(), S::tokens(record))
    }

    pub(crate) fn new(id: String, tokens: &Tokens) -> Self {
        Self {
            id,
            received_at: tokens.consented_at(),
        }
    }
}
