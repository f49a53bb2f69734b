//! Suspended flows as texts that nobody else reads or changes.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::record::LONGEST_SHOWN;
use super::{Durable, Suspended, SuspendedError};
use crate::clock::Clock;
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::internal::InternalError;

/// What a sealed flow begins with: what it is, and in which format.
const PREFIX: &str = "digime1";

/// The longest sealed flow in bytes. Browsers keep cookies of 4 KiB, and servers take URLs and headers of 8 to 64 KiB, so
/// that a longer one came in no request.
const LONGEST: usize = 64 * 1024;

/// The keys under which flows are sealed: one that seals, and those before it, which still open.
///
/// A key is 32 random bytes, as `openssl rand -base64 32` makes them, and has an id that tells it from the others. To
/// change keys, give the new one an id of its own and [accept](Self::accept) the old one until what was sealed under it
/// has expired.
///
/// ```
/// use digime::SealingKeys;
///
/// # fn from_vault(_: &str) -> [u8; 32] { [7; 32] }
/// let keys = SealingKeys::new("2026-11", from_vault("2026-11")).accept("2026-05", from_vault("2026-05"));
/// ```
pub struct SealingKeys {
    current: SealingKey,
    old: Vec<SealingKey>,
}

struct SealingKey {
    id: String,
    key: Option<RandomizedNonceKey>,
}

/// What is inside.
#[derive(Serialize, Deserialize)]
struct SealedFlow {
    /// Unix time in milliseconds.
    expires: u64,
    flow: String,
}

impl SealingKeys {
    /// The key that seals.
    #[must_use]
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Self {
        Self {
            current: SealingKey::new(id.into(), key),
            old: Vec::new(),
        }
    }

    /// Another key that opens.
    #[must_use]
    pub fn accept(mut self, id: impl Into<String>, key: [u8; 32]) -> Self {
        self.old.push(SealingKey::new(id.into(), key));
        self
    }

    fn find(&self, id: &str) -> Option<&SealingKey> {
        std::iter::once(&self.current)
            .chain(&self.old)
            .find(|key| key.id == id)
    }
}

impl SealingKey {
    fn new(id: String, key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self {
            id,
            key: RandomizedNonceKey::new(&AES_256_GCM_SIV, &*key).ok(),
        }
    }

    /// The part of a sealed flow that can be read, and not changed: what it is, and under which key.
    fn head(&self) -> String {
        format!("{PREFIX}.{}", BASE64_URL_SAFE_NO_PAD.encode(&self.id))
    }

    fn seal(&self, inside: Vec<u8>) -> Result<String, InternalError> {
        const FAILED: InternalError = InternalError("sealing a flow");
        let key = self.key.as_ref().ok_or(FAILED)?;
        let head = self.head();
        let mut sealed = inside;
        let nonce = key
            .seal_in_place_append_tag(Aad::from(&head), &mut sealed)
            .map_err(|_| FAILED)?;
        let body = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(body)))
    }

    fn open(&self, body: &str) -> Option<Zeroizing<Vec<u8>>> {
        let body = BASE64_URL_SAFE_NO_PAD.decode(body).ok()?;
        let (nonce, sealed) = body.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let length = self
            .key
            .as_ref()?
            .open_in_place(nonce, Aad::from(self.head()), &mut sealed)
            .ok()?
            .len();
        sealed.truncate(length);
        Some(sealed)
    }
}

impl<C, S: Durable, D> Suspended<C, S, D> {
    /// Seals the flow into a text of letters, digits, `-`, `_` and `.`, for a cookie or a URL's parameter: nobody without
    /// the key can read or change it (AES-256-GCM-SIV, RFC 8452). It opens for so long, and not after the flow's session.
    /// The machine that seals it writes by its own clock when that is over, and the machine that opens it looks at its own:
    /// the two clocks must agree.
    ///
    /// A sealed flow can be opened more than once, as a replayed request does; the platform takes its code once. Where the
    /// application must not see a callback twice, use a [`FlowStore`](crate::store::FlowStore).
    ///
    /// # Errors
    /// [`Error::Suspended`] when what is attached can't be written, or is so much that the text would be longer than
    /// 64 KiB. Browsers keep cookies of 4 KiB.
    pub fn seal(&self, keys: &SealingKeys, valid_for: Duration) -> Result<String, Error>
    where
        D: Serialize,
    {
        let valid_for = self.time_left().unwrap_or(Duration::MAX).min(valid_for);
        let inside = SealedFlow {
            expires: Clock::default()
                .millis()
                .saturating_add(u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX)),
            flow: self.to_json()?,
        };
        let inside = serde_json::to_vec(&inside).map_err(|_| SuspendedError::Damaged)?;
        let sealed = keys.current.seal(inside)?;
        if sealed.len() > LONGEST {
            return Err(SuspendedError::TooLong.into());
        }
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// [`SuspendedError`] says what it is instead: damaged, expired, of another state, sealed under another key, or
    /// longer than the 64 KiB that are made.
    pub fn unseal(sealed: &str, keys: &SealingKeys) -> Result<Self, SuspendedError>
    where
        D: DeserializeOwned,
    {
        if sealed.len() > LONGEST {
            return Err(SuspendedError::TooLong);
        }
        let (head, body) = sealed.rsplit_once('.').ok_or(SuspendedError::Damaged)?;
        let id = key_id(head).ok_or(SuspendedError::Damaged)?;
        let key = keys
            .find(&id)
            .ok_or_else(|| SuspendedError::UnknownKey(excerpt(&id, LONGEST_SHOWN)))?;
        let inside = key.open(body).ok_or(SuspendedError::Damaged)?;
        let inside: SealedFlow =
            serde_json::from_slice(&inside).map_err(|_| SuspendedError::Damaged)?;
        if inside.expires <= Clock::default().millis() {
            return Err(SuspendedError::Expired);
        }
        Self::from_json(&inside.flow)
    }
}

fn key_id(head: &str) -> Option<String> {
    let id = head.strip_prefix(PREFIX)?.strip_prefix('.')?;
    let id = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?;
    String::from_utf8(id).ok()
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeys")
            .field("current", &self.current.id)
            .finish_non_exhaustive()
    }
}
