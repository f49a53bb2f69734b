//! The platform's keys: a key set as it is served (RFC 7517), and the sets that are remembered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::ParsedPublicKey;
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use super::jws::{ALGORITHM, JsonObject, verifying_key};

/// How many key sets are remembered. A platform has one; the bound is for one that names ever new addresses.
const MOST_KEY_SETS: usize = 8;

/// A JWK set as the platform writes it.
#[derive(Deserialize)]
#[serde(from = "JsonObject<Members>")]
pub struct JwkSet(Vec<Listed>);

#[derive(Deserialize)]
struct Members {
    keys: Vec<Listed>,
}

impl From<JsonObject<Members>> for JwkSet {
    fn from(JsonObject(members): JsonObject<Members>) -> Self {
        Self(members.keys)
    }
}

/// An entry of a key set. One that is not understood is skipped (RFC 7517, section 5), so that a new kind of key does
/// not make the others useless.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Key(JsonObject<Key>),
    NotUnderstood(IgnoredAny),
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    pem: String,
    #[serde(rename = "use")]
    intended_use: Option<String>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
    alg: Option<String>,
}

impl Key {
    /// The key, where it can be read and is meant to verify the platform's tokens (RFC 7517, sections 4.2 to 4.4).
    fn into_verifying(self) -> Option<(String, ParsedPublicKey)> {
        let is_for_signatures = self.intended_use.is_none_or(|name| name == "sig");
        let may_verify = self
            .operations
            .is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        let is_of_the_algorithm = self.alg.is_none_or(|name| name == ALGORITHM);
        if !(is_for_signatures && may_verify && is_of_the_algorithm) {
            return None;
        }
        let pem = pem::parse(self.pem).ok()?;
        Some((self.kid, verifying_key(pem.contents())?))
    }
}

/// What a key set has under a `kid`.
#[derive(Clone)]
pub enum Named {
    One(Arc<ParsedPublicKey>),
    /// Different keys, of which none can be said to be the one that is meant.
    Several,
}

type Keys = HashMap<String, Named>;

impl JwkSet {
    fn into_keys(self) -> Keys {
        let mut keys = Keys::new();
        for listed in self.0 {
            let Listed::Key(JsonObject(key)) = listed else {
                continue;
            };
            let Some((kid, key)) = key.into_verifying() else {
                continue;
            };
            match keys.entry(kid) {
                Entry::Vacant(free) => {
                    free.insert(Named::One(Arc::new(key)));
                }
                Entry::Occupied(mut taken) => {
                    if !matches!(taken.get(), Named::One(first) if are_equal(first, &key)) {
                        taken.insert(Named::Several);
                    }
                }
            }
        }
        keys
    }
}

/// Whether two keys are the same, in whichever of the two encodings each came.
fn are_equal(one: &ParsedPublicKey, other: &ParsedPublicKey) -> bool {
    let der = |key: &ParsedPublicKey| -> Option<PublicKeyX509Der<'static>> { key.as_der().ok() };
    match (der(one), der(other)) {
        (Some(one), Some(other)) => one.as_ref() == other.as_ref(),
        _ => false,
    }
}

/// The platform's keys, by where they were fetched and by their `kid`.
#[derive(Default)]
pub struct KeyCache(RwLock<HashMap<Url, Keys>>);

impl KeyCache {
    pub fn get(&self, jku: &Url, kid: &str) -> Option<Named> {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sets.get(jku)?.get(kid).cloned()
    }

    /// Forgets all sets, so that they are fetched again.
    pub fn forget(&self) {
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sets.clear();
    }

    /// Takes a fetched set in place of the one that was known.
    pub fn replace(&self, jku: &Url, set: JwkSet) {
        let keys = set.into_keys();
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST_KEY_SETS && !sets.contains_key(jku) {
            sets.clear();
        }
        sets.insert(jku.clone(), keys);
    }

    #[cfg(test)]
    pub(super) fn known_sets(&self) -> usize {
        self.0.read().expect("the key sets").len()
    }
}
