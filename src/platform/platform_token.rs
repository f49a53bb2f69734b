//! The tokens with which the platform answers: which key may have signed them, and that it did.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::ParsedPublicKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;

use super::Platform;
use super::jws::{BadToken, Received, verifying_key};
use crate::error::{Error, Operation, RequestError};

/// How many key sets are remembered. A platform has one; the bound is for one that names ever new addresses.
const MOST_KEY_SETS: usize = 8;

/// Why a token is not proven to be the platform's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlatformTokenError {
    /// It is not three parts of base64url with JSON in them.
    #[error("the platform's token is malformed; check the base URL")]
    Malformed,
    /// Its header names another algorithm than PS512.
    #[error(
        "the platform's token is not signed with PS512, the one algorithm that is accepted; check the base URL"
    )]
    Algorithm,
    /// Its header has a `crit`, which names extensions that must be understood (RFC 7515, section 4.1.11).
    #[error("the platform's token needs an extension that digime does not know; update digime")]
    Critical,
    /// Its header lacks `kid` or `jku`.
    #[error("the platform's token does not say which key signed it; check the base URL")]
    NoKey,
    /// Its `jku` is not on the base URL's own origin; nothing was fetched from there.
    #[error(
        "the platform's token names keys at another origin than the base URL's, which nobody vouches for; check the base URL"
    )]
    ForeignKeys,
    /// The platform's key set has no such key, even when fetched anew.
    #[error(
        "the platform's token is signed with a key that is not in the platform's key set; try again later"
    )]
    UnknownKey,
    /// The signature is not the key's.
    #[error(
        "the platform's token has a wrong signature: do not trust it; check the base URL and what stands between"
    )]
    Signature,
    /// The signature is right and the content is not what was asked for.
    #[error("the platform's token does not hold what was asked for; update digime")]
    Claims,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    jku: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A JWK set as the platform writes it.
#[derive(Deserialize)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kid: Option<String>,
    pem: Option<String>,
}

/// The platform's keys, by where they were fetched and by their `kid`.
#[derive(Default)]
pub struct KeyCache(RwLock<HashMap<Url, Keys>>);

type Keys = HashMap<String, Arc<ParsedPublicKey>>;

impl KeyCache {
    fn get(&self, jku: &Url, kid: &str) -> Option<Arc<ParsedPublicKey>> {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sets.get(jku)?.get(kid).cloned()
    }

    /// Takes a fetched set in place of the one that was known.
    fn replace(&self, jku: &Url, set: KeySet) {
        let keys = set.keys.into_iter().filter_map(|key| {
            let pem = pem::parse(key.pem?).ok()?;
            Some((key.kid?, Arc::new(verifying_key(pem.contents())?)))
        });
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST_KEY_SETS {
            sets.clear();
        }
        sets.insert(jku.clone(), keys.collect());
    }
}

impl Platform {
    /// The claims of a platform token, verified.
    pub(super) async fn verify<T: DeserializeOwned>(
        &self,
        operation: Operation,
        token: &str,
    ) -> Result<T, Error> {
        let fetch = async |jku: Url| {
            self.call(Operation::FetchKeys, || {
                Ok(self.client.http().get(jku.clone()))
            })
            .await
        };
        match verify(token, self.client.base_url(), self.client.keys(), fetch).await {
            Ok(claims) => Ok(claims),
            Err(Failure::Token(source)) => {
                Err(RequestError::Untrusted { operation, source }.into())
            }
            // The platform has acted, and what it said can't be believed: as good as lost.
            Err(Failure::Fetch(error)) => Err(RequestError::AnswerLost {
                operation,
                cause: error.to_string(),
            }
            .into()),
        }
    }
}

enum Failure {
    Token(PlatformTokenError),
    Fetch(Error),
}

impl From<PlatformTokenError> for Failure {
    fn from(error: PlatformTokenError) -> Self {
        Self::Token(error)
    }
}

async fn verify<T: DeserializeOwned>(
    token: &str,
    base_url: &Url,
    cache: &KeyCache,
    fetch: impl AsyncFnOnce(Url) -> Result<KeySet, Error>,
) -> Result<T, Failure> {
    let token = Received::parse(token).ok_or(PlatformTokenError::Malformed)?;
    let (jku, kid) = key_named_by(&token, base_url)?;
    let key = if let Some(key) = cache.get(&jku, &kid) {
        key
    } else {
        let set = fetch(jku.clone()).await.map_err(Failure::Fetch)?;
        cache.replace(&jku, set);
        cache
            .get(&jku, &kid)
            .ok_or(PlatformTokenError::UnknownKey)?
    };
    token.verify(&key).map_err(|bad| {
        Failure::Token(match bad {
            BadToken::Signature => PlatformTokenError::Signature,
            BadToken::Claims => PlatformTokenError::Claims,
        })
    })
}

