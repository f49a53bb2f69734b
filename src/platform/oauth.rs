//! `POST oauth/authorize` and `POST oauth/token`: PKCE and the tokens of an ongoing contract.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Platform;
use super::attempts::Deadline;
use super::client::Client;
use super::error::{Operation, PlatformError};
use super::request::Request;

use crate::callback::AuthorizationCode;
use crate::pkce::CodeVerifier;
use crate::{secret, unix_time};

/// The token with which the application may push for a user until it expires (RFC 6749, section 1.4).
///
/// It can't be printed. Two tokens are compared in constant time.
///
/// ```
/// # use digime::{Authorized, Flow};
/// # fn run<C>(authorized: &Flow<C, Authorized>) {
/// let token = authorized.access_token();
/// assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
/// # }
/// ```
#[derive(Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// The token as a string. Anyone who has it and the contract's private key can push.
    ///
    /// ```
    /// # use digime::AccessToken;
    /// fn is_known(token: &AccessToken, digest: impl Fn(&str) -> u64, known: u64) -> bool {
    ///     digest(token.secret()) == known
    /// }
    /// ```
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Compares in constant time.
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
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct Authorization {
    pub preauthorization_code: SecretString,
}

/// The tokens of a user's consent: an access token, its expiry, and the refresh token. They are what a flow's record keeps of
/// its [`Grant`](crate::tokens::Grant). It is secret, and can't be printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    #[serde(serialize_with = "secret::expose")]
    access_token: SecretString,
    #[serde(serialize_with = "secret::expose")]
    pub(crate) refresh_token: SecretString,
    /// Unix time in seconds.
    expires_on: u64,
    /// Whether the refresh token was used, as far as it is known.
    #[serde(default, skip_serializing_if = "RefreshToken::is_unsent")]
    pub(crate) refresh: RefreshToken,
    /// When the user's consent was received, in Unix milliseconds by the platform's clock.
    #[serde(default)]
    consented_at: u64,
    /// How many refreshes led to these tokens since the consent.
    #[serde(default)]
    refreshes: u64,
    /// When the refresh token expires, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_expires_on: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_id: Option<String>,
}

/// The platform's answer to a request for tokens, at one version of its API.
///
/// A library implements it for a type with the claims of the answer, which the platform has signed. A claim that it does not
/// find is an error of the request, so it asks for every claim that it needs.
///
/// ```
/// use digime::request::Request;
/// use digime::tokens::{IssuedTokens, TokenAnswer};
///
/// #[derive(serde::Deserialize)]
/// struct Answer {
///     access_token: Token,
///     refresh_token: Token,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Token {
///     value: String,
///     expires_on: u64,
/// }
///
/// impl TokenAnswer for Answer {
///     fn issued(self) -> IssuedTokens {
///         let (access, refresh) = (self.access_token, self.refresh_token);
///         IssuedTokens::new(access.value, access.expires_on, refresh.value)
///             .refresh_token_expires_on(refresh.expires_on)
///     }
///
///     fn request(request: Request) -> Request {
///         request.without_redirect_uri()
///     }
/// }
/// ```
pub trait TokenAnswer: DeserializeOwned + Send + 'static {
    /// The tokens in the answer.
    fn issued(self) -> IssuedTokens;

    /// The request for tokens, `POST oauth/token`, as this version of the API wants it. By default its token has the claims of
    /// the grant, and the contract's redirect URI.
    fn request(request: Request) -> Request {
        request
    }
}

/// The tokens that the platform has issued.
///
/// ```
/// use digime::tokens::IssuedTokens;
///
/// let issued = IssuedTokens::new("access", 1_800_000_000, "refresh").user_id("user-7");
/// assert!(!format!("{issued:?}").contains("access\""));
/// ```
#[must_use = "a token answer returns it"]
pub struct IssuedTokens {
    access_token: SecretString,
    expires_on: u64,
    refresh_token: SecretString,
    refresh_expires_on: Option<u64>,
    user_id: Option<String>,
    consent_id: Option<String>,
}

impl IssuedTokens {
    /// An access token, its expiry in seconds of Unix time, and a refresh token (RFC 6749, section 5.1).
    pub fn new(
        access_token: impl Into<String>,
        expires_on: u64,
        refresh_token: impl Into<String>,
    ) -> Self {
        Self {
            access_token: access_token.into().into(),
            expires_on,
            refresh_token: refresh_token.into().into(),
            refresh_expires_on: None,
            user_id: None,
            consent_id: None,
        }
    }

