//! Which claims the token of a request has to have and may have.

use crate::refusal::Refusal;
use crate::request_token::Request;

/// The claims of an endpoint beside those of every token.
pub(super) struct Claims {
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
}

const OF_EVERY_TOKEN: [&str; 3] = ["client_id", "nonce", "timestamp"];

/// The claims that API 1.5 has and 1.7 has not.
const DROPPED: [&str; 4] = ["iv", "metadata", "session_key", "symmetrical_key"];

/// Nothing but the claims of every token.
pub(super) const BASE: Claims = Claims {
    required: &[],
    optional: &[],
};

pub(super) const OF_USER: Claims = Claims {
    required: &["access_token"],
    optional: &[],
};

pub(super) const AUTHORIZE: Claims = Claims {
    required: &[
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "response_mode",
        "response_type",
        "state",
    ],
    optional: &["access_token"],
};

pub(super) const EXCHANGE: Claims = Claims {
    required: &["code", "code_verifier", "grant_type"],
    optional: &[],
};

pub(super) const REFRESH: Claims = Claims {
    required: &["grant_type", "refresh_token"],
    optional: &[],
};

pub(super) const REAUTHORIZE: Claims = Claims {
    required: &[
        "access_token",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
    ],
    optional: &["state"],
};

pub(super) const ADD_SERVICE: Claims = Claims {
    required: &["access_token", "redirect_uri"],
    optional: &["state"],
};

impl Claims {
    pub(super) fn check(&self, request: &Request) -> Result<(), Refusal> {
        for name in request.names() {
            let own = self.required.iter().chain(self.optional);
            if !own.chain(&OF_EVERY_TOKEN).any(|known| *known == name) {
                return Err(surplus(name));
            }
        }
        for name in self.required {
            request.claim(name)?;
        }
        for name in self.optional {
            request.optional(name)?;
        }
        if self.required.contains(&"redirect_uri") {
            request.redirect_uri()?;
        }
        Ok(())
    }
}

fn surplus(name: &str) -> Refusal {
    let why = if name == "redirect_uri" {
        "in API 1.7 only authorize and token/reference have it"
    } else if DROPPED.contains(&name) {
        "API 1.7 has it no more"
    } else {
        "this endpoint knows no such claim"
    };
    Refusal::request(format!("the token has `{name}`: {why}"))
}
