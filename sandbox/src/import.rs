//! API 1.7: consent in a browser, and pushes that are imported into the user's library.

mod bodies;
mod claims;
mod file_descriptor;
mod library;
mod oauth;
pub(crate) mod onboarding;
mod pushes;

pub(crate) use oauth::Invited;

use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::api::Api;
use crate::clock::end;
use crate::platform::Platform;
use crate::platform::grant::Grant;
use crate::platform::grants::AccessToken;
use crate::random;
use crate::refusal::Refusal;
use crate::request_token::Request;

use claims::Claims;

/// A request of an application on behalf of a user, whose access token is valid.
struct OfUser {
    request: Request,
    grant: Grant,
    user_id: String,
}

impl Platform {
    /// Verifies the token of a request to API 1.7.
    fn verify_import(&mut self, headers: &HeaderMap, claims: &Claims) -> Result<Request, Refusal> {
        let request = self.verify_for(Api::Import, headers)?;
        claims.check(&request)?;
        Ok(request)
    }

    /// The same with the access token of a user and no claims beside it.
    fn verify_user(&mut self, headers: &HeaderMap) -> Result<OfUser, Refusal> {
        let request = self.verify_import(headers, &claims::OF_USER)?;
        let token = self.known_token(&request)?;
        self.check_expiry(token)?;
        let grant = token.grant.clone();
        let user_id = user_of(&grant)?.to_owned();
        Ok(OfUser {
            request,
            grant,
            user_id,
        })
    }

    /// The access token of a request, which is the contract's and possibly expired.
    fn known_token(&self, request: &Request) -> Result<&AccessToken, Refusal> {
        self.grants
            .access_token(request.claim("access_token")?)
            .filter(|token| token.grant.contract_id == request.contract.contract_id)
            .ok_or_else(|| Refusal::token("the access token is unknown to this contract"))
    }

    fn check_expiry(&self, token: &AccessToken) -> Result<(), Refusal> {
        if token.expiry > self.now() {
            Ok(())
        } else {
            Err(Refusal::expired_access_token())
        }
    }

    /// A new session. Only reading needs it, and the sandbox plays no reading, so nothing else is kept of it.
    fn session(&self) -> Value {
        let expiry = end(self.now(), self.session_lifetime);
        json!({"key": random::key(), "expiry": expiry})
    }
}

/// The user of a consent under an import contract.
fn user_of(grant: &Grant) -> Result<&str, Refusal> {
    let user_id = grant.place.user_id();
    user_id.ok_or_else(|| Refusal::token("the access token is for a postbox"))
}

/// A header that must be there and not empty.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Refusal::request(format!("there is no header `{name}`")))
}

/// Checks the content type of a request, whose parameters do not matter.
fn check_content_type(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let written = header(headers, "content-type")?;
    let essence = written.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        let why = format!("`Content-Type` is `{written}`, not `{expected}`");
        Err(Refusal::request(why))
    }
}
