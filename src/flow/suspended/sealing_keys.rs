use std::fmt;
use std::time::SystemTime;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::SuspendedError;
use super::record::LONGEST_SHOWN;
use crate::clock::Clock;
use crate::excerpt::excerpt;
use crate::internal::InternalError;

/// The keys of an application that seal flows and the records of a store: one key seals, and it and the earlier ones
/// open.
///
/// A key is 32 random bytes, as `openssl rand -base64 32` makes them, and has an id that tells it from the others. To
/// change keys, give the new one an id of its own, and [accept](Self::accept) the old one until everything that was sealed
/// under it has expired.
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
    clock: Clock,
}

struct SealingKey {
    id: String,
    key: Option<RandomizedNonceKey>,
}

/// What is sealed, and where it belongs. A sealed text opens only for the same purpose and place.
#[derive(Clone, Copy)]
pub(crate) struct Purpose<'a> {
    /// What the text is, and in which format. The sealed text begins with it.
    pub(crate) prefix: &'static str,
    /// The row of a database that the text belongs to, or nothing.
    pub(crate) place: &'a str,
}

impl SealingKeys {
    /// Seals with this key.
    #[must_use]
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Self {
        Self {
            current: SealingKey::new(id.into(), key),
            old: Vec::new(),
            clock: Clock::default(),
        }
    }

    /// Also opens with this key.
    #[must_use]
    pub fn accept(mut self, id: impl Into<String>, key: [u8; 32]) -> Self {
        self.old.push(SealingKey::new(id.into(), key));
        self
    }

    /// The clock that says when a sealed flow expires. Default: [`SystemTime::now`]. Tests pass another.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use digime::SealingKeys;
    ///
    /// let tomorrow = || SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    /// let keys = SealingKeys::new("test", [7; 32]).clock(tomorrow);
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(clock);
        self
    }

    /// Now, in Unix milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.clock.millis()
    }

    pub(crate) fn seal(
        &self,
        purpose: Purpose<'_>,
        text: Vec<u8>,
    ) -> Result<String, InternalError> {
        self.current.seal(purpose, text)
    }

    /// # Errors
    /// [`SuspendedError::UnknownKey`] if it was sealed under a key that is not here, [`SuspendedError::Damaged`] if it was
    /// changed, or sealed for another purpose.
    pub(crate) fn open(
        &self,
        purpose: Purpose<'_>,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SuspendedError> {
        let (head, body) = sealed.rsplit_once('.').ok_or(SuspendedError::Damaged)?;
        let id = key_id(head, purpose.prefix).ok_or(SuspendedError::Damaged)?;
        let mut keys = std::iter::once(&self.current).chain(&self.old);
        let key = keys
            .find(|key| key.id == id)
            .ok_or_else(|| SuspendedError::UnknownKey(excerpt(&id, LONGEST_SHOWN)))?;
        key.open(purpose, body).ok_or(SuspendedError::Damaged)
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

    /// The part of a sealed text that can be read but not changed: what it is, and the id of its key.
    fn head(&self, prefix: &str) -> String {
        format!("{prefix}.{}", BASE64_URL_SAFE_NO_PAD.encode(&self.id))
    }

    /// What the seal covers beside the text.
    fn associated_data(&self, purpose: Purpose<'_>) -> String {
        let mut data = self.head(purpose.prefix);
        if !purpose.place.is_empty() {
            data.push(' ');
            data.push_str(purpose.place);
        }
        data
    }

    fn seal(&self, purpose: Purpose<'_>, text: Vec<u8>) -> Result<String, InternalError> {
        const FAILED: InternalError = InternalError("sealing a record");
        let key = self.key.as_ref().ok_or(FAILED)?;
        let mut sealed = text;
        let nonce = key
            .seal_in_place_append_tag(Aad::from(self.associated_data(purpose)), &mut sealed)
            .map_err(|_| FAILED)?;
        let body = [nonce.as_ref().as_slice(), &sealed].concat();
        let head = self.head(purpose.prefix);
        Ok(format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(body)))
    }

    fn open(&self, purpose: Purpose<'_>, body: &str) -> Option<Zeroizing<Vec<u8>>> {
        let body = BASE64_URL_SAFE_NO_PAD.decode(body).ok()?;
        let (nonce, sealed) = body.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let data = Aad::from(self.associated_data(purpose));
        let length = self
            .key
            .as_ref()?
            .open_in_place(nonce, data, &mut sealed)
            .ok()?
            .len();
        sealed.truncate(length);
        Some(sealed)
    }
}

fn key_id(head: &str, prefix: &str) -> Option<String> {
    let id = head.strip_prefix(prefix)?.strip_prefix('.')?;
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
