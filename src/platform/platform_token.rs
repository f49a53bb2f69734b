//! The tokens with which the platform answers: which key may sign them, and whether it did.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Platform;
use super::attempts::Deadline;
use super::error::{Cause, PlatformError, PlatformTokenError, RequestError};
use super::http::{PATIENCE, lost};
use super::jws::{ALGORITHM, BadToken, Received};
use super::keys::{JwkSet, KeyCache, KeysOfKid};
use super::request::{Answer, Request};

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    jku: Option<String>,
    crit: Option<serde_json::Value>,
}

impl Platform {
    /// The claims of a platform token in an answer, verified.
    pub(crate) async fn verify<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        token: &str,
    ) -> Result<T, PlatformError> {
        let operation = answer.operation;
        // No other answer has these tokens, so their keys may take longer than the caller waits.
        let holds_tokens = answer.is_patient;
        let deadline = if holds_tokens {
            Deadline::after(PATIENCE)
        } else {
            answer.deadline.or_after(self.client.call_timeout())
        };
        let mut pauses = self.client.pauses();
        let mut cached_key_may_be_wrong = holds_tokens;
        let verified = loop {
            let fetch = async |jku: Url| {
                let request = Request::keys(jku).with_secrets_of(answer);
                let read = |answer: Answer| Ok(answer.json()?);
                self.request_until(&request, deadline, holds_tokens, read)
                    .await
            };
            let verified = verify(token, self.client.base_url(), self.client.keys(), fetch).await;
            let Err(Failure::Token(error)) = &verified else {
                break verified;
            };
            let may_pass = match error {
                // A key set from a cache may be older than a key that has just been changed.
                PlatformTokenError::UnknownKey | PlatformTokenError::AmbiguousKey => holds_tokens,
                // The cached key may be wrong, which fetching the key set again shows.
                PlatformTokenError::Signature => std::mem::take(&mut cached_key_may_be_wrong),
                _ => false,
            };
            match pauses.next() {
                Some(pause) if may_pass && deadline.leaves(pause) => {
                    self.client.keys().forget();
                    tokio::time::sleep(pause).await;
                }
                _ => break verified,
            }
        };
        match verified {
            Ok(claims) => Ok(claims),
            Err(Failure::Token(source)) => {
                Err(RequestError::Untrusted { operation, source }.into())
            }
            // The platform has acted, but its answer can't be verified: it counts as lost.
            Err(Failure::Fetch(error)) => match last_attempt(error) {
                PlatformError::Request(error) => {
                    Err(lost(operation, Cause::keys_are_missing(error)))
                }
                other => Err(other),
            },
        }
    }
}

/// The error of the last attempt alone: earlier requests for keys can't have taken effect.
fn last_attempt(error: PlatformError) -> PlatformError {
    match error {
        PlatformError::EarlierAttempt { source, .. } => last_attempt(*source),
        error => error,
    }
}

pub(crate) enum Failure {
    Token(PlatformTokenError),
    Fetch(PlatformError),
}

impl From<PlatformTokenError> for Failure {
    fn from(error: PlatformTokenError) -> Self {
        Self::Token(error)
    }
}

pub(crate) async fn verify<T: DeserializeOwned>(
    token: &str,
    base_url: &Url,
    cache: &KeyCache,
    fetch: impl AsyncFnOnce(Url) -> Result<JwkSet, PlatformError>,
) -> Result<T, Failure> {
    let token = Received::parse(token).ok_or(PlatformTokenError::Malformed)?;
    let (jku, kid) = key_named_by(&token, base_url)?;
    let key = if let Some(KeysOfKid::One(key)) = cache.get(&jku, &kid) {
        key
    } else {
        let set = fetch(jku.clone()).await.map_err(Failure::Fetch)?;
        cache.replace(&jku, set);
        match cache.get(&jku, &kid) {
            Some(KeysOfKid::One(key)) => key,
            Some(KeysOfKid::Several) => return Err(PlatformTokenError::AmbiguousKey.into()),
            None => return Err(PlatformTokenError::UnknownKey.into()),
        }
    };
    token.verify(&key).map_err(|bad| {
        Failure::Token(match bad {
            BadToken::Signature => PlatformTokenError::Signature,
            BadToken::Claims => PlatformTokenError::Claims,
        })
    })
}

