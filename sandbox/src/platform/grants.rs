//! Codes, tokens and the consents that they stand for.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::clock::{is_over, millis, now};
use crate::platform::Preauthorization;
use crate::random;
use crate::refusal::Refusal;
use crate::request_token::Request;

/// How long a consent lasts, as on digi.me. A refresh does not lengthen it.
const CONSENT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long after a consent was given its codes, its access tokens and its postbox are known. So an application has time to
/// learn that the consent has ended.
pub(super) const REMEMBERED: Duration = Duration::from_secs(2 * CONSENT_LIFETIME.as_secs());

/// A consent under an ongoing contract, and what a code or token is for.
#[derive(Clone)]
pub(crate) struct Grant {
    pub contract_id: String,
    pub postbox_id: String,
    /// When the user gave it, in Unix milliseconds.
    pub since: u64,
}

pub(crate) struct Grants {
    access_token_lifetime: Duration,
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, RefreshToken>,
    consents: Vec<Grant>,
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
    /// Whether a refresh has given a new one.
    replaced: bool,
}

#[derive(Clone)]
struct RefreshToken {
    grant: Grant,
    /// The access token that was issued with it.
    access_token: String,
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
    pub(crate) fn consents(&self) -> &[Grant] {
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
            since: now(),
        };
        let issued = Code {
            grant: grant.clone(),
            challenge: authorized.challenge.clone(),
            redirect_uri: authorized.redirect_uri.clone(),
            spent: false,
        };
        let code = random::key();
        self.codes.insert(code.clone(), issued);
        self.consents.push(grant);
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
        let grant = self.spend(refresh_token, &request.contract.contract_id)?;
        self.refreshes += 1;
        Ok(self.issue_tokens(grant))
    }

    /// Uses up a refresh token of a contract.
    fn spend(&mut self, refresh_token: &str, contract_id: &str) -> Result<Grant, Refusal> {
        let spent = self
            .refresh_tokens
            .get(refresh_token)
            .filter(|token| token.grant.contract_id == contract_id)
            .cloned()
            .ok_or_else(|| invalid_token("the refresh token is not valid"))?;
        self.refresh_tokens.remove(refresh_token);
        if let Some(earlier) = self.access_tokens.get_mut(&spent.access_token) {
            earlier.replaced = true;
        }
        Ok(spent.grant)
    }

    fn issue_tokens(&mut self, grant: Grant) -> Value {
        let (access_token, refresh_token) = (random::key(), random::key());
        let expiry = now().saturating_add(millis(self.access_token_lifetime));
        self.access_tokens.insert(
            access_token.clone(),
            AccessToken {
                grant: grant.clone(),
                expiry,
                replaced: false,
            },
        );
        self.refresh_tokens.insert(
            refresh_token.clone(),
            RefreshToken {
                grant,
                access_token: access_token.clone(),
            },
        );
        json!({"access_token": access_token, "refresh_token": refresh_token, "expires_on": expiry / 1000})
    }

    /// Makes every issued access token expire before the expiry that its holder knows.
    pub(crate) fn expire_access_tokens(&mut self) {
        let now = now();
        for token in self.access_tokens.values_mut() {
            token.expiry = token.expiry.min(now);
        }
    }

    /// Ends and forgets what is over at this time.
    pub(super) fn sweep(&mut self, now: u64) {
        let is_over = |since: u64, lifetime: Duration| is_over(since, lifetime, now);
        self.end_consents(|grant| is_over(grant.since, CONSENT_LIFETIME));
        let is_forgotten = |grant: &Grant| is_over(grant.since, REMEMBERED);
        self.codes.retain(|_, code| !is_forgotten(&code.grant));
        self.access_tokens.retain(|_, token| {
            let is_old = token.replaced && is_over(token.expiry, super::REMEMBERED);
            !is_old && !is_forgotten(&token.grant)
        });
    }

    /// Makes users withdraw consents: codes are spent, access tokens expire and can't be refreshed. Returns how many
    /// consents ended.
    pub(crate) fn end_consents(&mut self, ends: impl Fn(&Grant) -> bool) -> usize {
        for code in self.codes.values_mut().filter(|code| ends(&code.grant)) {
            code.spent = true;
        }
        let now = now();
        for token in self.access_tokens.values_mut() {
            if ends(&token.grant) {
                token.expiry = token.expiry.min(now);
            }
        }
        self.refresh_tokens.retain(|_, token| !ends(&token.grant));
        let before = self.consents.len();
        self.consents.retain(|consent| !ends(consent));
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn grant() -> Grant {
        Grant {
            contract_id: "c".into(),
            postbox_id: "p".into(),
            since: now(),
        }
    }

    /// Grants with a consent, and its access token and refresh token.
    fn connected() -> (Grants, String, String) {
        let mut grants = Grants::new(Duration::from_millis(DAY));
        grants.consents.push(grant());
        let (access, refresh) = issue(&mut grants, grant());
        (grants, access, refresh)
    }

    fn issue(grants: &mut Grants, grant: Grant) -> (String, String) {
        let tokens = grants.issue_tokens(grant);
        let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        (text("access_token"), text("refresh_token"))
    }

    #[test]
    fn a_consent_ends_after_thirty_days_and_a_refresh_does_not_lengthen_it() {
        let (mut grants, _, refresh) = connected();
        grants.sweep(now() + 29 * DAY);
        assert_eq!(grants.consents().len(), 1);
        let later = grants.spend(&refresh, "c").expect("a valid token");
        let (access, refresh) = issue(&mut grants, later);
        grants.sweep(now() + 30 * DAY);
        assert!(grants.consents().is_empty());
        assert!(grants.spend(&refresh, "c").is_err());
        let token = grants.access_tokens.get(&access).expect("it is known");
        assert!(token.expiry <= now());
    }

    #[test]
    fn what_belongs_to_a_consent_is_forgotten_some_time_after_it_has_ended() {
        let (mut grants, _, _) = connected();
        let authorized = Preauthorization {
            contract_id: "c".into(),
            challenge: String::new(),
            redirect_uri: String::new(),
            state: None,
            used: true,
            since: now(),
        };
        grants.consent(&authorized, "p");
        grants.sweep(now() + 59 * DAY);
        assert_eq!((grants.codes.len(), grants.access_tokens.len()), (1, 1));
        grants.sweep(now() + 60 * DAY);
        assert_eq!((grants.codes.len(), grants.access_tokens.len()), (0, 0));
        assert!(grants.refresh_tokens.is_empty() && grants.consents.is_empty());
    }

    #[test]
    fn an_expired_access_token_is_forgotten_only_if_it_was_replaced() {
        let (mut grants, access, refresh) = connected();
        grants.sweep(now() + 20 * DAY);
        assert!(grants.access_tokens.contains_key(&access));
        grants.spend(&refresh, "c").expect("a valid token");
        grants.sweep(now() + DAY);
        assert!(grants.access_tokens.contains_key(&access));
        grants.sweep(now() + 20 * DAY);
        assert!(!grants.access_tokens.contains_key(&access));
    }
}
