//! Suspended flows as strings that only the application can read or change.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::sealing_keys::{Purpose, SealingKeys};
use super::{Durable, Suspended, SuspendedError};
use crate::error::Error;

const FLOW: Purpose<'_> = Purpose {
    prefix: "digime1",
    place: "",
};

/// The longest sealed flow in bytes. Browsers keep cookies of 4 KiB, and servers take URLs and headers of 8 to 64 KiB, so
/// no request can have carried a longer one.
const LONGEST: usize = 64 * 1024;

/// The text that is sealed.
#[derive(Serialize, Deserialize)]
struct SealedFlow {
    /// Unix time in milliseconds.
    expires: u64,
    flow: String,
}

impl<C, S: Durable, D> Suspended<C, S, D> {
    /// Seals the flow into a string of letters, digits, `-`, `_` and `.`, for a cookie or a URL parameter. Nobody without
    /// the key can read or change it (AES-256-GCM-SIV, RFC 8452).
    ///
    /// It opens for `valid_for`, and not after the flow's session. The machine that seals it writes the end by its own
    /// clock, and the machine that opens it compares the end with its own, so the two clocks must agree.
    ///
    /// A sealed flow can be opened more than once, for example when a request is replayed. The platform accepts its code
    /// once. If the application must not see a callback twice, use [`ParkedFlows`](crate::store::ParkedFlows).
    ///
    /// ```
    /// use std::time::Duration;
    /// use digime::{AwaitingCallback, Error, Flow, SealingKeys, Verifier};
    ///
    /// fn cookie<C>(awaiting: Flow<C, AwaitingCallback<Verifier>>, keys: &SealingKeys) -> Result<String, Error> {
    ///     awaiting.suspend().with("customer-42").seal(keys, Duration::from_secs(15 * 60))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Suspended`] if the attached data can't be serialized, or is so long that the string would be longer than
    /// 64 KiB. Browsers keep cookies of 4 KiB.
    pub fn seal(&self, keys: &SealingKeys, valid_for: Duration) -> Result<String, Error>
    where
        D: Serialize,
    {
        let valid_for = self.time_left().unwrap_or(Duration::MAX).min(valid_for);
        let flow = SealedFlow {
            expires: keys
                .now()
                .saturating_add(u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX)),
            flow: self.to_json()?,
        };
        let flow = serde_json::to_vec(&flow).map_err(|_| SuspendedError::Damaged)?;
        let sealed = keys.seal(FLOW, flow)?;
        if sealed.len() > LONGEST {
            return Err(SuspendedError::TooLong.into());
        }
        Ok(sealed)
    }

    /// Opens a string that [`seal`](Self::seal) made.
    ///
    /// ```
    /// use digime::error::SuspendedError;
    /// use digime::{AwaitingCallback, SealingKeys, Suspended, Verifier};
    ///
    /// type Waiting<C> = Suspended<C, AwaitingCallback<Verifier>, String>;
    ///
    /// fn read<C>(cookie: &str, keys: &SealingKeys) -> Result<Waiting<C>, SuspendedError> {
    ///     Suspended::unseal(cookie, keys)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SuspendedError`] says what is wrong: it is damaged, expired, of another state, sealed under an unknown key, or
    /// longer than 64 KiB.
    pub fn unseal(sealed: &str, keys: &SealingKeys) -> Result<Self, SuspendedError>
    where
        D: DeserializeOwned,
    {
        if sealed.len() > LONGEST {
            return Err(SuspendedError::TooLong);
        }
        let flow = keys.open(FLOW, sealed)?;
        let flow: SealedFlow =
            serde_json::from_slice(&flow).map_err(|_| SuspendedError::Damaged)?;
        if flow.expires <= keys.now() {
            return Err(SuspendedError::Expired);
        }
        Self::from_json(&flow.flow)
    }
}