    /// Says when the refresh token expires, in seconds of Unix time. The consent ends then.
    pub fn refresh_token_expires_on(mut self, seconds: u64) -> Self {
        self.refresh_expires_on = Some(seconds);
        self
    }

    /// Says whose tokens they are: the platform's id of the user.
    pub fn user_id(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// Says to which consent they belong: the platform's id of it.
    pub fn consent_id(mut self, id: impl Into<String>) -> Self {
        self.consent_id = Some(id.into());
        self
    }

    /// The first tokens of a consent.
    fn of_consent(self, consented_at: u64) -> Tokens {
        Tokens {
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            expires_on: self.expires_on,
            refresh: RefreshToken::Unsent,
            consented_at,
            refreshes: 0,
            refresh_expires_on: self.refresh_expires_on,
            user_id: self.user_id,
            consent_id: self.consent_id,
        }
    }

    /// The tokens that replace spent ones. A refresh changes neither the user nor the consent.
    fn in_place_of(self, spent: &Tokens) -> Tokens {
        let new = self.of_consent(spent.consented_at);
        Tokens {
            refreshes: spent.refreshes.saturating_add(1),
            user_id: new.user_id.or_else(|| spent.user_id.clone()),
            consent_id: new.consent_id.or_else(|| spent.consent_id.clone()),
            ..new
        }
    }
}

impl fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedTokens")
            .field("expires_on", &self.expires_on)
            .field("refresh_expires_on", &self.refresh_expires_on)
            .finish_non_exhaustive()
    }
}

/// The claims of the answer to a token request of a postbox's flow. It is not read as [`Tokens`], since the platform must not
/// set the fields that only this library knows.
#[derive(Debug, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in a trait of our states")]
pub struct PostboxTokens {
    access_token: SecretString,
    refresh_token: SecretString,
    expires_on: u64,
}

impl TokenAnswer for PostboxTokens {
    fn issued(self) -> IssuedTokens {
        IssuedTokens {
            access_token: self.access_token,
            expires_on: self.expires_on,
            refresh_token: self.refresh_token,
            refresh_expires_on: None,
            user_id: None,
            consent_id: None,
        }
    }
}

/// Whether a refresh token was used, as far as it is known. The platform takes it once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefreshToken {
    /// It was not sent, or the platform did not use it.
    #[default]
    Unsent,
    /// It may have been sent. Only its sender may know the result.
    Sent { by: String },
    /// The platform refused it with this code: the grant has ended.
    Ended { code: String },
}

impl RefreshToken {
    fn is_unsent(&self) -> bool {
        *self == Self::Unsent
    }
}

impl Tokens {
    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        AccessToken(self.access_token.clone())
    }

    /// When the access token expires, by the platform's clock.
    #[must_use]
    pub fn access_token_expires_at(&self) -> SystemTime {
        unix_time::time(Duration::from_secs(self.expires_on))
    }

    /// When the consent ends, by the platform's clock: then the refresh token expires. `None` if the platform does not say, as
    /// for a postbox.
    #[must_use]
    pub fn consent_expires_at(&self) -> Option<SystemTime> {
        let seconds = self.refresh_expires_on?;
        Some(unix_time::time(Duration::from_secs(seconds)))
    }

    /// The platform's id of the user, if it has said one.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// The platform's id of the consent, if it has said one.
    #[must_use]
    pub fn consent_id(&self) -> Option<&str> {
        self.consent_id.as_deref()
    }

    /// Whether the consent has ended: the platform has said so, or its time is over by the platform's clock, as `client` knows it.
    /// False if the platform says neither.
    #[must_use]
    pub fn consent_has_ended(&self, client: &Client) -> bool {
        let ends = self.consent_expires_at();
        self.ended().is_some() || ends.is_some_and(|ends| ends <= client.platform_clock())
    }

    /// Why the consent has ended, if that is known: the platform's code.
    #[must_use]
    pub fn ended(&self) -> Option<&str> {
        match &self.refresh {
            RefreshToken::Ended { code } => Some(code),
            _ => None,
        }
    }

    /// Whether these are newer than other tokens of the same consent. Tokens that an earlier version of this library wrote
    /// have no count.
    pub(crate) fn are_refreshed_from(&self, other: &Self) -> bool {
        if self.consented_at == 0 || other.consented_at == 0 {
            return self.expires_on > other.expires_on;
        }
        (self.refreshes, self.expires_on) > (other.refreshes, other.expires_on)
    }

    /// When the user's consent was received, in Unix milliseconds by the platform's clock; 0 if it is not known.
    pub(crate) fn consented_at(&self) -> u64 {
        self.consented_at
    }

    /// Whether it has expired by `now`, in Unix milliseconds.
    pub(crate) fn have_expired(&self, now: u64) -> bool {
        self.expires_on.saturating_mul(1000) <= now
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("access_token_expires_at", &self.access_token_expires_at())
            .field("consent_expires_at", &self.consent_expires_at())
            .finish_non_exhaustive()
    }
}

