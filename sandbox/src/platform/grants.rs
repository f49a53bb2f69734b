//! Codes, tokens and the consents that they stand for.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::clock::{Clock, end, is_over};
use crate::platform::grant::{Grant, Issued, Place};
use crate::platform::{Lifetimes, Preauthorization};
use crate::random;
use crate::refusal::Refusal;
use crate::request_token::Request;

/// How long after the end of a consent its codes, its access tokens and its postbox are known. So an application has time to
/// learn that the consent has ended.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(crate) struct Grants {
    clock: Clock,
    access_token_lifetime: Duration,
    consent_lifetime: Duration,
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

pub(crate) struct AccessToken {
    pub grant: Grant,
    /// Unix time in milliseconds.
    pub expiry: u64,
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
    pub(crate) fn new(clock: Clock, lifetimes: Lifetimes) -> Self {
        Self {
            clock,
            access_token_lifetime: lifetimes.access_token,
            consent_lifetime: lifetimes.consent,
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            consents: Vec::new(),
            refreshes: 0,
        }
    }

    /// The consents that have not ended, oldest first.
    pub(crate) fn consents(&self) -> impl DoubleEndedIterator<Item = &Grant> {
        let now = self.clock.now();
        let last = move |consent: &&Grant| self.end_of(consent) > now;
        self.consents.iter().filter(last)
    }

    /// When a consent ends by itself. A refresh does not lengthen it.
    pub(crate) fn end_of(&self, consent: &Grant) -> u64 {
        end(consent.since, self.consent_lifetime)
    }

    pub(crate) fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// How long after a consent everything that belongs to it is forgotten.
    pub(super) fn remembered(&self) -> Duration {
        self.consent_lifetime.saturating_add(REMEMBERED)
    }

    /// Notes a consent to push to a postbox, and issues the code of its callback.
    pub(crate) fn consent(&mut self, authorized: &Preauthorization, postbox_id: &str) -> String {
        let grant = Grant {
            consent_id: random::key(),
            contract_id: authorized.contract_id.clone(),
            place: Place::Postbox(postbox_id.to_owned()),
            since: self.clock.now(),
        };
        self.note(grant, &authorized.challenge, &authorized.redirect_uri)
    }

    /// Notes a consent, and issues the code of its callback.
    pub(crate) fn note(&mut self, grant: Grant, challenge: &str, redirect_uri: &str) -> String {
        let issued = Code {
            grant: grant.clone(),
            challenge: challenge.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            spent: false,
        };
        let code = random::key();
        self.codes.insert(code.clone(), issued);
        self.consents.push(grant);
        code
    }

    /// Makes way for a consent that takes the place of this one. Its tokens stay valid until they expire.
    pub(crate) fn replace(&mut self, consent_id: &str) {
        self.consents
            .retain(|earlier| earlier.consent_id != consent_id);
    }

    /// `POST oauth/token` of API 1.5.
    pub(crate) fn token(&mut self, request: &Request) -> Result<Value, Refusal> {
        let issued = match request.claim("grant_type")? {
            "authorization_code" => self.exchange(request, Some(request.redirect_uri()?)),
            "refresh_token" => self.refresh(request, "the refresh token is not valid"),
            _ => Err(unknown_grant_type()),
        }?;
        Ok(json!({
            "access_token": issued.access_token,
            "refresh_token": issued.refresh_token,
            "expires_on": issued.access_expiry / 1000,
        }))
    }

