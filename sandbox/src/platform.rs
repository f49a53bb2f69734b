//! The state and the decisions of the platform, without HTTP.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::distr::{Alphanumeric, SampleString};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::contract::Contracts;
use crate::refusal::Refusal;
use crate::request_token::{self, Request};

/// An item that arrived in the user's digi.me, decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Received {
    /// The postbox that it came through.
    pub postbox_id: String,
    /// The file's name.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// The SHA-256 of its bytes, in lower-case hex.
    pub sha256: String,
    /// Its descriptor: `mimeType`, `accounts`, `tags`, `reference`.
    pub descriptor: Value,
}

/// The state of the sandbox.
pub(crate) struct Platform {
    pub contracts: Contracts,
    pub lifetimes: Lifetimes,
    pub sessions: HashMap<String, Session>,
    pub scopes: Vec<Value>,
    pub preauthorizations: HashMap<String, Preauthorization>,
    pub postboxes: HashMap<String, Postbox>,
    pub inbox: Vec<Received>,
    pub envelopes: HashSet<(Vec<u8>, Vec<u8>)>,
    nonces: HashSet<String>,
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, Grant>,
    pub refreshes: u64,
}

/// How long sessions and tokens are valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub session: Duration,
    pub access_token: Duration,
}

pub(crate) struct Session {
    pub contract_id: String,
    /// Unix time in milliseconds.
    pub expiry: u64,
    pub used: bool,
}

pub(crate) struct Preauthorization {
    pub grant: Grant,
    pub challenge: String,
    pub redirect_uri: String,
    pub state: Option<String>,
    pub used: bool,
}

pub(crate) struct Postbox {
    pub contract_id: String,
    pub key: Arc<OaepPrivateDecryptingKey>,
}

struct Code {
    grant: Grant,
    challenge: String,
    redirect_uri: String,
    postbox_id: String,
    spent: bool,
}

/// The holder of a code or token.
#[derive(Clone)]
pub(crate) struct Grant {
    pub contract_id: String,
    postbox_id: String,
}

struct AccessToken {
    grant: Grant,
    /// Unix time in milliseconds.
    expiry: u64,
}

impl Platform {
    pub(crate) fn new(lifetimes: Lifetimes) -> Self {
        Self {
            contracts: Contracts::new(),
            lifetimes,
            sessions: HashMap::new(),
            scopes: Vec::new(),
            preauthorizations: HashMap::new(),
            postboxes: HashMap::new(),
            inbox: Vec::new(),
            envelopes: HashSet::new(),
            nonces: HashSet::new(),
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            refreshes: 0,
        }
    }

    pub(crate) fn verify(&mut self, headers: &HeaderMap) -> Result<Request, Refusal> {
        request_token::verify(headers, &self.contracts, &mut self.nonces, now())
    }

