//! Random values that can't be guessed.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const NONCE_LENGTH: usize = 32;

/// A source of random bytes: the system's, or one that a test sets. Clones are the same source.
#[derive(Clone, Default)]
pub(crate) struct Random(Option<Arc<Fill>>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    pub(crate) fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(fill)))
    }

    fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            None => rand::fill(bytes),
            Some(fill) => fill(bytes),
        }
    }

    /// 256 random bits as 43 characters of base64url.
    pub(crate) fn url_safe_256(&self) -> String {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The nonce of a request token: 32 random letters and digits.
    pub(crate) fn nonce(&self) -> String {
        let mut nonce = String::with_capacity(NONCE_LENGTH);
        while nonce.len() < NONCE_LENGTH {
            let mut bytes = [0; 2 * NONCE_LENGTH];
            self.fill(&mut bytes);
            let missing = NONCE_LENGTH - nonce.len();
            let before = nonce.len();
            // A remainder would make some characters more likely, so what is too large is left out.
            let drawn = bytes.iter().map(|byte| usize::from(byte >> 2));
            let characters = drawn.filter_map(|index| ALPHANUMERIC.get(index));
            nonce.extend(characters.take(missing).map(|&byte| char::from(byte)));
            if nonce.len() == before {
                // Random bytes are never all too large, but those of a test may be.
                nonce.push('0');
            }
        }
        nonce
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// 256 bits of the system's randomness as 43 characters of base64url.
pub(crate) fn url_safe_256() -> String {
    Random::default().url_safe_256()
}

/// 32 letters and digits of the system's randomness.
pub(crate) fn nonce() -> String {
    Random::default().nonce()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_characters_of_a_nonce_are_equally_likely() {
        let mut counts = [0_u32; 62];
        for _ in 0..2_000 {
            for byte in nonce().bytes() {
                let index = ALPHANUMERIC.iter().position(|&known| known == byte);
                counts[index.expect("a letter or a digit")] += 1;
            }
        }
        // 1032 are expected of each. One that is 9 standard deviations away comes once in 10^17 runs.
        assert!(
            counts.iter().all(|count| (743..1322).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn any_source_gives_a_nonce() {
        for byte in [0, 7, 255] {
            let nonce = Random::new(move |bytes| bytes.fill(byte)).nonce();
            assert_eq!(nonce.len(), 32);
            assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        assert_ne!(nonce(), nonce());
    }
}
