//! `POST oauth/authorize` and `POST oauth/token`: PKCE and the tokens of an ongoing contract.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use reqwest::header::CONTENT_LENGTH;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Platform;
use crate::error::{Error, Operation, RequestError};
use crate::pkce::CodeVerifier;
use crate::{secret, unix_time};

/// The codes by which the platform says that a refresh token is no good any more.
const CONSENT_ENDED: [&str; 6] = [
    "InvalidJWT",
    "InvalidRequest",
    "InvalidRedirectUri",
    "InvalidGrant",
    "InvalidToken",
    "InvalidTokenType",
];

/// What lets the application push for a user, until it expires (RFC 6749, section 1.4).
///
/// It can't be printed; [`AccessToken::secret`] reads it.
#[derive(Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// The token itself. Whoever has it and the contract's key can push.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.expose_secret()
    }
}

/// In constant time.
impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.secret().as_bytes(), other.secret().as_bytes()).is_ok()
    }
}

impl Eq for AccessToken {}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

/// The answer to an authorization request.
#[derive(Debug, Deserialize)]
pub struct Authorization {
    pub preauthorization_code: SecretString,
}

/// An access token, when it expires, and what it is refreshed with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    #[serde(serialize_with = "secret::expose")]
    access_token: SecretString,
    #[serde(serialize_with = "secret::expose")]
    pub refresh_token: SecretString,
    /// Unix time in seconds.
    expires_on: u64,
}

impl Tokens {
    pub fn access_token(&self) -> AccessToken {
        AccessToken(self.access_token.clone())
    }

    pub fn expires_at(&self) -> SystemTime {
        unix_time::time(Duration::from_secs(self.expires_on))
    }

    /// Whether it has expired by `now`, in Unix milliseconds.
    pub fn have_expired(&self, now: u64) -> bool {
        self.expires_on.saturating_mul(1000) <= now
    }
}

#[derive(Serialize)]
struct AuthorizeClaims<'a> {
    code_challenge: &'a str,
    code_challenge_method: &'static str,
    response_mode: &'static str,
    response_type: &'static str,
    state: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
enum GrantClaims<'a> {
    AuthorizationCode {
        code: &'a str,
        code_verifier: &'a str,
    },
    RefreshToken {
        refresh_token: &'a str,
    },
}

impl Platform {
    /// Announces a flow, by its challenge and state.
    pub async fn authorize(
        &self,
        verifier: &CodeVerifier,
        state: &str,
    ) -> Result<Authorization, Error> {
        let claims = AuthorizeClaims {
            code_challenge: &verifier.challenge(),
            code_challenge_method: "S256",
            response_mode: "query",
            response_type: "code",
            state,
        };
        self.oauth(Operation::Authorize, "authorize", &claims).await
    }

    /// Exchanges the callback's code, with the verifier, for tokens.
    pub async fn exchange_code(
        &self,
        code: &SecretString,
        verifier: &CodeVerifier,
    ) -> Result<Tokens, Error> {
        let claims = GrantClaims::AuthorizationCode {
            code: code.expose_secret(),
            code_verifier: verifier.expose(),
        };
        self.oauth(Operation::ExchangeCode, "token", &claims).await
    }

    /// Exchanges a refresh token for new tokens.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Tokens, Error> {
        let claims = GrantClaims::RefreshToken {
            refresh_token: refresh_token.expose_secret(),
        };
        match self.oauth(Operation::RefreshToken, "token", &claims).await {
            Err(Error::Request(RequestError::Refused { refusal, .. }))
                if CONSENT_ENDED.contains(&&*refusal.code) =>
            {
                Err(Error::ConsentEnded { code: refusal.code })
            }
            other => other,
        }
    }

    async fn oauth<T: DeserializeOwned>(
        &self,
        operation: Operation,
        endpoint: &str,
        claims: &(impl Serialize + Sync),
    ) -> Result<T, Error> {
        #[derive(Deserialize)]
        struct Answer {
            token: SecretString,
        }

        let url = self.client.endpoint(&["oauth", endpoint]);
        let answer: Answer = self
            .call(operation, || {
                let token = self.request_token(claims)?;
                let request = self.client.http().post(url.clone()).bearer_auth(&*token);
                // Everything is in the token; the length of nothing is still owed (RFC 9110, section 8.6).
                Ok(request.header(CONTENT_LENGTH, 0))
            })
            .await?;
        self.verify(operation, answer.token.expose_secret()).await
    }
}
