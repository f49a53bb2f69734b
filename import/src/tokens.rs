//! How API 1.7 speaks of tokens.

use digime::request::Request;
use digime::tokens::{IssuedTokens, TokenAnswer};
use serde::Deserialize;

/// The claims of the answer to a token request. The tokens must be there; the ids may be missing.
#[derive(Debug, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in traits")]
pub struct ImportTokens {
    access_token: Token,
    refresh_token: Token,
    sub: Option<String>,
    #[serde(rename = "consentid")]
    consent_id: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    value: String,
    /// Unix time in seconds.
    expires_on: u64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("expires_on", &self.expires_on)
            .finish_non_exhaustive()
    }
}

impl TokenAnswer for ImportTokens {
    fn issued(self) -> IssuedTokens {
        let (access, refresh) = (self.access_token, self.refresh_token);
        let mut issued = IssuedTokens::new(access.value, access.expires_on, refresh.value)
            .refresh_token_expires_on(refresh.expires_on);
        if let Some(user) = self.sub {
            issued = issued.user_id(user);
        }
        if let Some(consent) = self.consent_id {
            issued = issued.consent_id(consent);
        }
        issued
    }

    /// Only the requests that lead to a page name the redirect URI.
    fn request(request: Request) -> Request {
        request.without_redirect_uri()
    }
}
