//! JWS in its compact serialization (RFC 7515, section 7.1), for PS512 alone.
//!
//! The usual crate for JWTs parses the private key again for every token, which costs more than the signature. So this
//! module signs and verifies tokens itself.

use std::fmt;
use std::marker::PhantomData;

use aws_lc_rs::rsa::PublicKey;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA512};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::internal::InternalError;

/// The only algorithm, by its name in headers and key sets (RFC 7518, section 3.5).
pub(crate) const ALGORITHM: &str = "PS512";

/// Room for a signature by a key of 8192 bits, so that a token with secrets is not copied while it grows.
const LONGEST_SIGNATURE: usize = 1400;

/// The header of every token that is sent.
const HEADER: &str = r#"{"alg":"PS512","typ":"JWT"}"#;

/// A token that has everything but its signature.
pub(crate) struct Unsigned(Zeroizing<String>);

/// Writes `claims` as a token that is not signed yet.
pub(crate) fn unsigned(claims: &impl Serialize) -> Result<Unsigned, InternalError> {
    let claims = serde_json::to_vec(claims).map(Zeroizing::new);
    let claims = claims.map_err(|_| InternalError("writing a request token"))?;
    Ok(unsigned_json(&claims))
}

/// Writes claims in JSON as a token that is not signed yet.
pub(crate) fn unsigned_json(claims: &[u8]) -> Unsigned {
    let mut token = Zeroizing::new(String::with_capacity(
        HEADER.len() * 2 + claims.len() * 4 / 3 + LONGEST_SIGNATURE,
    ));
    BASE64_URL_SAFE_NO_PAD.encode_string(HEADER, &mut token);
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    Unsigned(token)
}

impl Unsigned {
    /// What has to be signed.
    pub(crate) fn message(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The token with its signature.
    pub(crate) fn with(self, signature: &[u8]) -> Zeroizing<String> {
        let mut token = self.0;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}

/// A received token, split into its parts and not verified.
pub(crate) struct Received<'a> {
    header: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    signed: &'a str,
}

impl<'a> Received<'a> {
    /// Splits a token; `None` if it is not three base64url parts.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self {
            header,
            payload,
            signature,
            signed,
        })
    }

    /// The header, which says what is needed to verify the token.
    pub(crate) fn unverified_header<T: DeserializeOwned>(&self) -> Option<T> {
        json(self.header)
    }

    /// The claims, if the signature is valid PS512 by `key`.
    pub(crate) fn verify<T: DeserializeOwned>(&self, key: &ParsedPublicKey) -> Result<T, BadToken> {
        key.verify_sig(self.signed.as_bytes(), &self.signature)
            .map_err(|_| BadToken::Signature)?;
        json(self.payload).ok_or(BadToken::Claims)
    }
}

/// What is wrong with a received token.
pub(crate) enum BadToken {
    Signature,
    Claims,
}

/// Reads a public key that verifies PS512, from PKCS#1 or SPKI in DER. It must have 2048 to 8192 bits.
pub(crate) fn verifying_key(der: &[u8]) -> Option<ParsedPublicKey> {
    // A key of another length would refuse every signature, and each token would look forged.
    let bytes = PublicKey::from_der(der).ok()?.modulus_len();
    if !(2048 / 8..=8192 / 8).contains(&bytes) {
        return None;
    }
    ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA512, der).ok()
}

/// Decodes a part that is a JSON object in UTF-8 (RFC 7515, section 4; RFC 7519, section 3).
fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(part).ok()?);
    // serde_json alone does not check the encoding of what is skipped.
    let json = std::str::from_utf8(&bytes).ok()?;
    let JsonObject(value) = serde_json::from_str(json).ok()?;
    Some(value)
}

/// A value that is read from a JSON object only. serde's derive would read a struct from an array too, field by field.
pub(crate) struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = JsonObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JsonObject<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(JsonObject)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::wycheproof;

    /// Whether the signature is valid PS512 by the key. A message that is UTF-8 is verified as a token, any other directly.
    fn is_ps512(der: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let key = verifying_key(der).expect("a key");
        let Ok(signed) = std::str::from_utf8(message) else {
            return key.verify_sig(message, signature).is_ok();
        };
        let token = Received {
            header: "",
            payload: "e30",
            signature: signature.to_vec(),
            signed,
        };
        token.verify::<serde_json::Value>(&key).is_ok()
    }

    #[test]
    fn wycheproof_signatures_are_accepted_only_if_they_are_valid_ps512() {
        let (mut accepted, mut refused) = (0, 0);
        for vector in wycheproof::signatures() {
            for der in std::iter::once(&vector.pkcs1).chain(&vector.spki) {
                assert_eq!(
                    is_ps512(der, &vector.message, &vector.bytes),
                    vector.is_ps512,
                    "{}",
                    vector.name
                );
            }
            *(if vector.is_ps512 {
                &mut accepted
            } else {
                &mut refused
            }) += 1;
        }
        assert_eq!((accepted, refused), (266, 710));
    }
}
