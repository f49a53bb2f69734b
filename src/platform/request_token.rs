//! The signed token in every request except the one for a session.

use serde::Serialize;
use zeroize::Zeroizing;

use super::{Platform, jws};
use crate::internal::InternalError;

/// The claims that every request token has, and those of the particular request.
#[derive(Serialize)]
struct Claims<'a, T> {
    client_id: String,
    nonce: String,
    /// Unix time in milliseconds.
    timestamp: u64,
    redirect_uri: &'a str,
    #[serde(flatten)]
    of_request: &'a T,
}

impl Platform {
    /// Signs a token for one attempt at a request. The platform accepts a nonce once, so each attempt needs its own token.
    pub fn request_token(
        &self,
        of_request: &impl Serialize,
    ) -> Result<Zeroizing<String>, InternalError> {
        let claims = Claims {
            client_id: self.credentials.client_id(),
            nonce: self.client.random().nonce(),
            timestamp: self.client.now(),
            redirect_uri: self.credentials.redirect_uri.as_str(),
            of_request,
        };
        jws::sign(&claims, &self.credentials.private_key)
    }
}