/// The URL of the key set and the `kid` that a token's header names. The token is not verified yet: this only decides
/// whether that URL may be fetched.
fn key_named_by(token: &Received<'_>, base_url: &Url) -> Result<(Url, String), PlatformTokenError> {
    let header: Header = token
        .unverified_header()
        .ok_or(PlatformTokenError::Malformed)?;
    if header.alg != ALGORITHM {
        return Err(PlatformTokenError::Algorithm);
    }
    if header.crit.is_some() {
        return Err(PlatformTokenError::Critical);
    }
    let (Some(jku), Some(kid)) = (header.jku, header.kid) else {
        return Err(PlatformTokenError::NoKey);
    };
    let jku = at_origin_of(base_url, &jku).ok_or(PlatformTokenError::ForeignKeys)?;
    Ok((jku, kid))
}

/// The URL, if it has the base URL's origin: scheme, host and port are compared as strings, up to the slash after them.
/// A comparison of parsed origins would also accept a `blob:` URL of the origin, and any other spelling of it.
fn at_origin_of(base_url: &Url, url: &str) -> Option<Url> {
    let origin = base_url.origin().ascii_serialization();
    if !url.strip_prefix(&origin)?.starts_with('/') {
        return None;
    }
    Url::parse(url).ok()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::time::Duration;

    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::chain::Chain;
    use crate::pkce::CodeVerifier;
    use crate::platform::jws::verifying_key;
    use crate::platform::scripted::{self, Answer};
    use crate::platform::{PostboxTokens, Tokens};
    use crate::vectors;

    const BASE_URL: &str = "https://api.digi.me/v1.5";

    /// Verifies a token of the vectors against their key set and counts the fetches.
    fn check(
        token: &str,
        cache: &KeyCache,
    ) -> (Result<serde_json::Value, PlatformTokenError>, u32) {
        check_against(&vectors::jwks(), token, cache)
    }

    /// Verifies a token against a key set and counts the fetches.
    fn check_against(
        jwks: &serde_json::Value,
        token: &str,
        cache: &KeyCache,
    ) -> (Result<serde_json::Value, PlatformTokenError>, u32) {
        let base_url = Url::parse(BASE_URL).expect("a URL");
        let fetches = Cell::new(0);
        let fetch = async |_| {
            fetches.set(fetches.get() + 1);
            Ok(serde_json::from_value(jwks.clone()).expect("a key set"))
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

    /// A token with this header and an invalid signature.
    fn token_with_header(header: &serde_json::Value) -> String {
        let header = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.e30.AA")
    }

    fn token_with_jku(jku: &str) -> String {
        token_with_header(&json!({"alg": "PS512", "kid": "k1", "jku": jku}))
    }

    /// A token that the key `k1` of the vectors signed.
    fn token_of_k1() -> String {
        vectors::tokens().accept[0].token()
    }

    /// The PEM of a key in the vectors' key set.
    fn pem_of(kid: &str) -> serde_json::Value {
        let jwks = vectors::jwks();
        let keys = jwks["keys"].as_array().expect("keys");
        let key = keys.iter().find(|key| key["kid"] == kid);
        key.expect("the key")["pem"].clone()
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
    fn a_key_set_is_fetched_again_for_an_unknown_key() {
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
        let token = token_with_header(&json!({
            "alg": "PS512", "kid": "k1", "jku": "https://api.digi.me/x", "crit": ["exp"],
        }));
        assert_eq!(
            check(&token, &KeyCache::default()),
            (Err(PlatformTokenError::Critical), 0)
        );
    }

    /// Makes the changes of Project Wycheproof's tests for JSON Web Signatures to a platform token.
    #[test]
    fn a_changed_token_is_refused() {
        let token = token_of_k1();
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("a token has three parts");
        };
        let flipped = |part: &str| {
            let other = if part.starts_with('X') { "Y" } else { "X" };
            format!("{other}{}", &part[1..])
        };
        // The last character of the signature holds four bits of it and two unused bits.
        let last = signature.chars().last().expect("a character");
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = alphabet.find(last).expect("base64url");
        let same_bits = &alphabet[value + 1..value + 2];
        let unused_bits = format!("{}{same_bits}", &signature[..signature.len() - 1]);
        let unsigned_header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k1"}"#);
        for (change, changed) in [
            (
                "signature",
                format!("{header}.{claims}.{}", flipped(signature)),
            ),
            ("no signature", format!("{header}.{claims}.")),
            ("no third part", format!("{header}.{claims}")),
            (
                "payload",
                format!("{header}.{}.{signature}", flipped(claims)),
            ),
            ("no payload", format!("{header}..{signature}")),
            ("no second part", format!("{header}.{signature}")),
            (
                "header",
                format!("{}.{claims}.{signature}", flipped(header)),
            ),
            ("no header", format!(".{claims}.{signature}")),
            ("no first part", format!("{claims}.{signature}")),
            ("only a payload", format!(".{claims}.")),
            ("nothing but a payload", claims.to_owned()),
            ("dots", "..".to_owned()),
            ("an empty fourth part", format!("{token}.")),
            ("a fourth part", format!("{token}.foo")),
            ("an empty part before", format!(".{token}")),
            ("no algorithm", format!("{unsigned_header}.{claims}.")),
            (
                "no algorithm, signed",
                format!("{unsigned_header}.{claims}.{signature}"),
            ),
            ("padding", format!("{token}==")),
            (
                "padding of the header",
                format!("{header}=.{claims}.{signature}"),
            ),
            ("unused bits", format!("{header}.{claims}.{unused_bits}")),
            ("standard base64", token.replace('-', "+").replace('_', "/")),
            ("whitespace around", format!(" {token} ")),
            ("a line break", format!("{header}.{claims}.\n{signature}")),
            ("a zero byte", format!("{token}\0")),
            ("a signature twice", format!("{token}{signature}")),
            (
                "JSON serialization",
                json!({"protected": header, "payload": claims, "signature": signature}).to_string(),
            ),
        ] {
            let (result, _) = check(&changed, &KeyCache::default());
            assert!(result.is_err(), "{change}");
        }
        assert!(check(&token, &KeyCache::default()).0.is_ok());
    }

    #[test]
    fn a_key_that_a_token_brings_along_is_not_used() {
        let header = json!({
            "alg": "PS512", "kid": "x", "jku": "https://api.digi.me/jwks",
            "jwk": {"kty": "RSA", "kid": "x", "pem": pem_of("k1")}, "x5c": [],
        });
        assert_eq!(
            check(&token_with_header(&header), &KeyCache::default()),
            (Err(PlatformTokenError::UnknownKey), 1)
        );
    }

    /// The weak keys that Project Wycheproof puts into JSON Web Key sets.
    #[test]
    fn a_weak_key_verifies_nothing() {
        let k1 = pem::parse(pem_of("k1").as_str().expect("PEM")).expect("PEM");
        // The DER ends with the exponent 65537; this one is shorter by two bytes and ends with another.
        let with_exponent = |exponent: u8| {
            let der = k1.contents();
            let mut der = der[..der.len() - 5].to_vec();
            der.extend([0x02, 0x01, exponent]);
            let length = u16::try_from(der.len() - 4).expect("a length");
            der[2..4].copy_from_slice(&length.to_be_bytes());
            der
        };
        assert!(verifying_key(&with_exponent(3)).is_some());
        for exponent in [0, 1, 2, 0xFF] {
            assert!(
                verifying_key(&with_exponent(exponent)).is_none(),
                "{exponent}"
            );
        }
        for pem in [
            include_str!("../../tests/keys/rsa-1024.pem"),
            include_str!("../../tests/keys/p-256.pem"),
        ] {
            let block = pem::parse(pem).expect("PEM");
            assert!(verifying_key(block.contents()).is_none(), "{pem}");
        }
    }

    #[test]
    fn a_header_that_is_not_a_json_object_in_utf_8_is_malformed() {
        let jku = "https://api.digi.me/jwks";
        let array = json!(["PS512", "k1", jku, null]).to_string();
        let mut not_utf_8 = json!({"alg": "PS512", "kid": "k1", "jku": jku, "typ": "JWT"})
            .to_string()
            .into_bytes();
        let typ = not_utf_8.windows(3).position(|three| three == b"JWT");
        not_utf_8[typ.expect("the type")] = 0xF9;
        for header in [array.into_bytes(), not_utf_8] {
            let token = format!("{}.e30.AA", BASE64_URL_SAFE_NO_PAD.encode(header));
            assert_eq!(
                check(&token, &KeyCache::default()),
                (Err(PlatformTokenError::Malformed), 0)
            );
        }
    }

    #[test]
    fn keys_are_fetched_only_below_the_origin_of_the_base_url() {
        for jku in [
            "https://api.digi.me/jwks",
            "https://api.digi.me/a/../jwks?b=c#d",
            "https://api.digi.me/a@b:c\\d",
        ] {
            assert_eq!(
                check(&token_with_jku(jku), &KeyCache::default()),
                (Err(PlatformTokenError::Signature), 1),
                "{jku}"
            );
        }
        for jku in [
            "",
            "/jwks",
            "//api.digi.me/jwks",
            "api.digi.me/jwks",
            "null/jwks",
            "data:application/json,{}",
            "file:///jwks",
            "blob:https://api.digi.me/jwks",
            "filesystem:https://api.digi.me/jwks",
            "view-source:https://api.digi.me/jwks",
            "about:https://api.digi.me/jwks",
            "wss://api.digi.me/jwks",
            "http://api.digi.me/jwks",
            "http://api.digi.me:443/jwks",
            "HTTPS://api.digi.me/jwks",
            "https://API.digi.me/jwks",
            "https://api.digi.me./jwks",
            "https://api.digi.me:443/jwks",
            "https://api.digi.me:8443/jwks",
            "https://api.digi.me:/jwks",
            "https://api.digi.me",
            "https://api.digi.me?/jwks",
            "https://api.digi.me.evil.example/jwks",
            "https://api.digi.me@evil.example/jwks",
            "https://user@api.digi.me/jwks",
            "https://user:secret@api.digi.me/jwks",
            "https://:secret@api.digi.me/jwks",
            "https://@api.digi.me/jwks",
            "https://:@api.digi.me/jwks",
            "https://api.digi.me:secret@evil.example/jwks",
            "https://evil.example/https://api.digi.me/jwks",
            "https:\\\\api.digi.me\\jwks",
            "https:/\\api.digi.me/jwks",
            "https://api.digi.me\\@evil.example/jwks",
            "https://api.digi.me\\jwks",
            "https:api.digi.me/jwks",
            "https:///api.digi.me/jwks",
            "https://api%2Edigi.me/jwks",
            "https://api\u{3002}digi.me/jwks",
            " https://api.digi.me/jwks",
            "https://api.digi\t.me/jwks",
            "ht\ntps://api.digi.me/jwks",
        ] {
            assert_eq!(
                check(&token_with_jku(jku), &KeyCache::default()),
                (Err(PlatformTokenError::ForeignKeys), 0),
                "{jku:?}"
            );
        }
    }

    #[test]
    fn a_port_of_the_base_url_is_a_part_of_its_origin() {
        let base_url = Url::parse("http://127.0.0.1:8080/v1.5").expect("a URL");
        let named = |jku| {
            let token = token_with_jku(jku);
            let token = Received::parse(&token).expect("a token");
            key_named_by(&token, &base_url).map(|(jku, _)| jku.to_string())
        };
        assert_eq!(
            named("http://127.0.0.1:8080/jwks").as_deref(),
            Ok("http://127.0.0.1:8080/jwks")
        );
        for jku in [
            "http://127.0.0.1/jwks",
            "http://127.0.0.1:80/jwks",
            "http://127.0.0.1:08080/jwks",
            "http://127.1:8080/jwks",
            "http://localhost:8080/jwks",
        ] {
            assert_eq!(named(jku), Err(PlatformTokenError::ForeignKeys), "{jku}");
        }
    }

    #[test]
    fn keys_of_a_named_host_are_at_its_origin_too() {
        let base_url = Url::parse("http://sandbox:8700/v1.5").expect("a URL");
        let is_there = |jku| at_origin_of(&base_url, jku).is_some();
        assert!(is_there("http://sandbox:8700/jwks"));
        for jku in [
            "http://sandbox/jwks",
            "http://127.0.0.1:8700/jwks",
            "https://sandbox:8700/jwks",
            "http://sandbox.example:8700/jwks",
        ] {
            assert!(!is_there(jku), "{jku}");
        }
    }

    #[test]
    fn a_key_set_with_an_unreadable_key_still_verifies() {
        for unreadable in [
            json!(null),
            json!("k1"),
            json!(["k1"]),
            json!(["k1", pem_of("other"), null, null, null]),
            json!({}),
            json!({"kid": "x"}),
            json!({"pem": pem_of("other")}),
            json!({"kid": 1, "pem": pem_of("other")}),
            json!({"kid": null, "pem": pem_of("other")}),
            json!({"kid": "x", "pem": 1}),
            json!({"kid": "x", "pem": null}),
            json!({"kid": "k1", "pem": "not PEM"}),
            json!({"kid": "x", "pem": pem_of("other"), "key_ops": "verify"}),
        ] {
            let k1 = json!({"kid": "k1", "pem": pem_of("k1"), "x5t": [1]});
            for keys in [[&unreadable, &k1], [&k1, &unreadable]] {
                let jwks = json!({"keys": keys, "more": 1});
                let (result, _) = check_against(&jwks, &token_of_k1(), &KeyCache::default());
                assert!(result.is_ok(), "{unreadable}: {result:?}");
            }
        }
    }

    #[test]
    fn json_without_a_list_of_keys_is_no_key_set() {
        for jwks in [
            "null",
            "[]",
            "[[]]",
            "{}",
            r#"{"keys":null}"#,
            r#"{"keys":{}}"#,
            r#"{"keys":"k1"}"#,
        ] {
            assert!(serde_json::from_str::<JwkSet>(jwks).is_err(), "{jwks}");
        }
    }

    #[test]
    fn a_kid_of_two_different_keys_verifies_nothing() {
        for pems in [["k1", "other"], ["other", "k1"]] {
            let [one, two] = pems.map(|kid| json!({"kid": "k1", "pem": pem_of(kid)}));
            let jwks = json!({"keys": [one, two, {"kid": "x", "pem": pem_of("other")}]});
            let cache = KeyCache::default();
            assert_eq!(
                check_against(&jwks, &token_of_k1(), &cache),
                (Err(PlatformTokenError::AmbiguousKey), 1)
            );
            // The platform may have corrected its key set.
            let (result, fetches) = check(&token_of_k1(), &cache);
            assert!(result.is_ok());
            assert_eq!(fetches, 1);
        }
    }

    #[test]
    fn an_ambiguous_kid_leaves_the_other_keys_alone() {
        let two = ["k1", "other"].map(|kid| json!({"kid": "x", "pem": pem_of(kid)}));
        let jwks = json!({"keys": [two[0], two[1], {"kid": "k1", "pem": pem_of("k1")}]});
        let (result, _) = check_against(&jwks, &token_of_k1(), &KeyCache::default());
        assert!(result.is_ok(), "{result:?}");
    }

    #[test]
    fn a_key_that_is_listed_twice_is_not_ambiguous() {
        let block = pem::parse(pem_of("k1").as_str().expect("PEM")).expect("PEM");
        let key = verifying_key(block.contents()).expect("a key");
        let spki: PublicKeyX509Der<'_> = key.as_der().expect("SPKI");
        let spki = pem::encode(&pem::Pem::new("PUBLIC KEY", spki.as_ref()));
        let jwks = json!({"keys": [
            {"kid": "k1", "pem": pem_of("k1")},
            {"kid": "k1", "pem": spki},
            {"kid": "k1", "pem": pem_of("k1")},
        ]});
        let (result, _) = check_against(&jwks, &token_of_k1(), &KeyCache::default());
        assert!(result.is_ok(), "{result:?}");
    }

    #[test]
    fn a_key_for_another_use_verifies_nothing() {
        for (member, value, is_for_this) in [
            ("use", json!("sig"), true),
            ("use", json!(null), true),
            ("use", json!("enc"), false),
            ("use", json!(1), false),
            ("alg", json!("PS512"), true),
            ("alg", json!("RS512"), false),
            ("alg", json!("PS256"), false),
            ("key_ops", json!(["verify"]), true),
            ("key_ops", json!(["sign", "verify"]), true),
            ("key_ops", json!(["encrypt"]), false),
            ("key_ops", json!([]), false),
        ] {
            let mut key = json!({"kid": "k1", "pem": pem_of("k1"), "kty": "RSA"});
            key[member] = value;
            let jwks = json!({"keys": [key]});
            let (result, _) = check_against(&jwks, &token_of_k1(), &KeyCache::default());
            match result {
                Ok(_) => assert!(is_for_this, "{jwks}"),
                Err(error) => {
                    assert_eq!(error, PlatformTokenError::UnknownKey);
                    assert!(!is_for_this, "{jwks}");
                }
            }
        }
    }

    #[test]
    fn no_more_than_eight_key_sets_are_kept() {
        let cache = KeyCache::default();
        let jku = |number| format!("https://api.digi.me/jwks/{number}");
        for number in 0..8 {
            let _ = check(&token_with_jku(&jku(number)), &cache);
            assert_eq!(cache.known_sets(), number + 1);
        }
        for number in 0..3 * 8 {
            let _ = check(&token_with_jku(&jku(8 + number)), &cache);
            assert!(cache.known_sets() <= 8);
        }
    }

    #[test]
    fn a_key_set_that_is_fetched_anew_leaves_the_others_known() {
        let cache = KeyCache::default();
        for number in 0..8 {
            let token = token_with_jku(&format!("https://api.digi.me/jwks/{number}"));
            let _ = check(&token, &cache);
        }
        let unknown = json!({"alg": "PS512", "kid": "x", "jku": "https://api.digi.me/jwks/0"});
        assert_eq!(
            check(&token_with_header(&unknown), &cache),
            (Err(PlatformTokenError::UnknownKey), 1)
        );
        let known = token_with_jku("https://api.digi.me/jwks/1");
        assert_eq!(
            check(&known, &cache),
            (Err(PlatformTokenError::Signature), 0)
        );
    }

    /// Refreshes tokens with a platform that answers requests for its key set by `keys`, which gets the number of earlier
    /// requests and the time since the first. Returns the outcome, the number of requests for the key set, and the time.
    async fn refresh(
        keys: impl Fn(u32, Duration) -> Answer + Send + Sync + 'static,
    ) -> (Result<Tokens, PlatformError>, u32, Duration) {
        let (fetches, begun) = (Arc::new(AtomicU32::new(0)), Instant::now());
        let count = fetches.clone();
        let client = scripted::client(move |path| {
            if path.ends_with("/jwks") {
                keys(count.fetch_add(1, Relaxed), begun.elapsed())
            } else {
                let claims = json!({"access_token": "a", "refresh_token": "r", "expires_on": 4_000_000_000_u64});
                scripted::signed(&claims)
            }
        });
        let client = client.build().expect("a client");
        let platform = crate::flow::contract::platform(&scripted::receipts(), &client);
        let spent =
            json!({"access_token": "a", "refresh_token": "refresh-secret-123", "expires_on": 0});
        let spent: Tokens = serde_json::from_value(spent).expect("tokens");
        let refreshed = platform.refresh::<PostboxTokens>(&spent, || {}).await;
        (refreshed, fetches.load(Relaxed), begun.elapsed())
    }

    fn good_keys() -> Answer {
        scripted::ok(&scripted::key_set())
    }

    fn no_keys() -> Answer {
        scripted::ok(&json!({"keys": []}))
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_survive_minutes_without_a_key_set() {
        let away: [fn() -> Answer; 4] = [
            || scripted::status(503),
            || scripted::status(404),
            || scripted::ok(&json!("maintenance")),
            || scripted::with_header(scripted::status(503), "retry-after", "3600"),
        ];
        for answer in away {
            let (refreshed, ..) = refresh(move |_, elapsed| {
                if elapsed < Duration::from_mins(4) {
                    answer()
                } else {
                    good_keys()
                }
            })
            .await;
            assert!(refreshed.is_ok(), "{refreshed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_set_that_never_comes_is_named_in_the_error() {
        let (refreshed, fetches, took) = refresh(|_, _| scripted::status(503)).await;
        let error = Chain(&refreshed.expect_err("no keys")).to_string();
        assert!(error.contains("keys") && error.contains("503"), "{error}");
        assert!(fetches > 10, "{fetches}");
        let minutes = Duration::from_secs(4 * 60 + 30)..=PATIENCE;
        assert!(minutes.contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_set_without_the_key_is_fetched_again_as_often_as_requests_are_retried() {
        let lacks = |lacking: u32| {
            refresh(move |fetch, _| {
                if fetch < lacking {
                    no_keys()
                } else {
                    good_keys()
                }
            })
        };
        let (refreshed, fetches, _) = lacks(4).await;
        assert!(refreshed.is_ok(), "{refreshed:?}");
        assert_eq!(fetches, 5);
        let (refreshed, fetches, _) = lacks(u32::MAX).await;
        let error = refreshed.expect_err("no key");
        let is_unknown = matches!(
            error,
            PlatformError::Request(RequestError::Untrusted {
                source: PlatformTokenError::UnknownKey,
                ..
            })
        );
        assert!(is_unknown, "{error}");
        assert_eq!(fetches, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_set_that_is_wrong_once_loses_no_tokens() {
        let wrong = vectors::key_pem("contract", "RSA PUBLIC KEY", "pkcs1_public_der_b64");
        let right = scripted::key_set()["keys"][0].clone();
        let wrong = json!({"kid": right["kid"], "pem": wrong});
        for keys in [json!([wrong]), json!([right, wrong])] {
            let (refreshed, fetches, _) = refresh(move |fetch, _| match fetch {
                0 => scripted::ok(&json!({"keys": keys})),
                _ => good_keys(),
            })
            .await;
            assert!(refreshed.is_ok(), "{refreshed:?}");
            assert_eq!(fetches, 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_a_key_set_repeats_is_redacted() {
        let refused =
            json!({"error": {"code": "No", "message": "your refresh token is refresh-secret-123"}});
        let (refreshed, ..) = refresh(move |_, _| {
            let mut answer = scripted::ok(&refused);
            *answer.status_mut() = reqwest::StatusCode::NOT_FOUND;
            answer
        })
        .await;
        let error = Chain(&refreshed.expect_err("no keys")).to_string();
        assert!(
            error.contains("404") && !error.contains("secret"),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn keys_for_answers_without_tokens_are_retried_as_usual() {
        for (keys, expected) in [
            (no_keys as fn() -> Answer, 1),
            (|| scripted::ok(&json!("maintenance")), 1),
            (|| scripted::status(404), 1),
            (|| scripted::status(503), 5),
        ] {
            let fetches = Arc::new(AtomicU32::new(0));
            let count = fetches.clone();
            let client = scripted::client(move |path| {
                if path.ends_with("/jwks") {
                    count.fetch_add(1, Relaxed);
                    keys()
                } else {
                    scripted::signed(&json!({"preauthorization_code": "p"}))
                }
            });
            let client = client.build().expect("a client");
            let platform = crate::flow::contract::platform(&scripted::receipts(), &client);
            let verifier = CodeVerifier::new(client.random());
            let authorized = platform.authorize(&verifier, "state").await;
            assert!(authorized.is_err());
            assert_eq!(fetches.load(Relaxed), expected);
        }
    }
}