/// An answer that is a platform token.
#[derive(Deserialize)]
struct TokenOfAnswer {
    token: SecretString,
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
    /// Sends the authorization request of a flow, with its challenge and state.
    pub async fn authorize(
        &self,
        verifier: &CodeVerifier,
        state: &str,
    ) -> Result<Authorization, PlatformError> {
        let claims = AuthorizeClaims {
            code_challenge: &verifier.challenge(),
            code_challenge_method: "S256",
            response_mode: "query",
            response_type: "code",
            state,
        };
        let request = Request::post(["oauth", "authorize"], Operation::Authorize)
            .claims(&claims)
            .secret(state);
        let deadline = Deadline::after(self.client.call_timeout());
        self.oauth(request, deadline)
            .await
            .map(|(authorization, _)| authorization)
    }

    /// Exchanges the callback's code, with the verifier, for tokens. If this future is dropped, the code is lost.
    pub(super) async fn send_code<A: TokenAnswer>(
        &self,
        code: &AuthorizationCode,
        verifier: &CodeVerifier,
        deadline: Deadline,
    ) -> Result<Tokens, PlatformError> {
        let (code, code_verifier) = (code.expose(), verifier.secret());
        let claims = GrantClaims::AuthorizationCode {
            code,
            code_verifier,
        };
        let request = token_request::<A>(Operation::ExchangeCode, &claims)
            .secret(code)
            .secret(code_verifier);
        self.oauth(request, deadline)
            .await
            .map(|(answer, came_at): (A, _)| {
                let issued = answer.issued();
                self.learn_from_new(&issued, came_at);
                issued.of_consent(self.client.platform_time(came_at))
            })
    }

    /// Learns the platform's time from tokens that were just issued and so have not expired.
    fn learn_from_new(&self, issued: &IssuedTokens, came_at: u64) {
        let expires = issued.expires_on.saturating_mul(1000);
        self.client.end_of_new(expires, came_at);
    }

    /// Exchanges a refresh token for new tokens. If this future is dropped, the new tokens are lost. `before_sending` is called
    /// when the token is about to be sent, and not if nobody signs the request.
    pub async fn refresh<A: TokenAnswer>(
        &self,
        tokens: &Tokens,
        before_sending: impl Fn() + Send + Sync + 'static,
    ) -> Result<Tokens, PlatformError> {
        let refresh_token = tokens.refresh_token.expose_secret();
        let claims = GrantClaims::RefreshToken { refresh_token };
        let mut request =
            token_request::<A>(Operation::RefreshToken, &claims).secret(refresh_token);
        request.before_sending = Some(Box::new(before_sending));
        let deadline = Deadline::after(self.client.call_timeout());
        self.oauth(request, deadline)
            .await
            .map(|(answer, came_at): (A, _)| {
                let issued = answer.issued();
                self.learn_from_new(&issued, came_at);
                issued.in_place_of(tokens)
            })
    }

    /// The claims of the answer, and when it came by this machine's clock, in Unix milliseconds.
    async fn oauth<T: DeserializeOwned>(
        &self,
        request: Request,
        deadline: Deadline,
    ) -> Result<(T, u64), PlatformError> {
        let answer = self.request_until(&request, deadline, false, Ok).await?;
        let token = answer.json::<TokenOfAnswer>()?.token;
        let claims = self.verify(&answer, token.expose_secret()).await?;
        Ok((claims, answer.came_at))
    }
}

/// A request for tokens. Nobody can ask for its answer again.
fn token_request<A: TokenAnswer>(operation: Operation, claims: &GrantClaims<'_>) -> Request {
    let request = Request::post(["oauth", "token"], operation).claims(claims);
    A::request(request).patient()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::PostboxTokens;

    #[test]
    fn an_answer_may_say_more_than_is_read() {
        let answer = json!({
            "access_token": "a", "refresh_token": "r", "expires_on": 4_000_000_000_u64,
            "refresh_token_expires_on": 4_002_000_000_u64, "refresh_expires_in": null, "consent": {"ends": "soon"},
        });
        let answer: PostboxTokens = serde_json::from_value(answer).expect("tokens");
        assert_eq!(answer.expires_on, 4_000_000_000);
    }
}
