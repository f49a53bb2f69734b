//! PKCE (RFC 7636), method S256.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::secret;

/// A code verifier (RFC 7636, section 4.1), for an authorization request that a library adds.
///
/// It is serde data, so that a state can keep it in its record until the callback comes. There it is secret. It can't be
/// printed, and is wiped when dropped.
///
/// ```
/// use digime::error::Operation;
/// use digime::request::Request;
/// use digime::{Error, Flow};
/// use serde_json::json;
///
/// # async fn run<C>(flow: &Flow<C>) -> Result<(), Error> {
/// let (verifier, state) = (flow.client().code_verifier(), flow.client().random_state());
/// let request = Request::post(["oauth", "authorize"], Operation::custom("authorize the contract")).claims(&json!({
///     "code_challenge": verifier.challenge(),
///     "code_challenge_method": "S256",
///     "response_mode": "query",
///     "response_type": "code",
///     "state": state,
/// }));
/// let answer = flow.request(request).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeVerifier(#[serde(serialize_with = "secret::expose")] SecretString);

impl CodeVerifier {
    /// 43 characters that hold 256 random bits, as RFC 7636, section 4.1, recommends.
    pub(crate) fn new(random: &Random) -> Self {
        Self(random.url_safe_256().into())
    }

    /// The challenge, which the platform gets first: base64url without padding of the verifier's SHA-256 (section 4.2).
    #[must_use]
    pub fn challenge(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.secret().as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(hash)
    }

    /// The verifier as a string, for the request that exchanges the code. Anyone who has it and the code gets the tokens.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    #[test]
    fn challenges_equal_those_of_other_implementations() {
        for pair in vectors::pkce() {
            assert_eq!(
                CodeVerifier(pair.code_verifier.into()).challenge(),
                pair.code_challenge
            );
        }
    }

    #[test]
    fn the_challenge_of_rfc_7636_appendix_b_is_made() {
        let verifier = CodeVerifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(
            verifier.challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_verifier_is_43_unreserved_characters_and_unique() {
        let (one, other) = (
            CodeVerifier::new(&Random::default()),
            CodeVerifier::new(&Random::default()),
        );
        assert_eq!(one.secret().len(), 43);
        assert!(
            one.secret()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        );
        assert_ne!(one.secret(), other.secret());
        assert!(!format!("{one:?}").contains(one.secret()));
    }
}