    /// Exchanges a code. API 1.5 compares the redirect URI again.
    pub(crate) fn exchange(
        &mut self,
        request: &Request,
        redirect_uri: Option<&str>,
    ) -> Result<Issued, Refusal> {
        let verifier = request.claim("code_verifier")?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return Err(Refusal::request(
                "`code_verifier` is not 43 to 128 unreserved characters",
            ));
        }
        let (now, lifetime) = (self.clock.now(), self.consent_lifetime);
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
        if is_over(code.grant.since, lifetime, now) {
            return Err(Refusal::grant("the consent of the code has ended"));
        }
        if redirect_uri.is_some_and(|uri| uri != code.redirect_uri) {
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

    /// Refreshes an access token. `refusal` says that the refresh token can't be used.
    pub(crate) fn refresh(
        &mut self,
        request: &Request,
        refusal: &'static str,
    ) -> Result<Issued, Refusal> {
        let refresh_token = request.claim("refresh_token")?;
        let grant = self
            .spend(refresh_token, &request.contract.contract_id)
            .ok_or_else(|| Refusal::token(refusal))?;
        self.refreshes += 1;
        Ok(self.issue_tokens(grant))
    }

    /// Uses up a refresh token of a contract, if it is valid.
    fn spend(&mut self, refresh_token: &str, contract_id: &str) -> Option<Grant> {
        let now = self.clock.now();
        self.refresh_tokens
            .get(refresh_token)
            .filter(|token| token.grant.contract_id == contract_id)
            .filter(|token| self.end_of(&token.grant) > now)?;
        let spent = self.refresh_tokens.remove(refresh_token)?;
        if let Some(earlier) = self.access_tokens.get_mut(&spent.access_token) {
            earlier.replaced = true;
        }
        Some(spent.grant)
    }

    /// Issues an access token that lasts no longer than its consent, and a refresh token that lasts as long as it.
    fn issue_tokens(&mut self, grant: Grant) -> Issued {
        let (access_token, refresh_token) = (random::key(), random::key());
        let refresh_expiry = self.end_of(&grant);
        let access_expiry = end(self.clock.now(), self.access_token_lifetime).min(refresh_expiry);
        self.access_tokens.insert(
            access_token.clone(),
            AccessToken {
                grant: grant.clone(),
                expiry: access_expiry,
                replaced: false,
            },
        );
        self.refresh_tokens.insert(
            refresh_token.clone(),
            RefreshToken {
                grant: grant.clone(),
                access_token: access_token.clone(),
            },
        );
        Issued {
            grant,
            access_token,
            access_expiry,
            refresh_token,
            refresh_expiry,
        }
    }

    /// An access token that is known, and possibly expired.
    pub(crate) fn access_token(&self, token: &str) -> Option<&AccessToken> {
        self.access_tokens.get(token)
    }

    /// Makes every issued access token expire before the expiry that its holder knows.
    pub(crate) fn expire_access_tokens(&mut self) {
        let now = self.clock.now();
        for token in self.access_tokens.values_mut() {
            token.expiry = token.expiry.min(now);
        }
    }

    /// Ends and forgets what is over at this time.
    pub(super) fn sweep(&mut self, now: u64) {
        let is_over = |since: u64, lifetime: Duration| is_over(since, lifetime, now);
        let (lifetime, remembered) = (self.consent_lifetime, self.remembered());
        self.end_consents(|grant| is_over(grant.since, lifetime));
        let is_forgotten = |grant: &Grant| is_over(grant.since, remembered);
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
        let now = self.clock.now();
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

    /// Forgets a user, with every consent, code and token.
    pub(crate) fn forget_user(&mut self, user_id: &str) {
        let is_theirs = |grant: &Grant| grant.place.user_id() == Some(user_id);
        self.end_consents(is_theirs);
        self.codes.retain(|_, code| !is_theirs(&code.grant));
        self.access_tokens
            .retain(|_, token| !is_theirs(&token.grant));
    }

    /// Whether a push is delivered at once: its access token is valid for this postbox and has not expired.
    pub(crate) fn delivers(&self, request: &Request, postbox_id: &str) -> Result<bool, Refusal> {
        match (
            request.optional("access_token")?,
            request.contract.is_ongoing(),
        ) {
            (None, false) => Ok(false),
            (None, true) => Err(Refusal::token(
                "an ongoing contract pushes with an access token",
            )),
            (Some(_), false) => Err(Refusal::request("a one-off contract has no access token")),
            (Some(token), true) => {
                let token = self
                    .access_tokens
                    .get(token)
                    .ok_or_else(|| Refusal::token("the access token is unknown"))?;
                if token.grant.contract_id != request.contract.contract_id
                    || token.grant.place != Place::Postbox(postbox_id.to_owned())
                {
                    return Err(Refusal::token("the access token is for another postbox"));
                }
                Ok(token.expiry > self.clock.now())
            }
        }
    }
}

/// The refusal of a `grant_type` that the protocol does not have.
pub(crate) fn unknown_grant_type() -> Refusal {
    Refusal::request("`grant_type` is neither `authorization_code` nor `refresh_token`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn grant() -> Grant {
        Grant {
            consent_id: "i".into(),
            contract_id: "c".into(),
            place: Place::Postbox("p".into()),
            since: now(),
        }
    }

    /// Grants with a consent, and its access token and refresh token.
    fn connected() -> (Grants, String, String) {
        let mut grants = Grants::new(
            Clock::default(),
            Lifetimes {
                access_token: Duration::from_millis(DAY),
                ..Lifetimes::default()
            },
        );
        grants.consents.push(grant());
        let (access, refresh) = issue(&mut grants, grant());
        (grants, access, refresh)
    }

    fn issue(grants: &mut Grants, grant: Grant) -> (String, String) {
        let issued = grants.issue_tokens(grant);
        (issued.access_token, issued.refresh_token)
    }

    #[test]
    fn a_consent_ends_after_thirty_days_and_a_refresh_does_not_lengthen_it() {
        let (mut grants, _, refresh) = connected();
        grants.sweep(now() + 29 * DAY);
        assert_eq!(grants.consents().count(), 1);
        let later = grants.spend(&refresh, "c").expect("a valid token");
        let (access, refresh) = issue(&mut grants, later);
        grants.sweep(now() + 30 * DAY);
        assert_eq!(grants.consents().count(), 0);
        assert!(grants.spend(&refresh, "c").is_none());
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
