//! The token that an application signs, which identifies the application and its request.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use crate::api::Api;
use crate::clock::{millis, now};
use crate::contract::{Contract, Contracts};
use crate::nonces::Nonces;
use crate::refusal::Refusal;

/// How far an application's clock may be off.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// How long a token can be valid: one whose timestamp is ahead as far as it may be, until the timestamp is too old.
pub(crate) const LONGEST_VALID: Duration = Duration::from_secs(2 * CLOCK_SKEW.as_secs());

/// The claims of a request whose token was verified.
pub(crate) struct Request {
    pub contract: Contract,
    claims: Map<String, Value>,
}

impl Request {
    /// A claim that must be a string.
    pub(crate) fn claim(&self, name: &'static str) -> Result<&str, Refusal> {
        self.optional(name)?
            .ok_or_else(|| Refusal::request(format!("the token has no `{name}`")))
    }

    /// A claim that is a string if it is present.
    pub(crate) fn optional(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::request(format!("`{name}` is not a string"))),
        }
    }

    /// The redirect URI, which is one of the contract's.
    pub(crate) fn redirect_uri(&self) -> Result<&str, Refusal> {
        let redirect_uri = self.claim("redirect_uri")?;
        let mut registered = self.contract.redirect_uris.iter();
        if registered.any(|own| own == redirect_uri) {
            Ok(redirect_uri)
        } else {
            Err(Refusal::redirect_uri(
                "the redirect URI is not registered for the contract",
            ))
        }
    }

    /// The code challenge, by the only method of the protocol.
    pub(crate) fn challenge(&self) -> Result<&str, Refusal> {
        self.fixed("code_challenge_method", "S256")?;
        let challenge = self.claim("code_challenge")?;
        let hash = BASE64_URL_SAFE_NO_PAD.decode(challenge);
        if hash.map(|hash| hash.len()) == Ok(32) {
            Ok(challenge)
        } else {
            Err(Refusal::request(
                "`code_challenge` is not base64url of a SHA-256",
            ))
        }
    }

    /// The names of the claims.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.claims.keys().map(String::as_str)
    }

    /// Checks that a claim has the only value that the protocol allows.
    pub(crate) fn fixed(&self, name: &'static str, value: &str) -> Result<(), Refusal> {
        match self.claim(name)? {
            claim if claim == value => Ok(()),
            _ => Err(Refusal::request(format!("`{name}` is not `{value}`"))),
        }
    }
}

/// Verifies the token of a request, and uses up its nonce. Its timestamp is compared with the machine's clock, because that is
/// the caller's too.
pub(crate) fn verify(
    headers: &HeaderMap,
    api: Api,
    contracts: &Contracts,
    nonces: &mut Nonces,
) -> Result<Request, Refusal> {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| Refusal::jwt("no bearer token"))?;
    check_header(token)?;
    let unverified = insecure_decode::<Value>(token)
        .map_err(|error| Refusal::jwt(format!("not a token: {error}")))?;
    let client_id = unverified.claims["client_id"].as_str().unwrap_or_default();
    let contract = contracts
        .by_client_id(client_id)
        .ok_or_else(|| api.unknown_client())?;
    let claims = verify_signature(token, contract)
        .ok_or_else(|| Refusal::jwt("the signature is not the contract's"))?;
    let request = Request {
        contract: contract.clone(),
        claims,
    };
    let now = now();
    check_nonce(request.claim("nonce")?, nonces, now)?;
    check_timestamp(&request.claims, now)?;
    api.admit(contract)?;
    Ok(request)
}

/// Checks that a token's algorithm and type are the protocol's.
pub(crate) fn check_header(token: &str) -> Result<(), Refusal> {
    let header =
        decode_header(token).map_err(|error| Refusal::jwt(format!("not a token: {error}")))?;
    if header.alg != Algorithm::PS512 {
        return Err(Refusal::jwt(format!(
            "signed with {:?}, not PS512",
            header.alg
        )));
    }
    if header.typ.as_deref() != Some("JWT") {
        return Err(Refusal::jwt("`typ` is not `JWT`"));
    }
    Ok(())
}

/// The payload of a token, if a contract has signed it.
pub(crate) fn verify_signature(token: &str, contract: &Contract) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(Algorithm::PS512);
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_rsa_der(&contract.public_key);
    Some(decode(token, &key, &validation).ok()?.claims)
}

fn check_nonce(nonce: &str, nonces: &mut Nonces, now: u64) -> Result<(), Refusal> {
    if nonce.len() != 32 || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Refusal::jwt("the nonce is not 32 letters and digits"));
    }
    if !nonces.use_up(nonce, now) {
        return Err(Refusal::jwt("the nonce was used before"));
    }
    Ok(())
}

fn check_timestamp(claims: &Map<String, Value>, now: u64) -> Result<(), Refusal> {
    match claims.get("timestamp").and_then(Value::as_u64) {
        None => Err(Refusal::jwt("`timestamp` is not a number of milliseconds")),
        Some(timestamp) if timestamp.abs_diff(now) > millis(CLOCK_SKEW) => {
            Err(Refusal::jwt("`timestamp` is not now"))
        }
        Some(_) => Ok(()),
    }
}
