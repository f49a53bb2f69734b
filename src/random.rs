//! Random values that can't be guessed.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::distr::{Alphanumeric, SampleString};

/// 256 random bits as 43 characters of base64url.
pub(crate) fn url_safe_256() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// The nonce of a request token: 32 random letters and digits.
pub(crate) fn nonce() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}
