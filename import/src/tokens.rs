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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_without_ids_is_taken_and_one_without_a_token_is_not() {
        let token = |value: &str| json!({"value": value, "expires_on": 7});
        let answer = json!({"access_token": token("the-access-token"), "refresh_token": token("the-refresh-token")});
        let answer: ImportTokens = serde_json::from_value(answer).expect("an answer");
        crate::examples::says_nothing_secret(&format!("{answer:?}"));
        crate::examples::says_nothing_secret(&format!("{:?}", answer.issued()));
        let without = json!({"access_token": token("a"), "sub": "ada"});
        assert!(serde_json::from_value::<ImportTokens>(without).is_err());
        let without = json!({"refresh_token": token("a"), "sub": "ada"});
        assert!(serde_json::from_value::<ImportTokens>(without).is_err());
    }
}
