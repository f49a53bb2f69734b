//! The platform's keys: key sets as the platform serves them (RFC 7517), and a cache of them.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::ParsedPublicKey;
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use super::jws::{ALGORITHM, JsonObject, verifying_key};

/// How many key sets are cached. The platform has one; the limit is for a hostile one that names ever new URLs.
const MOST_KEY_SETS: usize = 8;

/// A JWK set as the platform serves it.
#[derive(Deserialize)]
#[serde(from = "JsonObject<Members>")]
pub(crate) struct JwkSet(Vec<Entry>);

#[derive(Deserialize)]
struct Members {
    keys: Vec<Entry>,
}

impl From<JsonObject<Members>> for JwkSet {
    fn from(JsonObject(members): JsonObject<Members>) -> Self {
        Self(members.keys)
    }
}

/// An entry of a key set. An unknown entry is skipped (RFC 7517, section 5), so that a new kind of key does not make the
/// others useless.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Key(JsonObject<Key>),
    Unknown(IgnoredAny),
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
    /// The key, if it can be read and may verify the platform's tokens (RFC 7517, sections 4.2 to 4.4).
    fn into_verifying(self) -> Option<(String, ParsedPublicKey)> {
        let is_for_signatures = self.intended_use.is_none_or(|name| name == "sig");
        let may_verify = self
            .operations
            .is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        let has_the_algorithm = self.alg.is_none_or(|name| name == ALGORITHM);
        if !(is_for_signatures && may_verify && has_the_algorithm) {
            return None;
        }
        let pem = pem::parse(self.pem).ok()?;
        Some((self.kid, verifying_key(pem.contents())?))
    }
}

/// The keys of a key set that have the same `kid`.
#[derive(Clone)]
pub(crate) enum KeysOfKid {
    One(Arc<ParsedPublicKey>),
    /// Different keys, so it is not known which one is meant.
    Several,
}

type Keys = HashMap<String, KeysOfKid>;

impl JwkSet {
    fn into_keys(self) -> Keys {
        let mut keys = Keys::new();
        for entry in self.0 {
            let Entry::Key(JsonObject(key)) = entry else {
                continue;
            };
            let Some((kid, key)) = key.into_verifying() else {
                continue;
            };
            match keys.entry(kid) {
                hash_map::Entry::Vacant(free) => {
                    free.insert(KeysOfKid::One(Arc::new(key)));
                }
                hash_map::Entry::Occupied(mut taken) => {
                    if !matches!(taken.get(), KeysOfKid::One(first) if are_equal(first, &key)) {
                        taken.insert(KeysOfKid::Several);
                    }
                }
            }
        }
        keys
    }
}

/// Whether two keys are the same, even if one was PKCS#1 and the other SPKI.
fn are_equal(one: &ParsedPublicKey, other: &ParsedPublicKey) -> bool {
    let der = |key: &ParsedPublicKey| -> Option<PublicKeyX509Der<'static>> { key.as_der().ok() };
    match (der(one), der(other)) {
        (Some(one), Some(other)) => one.as_ref() == other.as_ref(),
        _ => false,
    }
}

/// The platform's keys, by the URL of their key set and by their `kid`.
#[derive(Default)]
pub(crate) struct KeyCache(RwLock<HashMap<Url, Keys>>);

impl KeyCache {
    pub(crate) fn get(&self, jku: &Url, kid: &str) -> Option<KeysOfKid> {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sets.get(jku)?.get(kid).cloned()
    }

    /// Forgets all sets, so that they are fetched again.
    pub(crate) fn forget(&self) {
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sets.clear();
    }

    /// Replaces a key set by one that was just fetched.
    pub(crate) fn replace(&self, jku: &Url, set: JwkSet) {
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