    /// `POST permission-access/session`
    pub(crate) fn establish_session(&mut self, request: &Value) -> Result<Value, Refusal> {
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let contract = self
            .contracts
            .by_contract_id(text("contractId"))
            .ok_or_else(|| {
                Refusal::new(
                    StatusCode::NOT_FOUND,
                    "InvalidContractId",
                    "no contract has this id",
                )
            })?;
        if contract.application_id != text("appId") {
            let message = "the contract is not this application's";
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "InvalidConsentAccessApplication",
                message,
            ));
        }
        let agent = &request["sdkAgent"];
        if !agent["name"].is_string() || !agent["version"].is_string() {
            return Err(Refusal::request("`sdkAgent` has no name or no version"));
        }
        check_scope(&request["scope"])?;
        let key = random();
        let expiry = now() + millis(self.lifetimes.session);
        let session = Session {
            contract_id: contract.contract_id.clone(),
            expiry,
            used: false,
        };
        self.sessions.insert(key.clone(), session);
        self.scopes.push(request["scope"].clone());
        Ok(json!({"sessionKey": key, "sessionExchangeToken": random(), "expiry": expiry}))
    }

    /// `POST oauth/authorize`
    pub(crate) fn authorize(&mut self, request: &Request) -> Result<Value, Refusal> {
        if !request.contract.ongoing {
            return Err(Refusal::request("a one-off contract can't be authorized"));
        }
        request.fixed("code_challenge_method", "S256")?;
        request.fixed("response_mode", "query")?;
        request.fixed("response_type", "code")?;
        let challenge = request.claim("code_challenge")?;
        if BASE64_URL_SAFE_NO_PAD
            .decode(challenge)
            .map(|hash| hash.len())
            != Ok(32)
        {
            return Err(Refusal::request(
                "`code_challenge` is not base64url of a SHA-256",
            ));
        }
        let code = random();
        let preauthorization = Preauthorization {
            grant: Grant {
                contract_id: request.contract.contract_id.clone(),
                postbox_id: String::new(),
            },
            challenge: challenge.to_owned(),
            redirect_uri: request.contract.redirect_uri.clone(),
            state: request.optional("state")?.map(ToOwned::to_owned),
            used: false,
        };
        self.preauthorizations
            .insert(code.clone(), preauthorization);
        Ok(json!({"preauthorization_code": code}))
    }

    /// Issues the code of a callback, for a postbox that was created with a preauthorization code.
    pub(crate) fn issue_code(
        &mut self,
        preauthorization_code: &str,
        postbox_id: &str,
    ) -> Option<String> {
        let preauthorization = self.preauthorizations.get_mut(preauthorization_code)?;
        preauthorization.used = true;
        let code = random();
        let issued = Code {
            grant: preauthorization.grant.clone(),
            challenge: preauthorization.challenge.clone(),
            redirect_uri: preauthorization.redirect_uri.clone(),
            postbox_id: postbox_id.to_owned(),
            spent: false,
        };
        self.codes.insert(code.clone(), issued);
        Some(code)
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
        if code.spent {
            return Err(Refusal::grant("the code is spent"));
        }
        if code.grant.contract_id != request.contract.contract_id {
            return Err(Refusal::grant("the code was given to another contract"));
        }
        if code.redirect_uri != request.claim("redirect_uri")? {
            return Err(Refusal::grant(
                "the code was given for another redirect URI",
            ));
        }
        if BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != code.challenge {
            return Err(Refusal::grant("the verifier does not fit the challenge"));
        }
        code.spent = true;
        let grant = Grant {
            postbox_id: code.postbox_id.clone(),
            ..code.grant.clone()
        };
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
            _ => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "InvalidToken",
                "the refresh token is not valid",
            )),
        }
    }

    fn issue_tokens(&mut self, grant: Grant) -> Value {
        let (access_token, refresh_token) = (random(), random());
        let expiry = now() + millis(self.lifetimes.access_token);
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

    /// Ends every session before the expiry that its holder knows.
    pub(crate) fn end_sessions(&mut self) {
        for session in self.sessions.values_mut() {
            session.expiry = 0;
        }
    }

    /// Makes every issued access token expire before the expiry that its holder knows.
    pub(crate) fn expire_access_tokens(&mut self) {
        for token in self.access_tokens.values_mut() {
            token.expiry = 0;
        }
    }

    /// Makes every user withdraw consent: access tokens expire and can't be refreshed.
    pub(crate) fn end_consent(&mut self) {
        self.expire_access_tokens();
        self.refresh_tokens.clear();
    }

    /// Whether a session lets a contract push.
    pub(crate) fn check_session(&self, key: &str, contract_id: &str) -> Result<(), Refusal> {
        match self.sessions.get(key) {
            Some(session) if session.contract_id != contract_id => {
                Err(Refusal::session("the session is another contract's"))
            }
            Some(session) if session.expiry <= now() => {
                Err(Refusal::session("the session has expired"))
            }
            Some(_) => Ok(()),
            None => Err(Refusal::session("the session is unknown")),
        }
    }

    /// Whether a push is delivered at once: its access token is valid for this postbox and has not expired.
    pub(crate) fn delivers(&self, request: &Request, postbox_id: &str) -> Result<bool, Refusal> {
        let invalid = |message| Refusal::new(StatusCode::UNAUTHORIZED, "InvalidToken", message);
        match (request.optional("access_token")?, request.contract.ongoing) {
            (None, false) => Ok(false),
            (None, true) => Err(invalid("an ongoing contract pushes with an access token")),
            (Some(_), false) => Err(Refusal::request("a one-off contract has no access token")),
            (Some(token), true) => {
                let token = self
                    .access_tokens
                    .get(token)
                    .ok_or_else(|| invalid("the access token is unknown"))?;
                if token.grant.contract_id != request.contract.contract_id
                    || token.grant.postbox_id != postbox_id
                {
                    return Err(invalid("the access token is for another postbox"));
                }
                Ok(token.expiry > now())
            }
        }
    }
}

fn check_scope(scope: &Value) -> Result<(), Refusal> {
    let bad = || Refusal::request("`scope` is not in the protocol's form");
    if scope.is_null() {
        return Ok(());
    }
    for (name, value) in scope.as_object().ok_or_else(bad)? {
        let parts = value.as_array().ok_or_else(bad)?;
        let well_formed = match name.as_str() {
            "timeRanges" => parts.iter().all(is_time_range),
            "serviceGroups" => parts.iter().all(|group| {
                all_with_ids(group, "serviceTypes", |kind| {
                    all_with_ids(kind, "serviceObjectTypes", |_| true)
                })
            }),
            _ => false,
        };
        if !well_formed {
            return Err(bad());
        }
    }
    Ok(())
}

fn is_time_range(range: &Value) -> bool {
    range.as_object().is_some_and(|range| {
        !range.is_empty()
            && range.iter().all(|(name, value)| match name.as_str() {
                "from" | "to" => value.is_i64(),
                "last" => value.as_str().is_some_and(|last| {
                    let number = last.strip_suffix(['d', 'm', 'y']);
                    number.is_some_and(|number| number.parse::<u32>().is_ok())
                }),
                _ => false,
            })
    })
}

fn all_with_ids(owner: &Value, name: &str, inner: impl Fn(&Value) -> bool) -> bool {
    let has_id = owner.get("id").is_some();
    has_id
        && owner[name].as_array().is_some_and(|parts| {
            parts
                .iter()
                .all(|part| part.get("id").is_some() && inner(part))
        })
}

/// 32 random letters and digits.
pub(crate) fn random() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// Now, in Unix milliseconds.
pub(crate) fn now() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