/// Where the key is that a token's header names, before the token is verified: all that is decided here is whether that
/// place may be asked at all.
fn key_named_by(token: &Received<'_>, base_url: &Url) -> Result<(Url, String), PlatformTokenError> {
    let header: Header = token
        .unverified_header()
        .ok_or(PlatformTokenError::Malformed)?;
    if header.alg != "PS512" {
        return Err(PlatformTokenError::Algorithm);
    }
    if header.crit.is_some() {
        return Err(PlatformTokenError::Critical);
    }
    let (Some(jku), Some(kid)) = (header.jku, header.kid) else {
        return Err(PlatformTokenError::NoKey);
    };
    let jku = Url::parse(&jku).map_err(|_| PlatformTokenError::ForeignKeys)?;
    let has_user_info = !jku.username().is_empty() || jku.password().is_some();
    if jku.origin() != base_url.origin() || has_user_info {
        return Err(PlatformTokenError::ForeignKeys);
    }
    Ok((jku, kid))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::vectors;

    /// Verifies a token of the vectors against their key set and counts the fetches.
    fn check(
        token: &str,
        cache: &KeyCache,
    ) -> (Result<serde_json::Value, PlatformTokenError>, u32) {
        let base_url = Url::parse("https://api.digi.me/v1.5").expect("a URL");
        let fetches = Cell::new(0);
        let fetch = async |_| {
            fetches.set(fetches.get() + 1);
            Ok(serde_json::from_value(vectors::jwks()).expect("a key set"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let result = runtime
            .block_on(verify(token, &base_url, cache, fetch))
            .map_err(|failure| match failure {
                Failure::Token(error) => error,
                Failure::Fetch(error) => panic!("{error}"),
            });
        (result, fetches.get())
    }

    #[test]
    fn tokens_of_the_platform_are_accepted_and_the_keys_are_fetched_once() {
        let cache = KeyCache::default();
        for (number, accepted) in vectors::tokens().accept.into_iter().enumerate() {
            let (result, fetches) = check(&accepted.token(), &cache);
            assert_eq!(
                result.expect(&accepted.name),
                accepted.payload,
                "{}",
                accepted.name
            );
            assert_eq!(fetches, u32::from(number == 0), "{}", accepted.name);
        }
    }

    #[test]
    fn forged_tokens_are_refused_and_foreign_keys_are_never_fetched() {
        for rejected in vectors::tokens().reject {
            let (result, fetches) = check(&rejected.token(), &KeyCache::default());
            let error = result.expect_err(&rejected.name);
            if rejected.name.starts_with("jku ") {
                assert_eq!(error, PlatformTokenError::ForeignKeys, "{}", rejected.name);
            }
            let keys_were_needed = matches!(
                error,
                PlatformTokenError::Signature | PlatformTokenError::UnknownKey
            );
            assert_eq!(
                fetches,
                u32::from(keys_were_needed),
                "{}: {error}",
                rejected.name
            );
        }
    }

    #[test]
    fn an_unknown_key_is_looked_for_once_more() {
        let cache = KeyCache::default();
        let tokens = vectors::tokens();
        let unknown = tokens
            .reject
            .iter()
            .find(|token| token.name == "kid unknown")
            .expect("the vector");
        assert_eq!(check(&tokens.accept[0].token(), &cache).1, 1);
        assert_eq!(
            check(&unknown.token(), &cache),
            (Err(PlatformTokenError::UnknownKey), 1)
        );
        assert_eq!(check(&tokens.accept[0].token(), &cache).1, 0);
    }

    #[test]
    fn an_extension_that_must_be_understood_is_refused() {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD;
        let header = r#"{"alg":"PS512","kid":"k1","jku":"https://api.digi.me/x","crit":["exp"]}"#;
        let token = format!("{}.e30.AA", BASE64_URL_SAFE_NO_PAD.encode(header));
        assert_eq!(
            check(&token, &KeyCache::default()),
            (Err(PlatformTokenError::Critical), 0)
        );
    }
}
