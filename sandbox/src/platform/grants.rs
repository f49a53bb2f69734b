//! Codes, tokens and the consents that they stand for.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::clock::{millis, now};
use crate::platform::Preauthorization;
use crate::random;
use crate::refusal::Refusal;
use crate::request_token::Request;

/// A consent under an ongoing contract.
#[derive(Clone)]
pub(crate) struct Consent {
    pub grant: Grant,
    /// When the user gave it, in Unix milliseconds.
    pub since: u64,
}

/// What a code or token is for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub contract_id: String,
    pub postbox_id: String,
}

pub(crate) struct Grants {
    access_token_lifetime: Duration,
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, Grant>,
    consents: Vec<Consent>,
    refreshes: u64,
}

struct Code {
    grant: Grant,
    challenge: String,
    redirect_uri: String,
    spent: bool,
}

struct AccessToken {
    grant: Grant,
    /// Unix time in milliseconds.
    expiry: u64,
}

impl Grants {
    pub(crate) fn new(access_token_lifetime: Duration) -> Self {
        Self {
            access_token_lifetime,
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            consents: Vec::new(),
            refreshes: 0,
        }
    }

    /// The consents that have not ended, oldest first.
    pub(crate) fn consents(&self) -> &[Consent] {
        &self.consents
    }

    pub(crate) fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// Notes a consent, and issues the code of its callback.
    pub(crate) fn consent(&mut self, authorized: &Preauthorization, postbox_id: &str) -> String {
        let grant = Grant {
            contract_id: authorized.contract_id.clone(),
            postbox_id: postbox_id.to_owned(),
        };
        let issued = Code {
            grant: grant.clone(),
            challenge: authorized.challenge.clone(),
            redirect_uri: authorized.redirect_uri.clone(),
            spent: false,
        };
        let code = random::key();
        self.codes.insert(code.clone(), issued);
        self.consents.push(Consent {
            grant,
            since: now(),
        });
        code
    }

    /// `POST oauth/token`
    pub(crate) fn token(&mut self, request: &Request) -> Result<Value, Refusal> {
        match request.claim("grant_type")? {
            "authorization_code" => self.exchange_code(request),
            "refresh_token" => self.refresh(request),
            _ => Err(Refusal::request(
                "`grant_type` is neither `authorization_code` nor `refresh_token`",
            )),
        }
    }

    fn exchange_code(&mut self, request: &Request) -> Result<Value, Refusal> {
        let verifier = request.claim("code_verifier")?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return Err(Refusal::request(
                "`code_verifier` is not 43 to 128 unreserved characters",
            ));
        }
        let code = self
            .codes
            .get_mut(request.claim("code")?)
            .ok_or_else(|| Refusal::grant("the code is unknown"))?;
        if code.grant.contract_id != request.contract.contract_id {
            return Err(Refusal::grant("the code was given to another contract"));
        }
        if code.spent {
            return Err(Refusal::grant("the code is spent"));
        }
        if code.redirect_uri != request.redirect_uri()? {
            return Err(Refusal::grant(
                "the code was given for another redirect URI",
            ));
        }
        if BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != code.challenge {
            return Err(Refusal::grant("the verifier does not fit the challenge"));
        }
        code.spent = true;
        let grant = code.grant.clone();
        Ok(self.issue_tokens(grant))
    }

    fn refresh(&mut self, request: &Request) -> Result<Value, Refusal> {
        let refresh_token = request.claim("refresh_token")?;
        match self.refresh_tokens.get(refresh_token) {
            Some(grant) if grant.contract_id == request.contract.contract_id => {
                let grant = grant.clone();
                self.refresh_tokens.remove(refresh_token);
                self.refreshes += 1;
                Ok(self.issue_tokens(grant))
            }
            _ => Err(invalid_token("the refresh token is not valid")),
        }
    }

    fn issue_tokens(&mut self, grant: Grant) -> Value {
        let (access_token, refresh_token) = (random::key(), random::key());
        let expiry = now().saturating_add(millis(self.access_token_lifetime));
        self.access_tokens.insert(
            access_token.clone(),
            AccessToken {
                grant: grant.clone(),
                expiry,
            },
        );
        self.refresh_tokens.insert(refresh_token.clone(), grant);
        json!({"access_token": access_token, "refresh_token": refresh_token, "expires_on": expiry / 1000})
    }

    /// Makes every issued access token expire before the expiry that its holder knows.
    pub(crate) fn expire_access_tokens(&mut self) {
        for token in self.access_tokens.values_mut() {
            token.expiry = 0;
        }
    }

    /// Makes users withdraw consents: codes are spent, access tokens expire and can't be refreshed. Returns how many
    /// consents ended.
    pub(crate) fn end_consents(&mut self, ends: impl Fn(&Grant) -> bool) -> usize {
        for code in self.codes.values_mut().filter(|code| ends(&code.grant)) {
            code.spent = true;
        }
        for token in self.access_tokens.values_mut() {
            if ends(&token.grant) {
                token.expiry = 0;
            }
        }
        self.refresh_tokens.retain(|_, grant| !ends(grant));
        let before = self.consents.len();
        self.consents.retain(|consent| !ends(&consent.grant));
        before - self.consents.len()
    }

    /// Whether a push is delivered at once: its access token is valid for this postbox and has not expired.
    pub(crate) fn delivers(&self, request: &Request, postbox_id: &str) -> Result<bool, Refusal> {
        match (
            request.optional("access_token")?,
            request.contract.is_ongoing(),
        ) {
            (None, false) => Ok(false),
            (None, true) => Err(invalid_token(
                "an ongoing contract pushes with an access token",
            )),
            (Some(_), false) => Err(Refusal::request("a one-off contract has no access token")),
            (Some(token), true) => {
                let token = self
                    .access_tokens
                    .get(token)
                    .ok_or_else(|| invalid_token("the access token is unknown"))?;
                if token.grant.contract_id != request.contract.contract_id
                    || token.grant.postbox_id != postbox_id
                {
                    return Err(invalid_token("the access token is for another postbox"));
                }
                Ok(token.expiry > now())
            }
        }
    }
}

fn invalid_token(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "InvalidToken", message)
}
