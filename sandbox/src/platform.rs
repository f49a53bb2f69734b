//! The state and the decisions of the platform, without HTTP.

pub(crate) mod grants;
mod inbox;
pub(crate) mod invitations;
pub(crate) mod scope;
pub(crate) mod users;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::api::Api;
use crate::clock::{self, Clock, end, is_over};
use crate::contract::Contracts;
use crate::nonces::Nonces;
use crate::push::{Envelope, Opened};
use crate::random;
use crate::refusal::Refusal;
use crate::request_token::{self, Request};

use grants::Grants;
use inbox::Inbox;
pub(crate) use inbox::KEPT_PER_ITEM;
pub use inbox::{ProviderPush, Received};
use invitations::Invitations;
use users::Users;

/// How long what has ended is remembered, so that a refusal can say why: that a link's session has expired, and not that it
/// is unknown.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

const BETWEEN_SWEEPS: Duration = Duration::from_secs(60);

/// The state of the sandbox.
pub(crate) struct Platform {
    pub contracts: Contracts,
    pub clock: Clock,
    pub session_lifetime: Duration,
    pub sessions: HashMap<String, Session>,
    sessions_established: usize,
    pub preauthorizations: HashMap<String, Preauthorization>,
    pub grants: Grants,
    postboxes: HashMap<String, Postbox>,
    /// The people of API 1.7.
    pub users: Users,
    /// What links to the onboarding app stand for.
    pub invitations: Invitations,
    pub inbox: Inbox,
    /// Each key and IV, and when it was used.
    envelopes: HashMap<(Vec<u8>, [u8; 16]), u64>,
    nonces: Nonces,
    /// When something was last forgotten.
    swept: u64,
}

/// How long sessions, tokens and consents are valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub session: Duration,
    pub access_token: Duration,
    pub consent: Duration,
}

impl Default for Lifetimes {
    /// Those of digi.me.
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            session: Duration::from_secs(30 * 60),
            access_token: day,
            consent: 30 * day,
        }
    }
}

pub(crate) struct Session {
    /// How many were established before it.
    number: usize,
    pub contract_id: String,
    pub exchange_token: String,
    pub scope: Value,
    /// Unix time in milliseconds.
    pub expiry: u64,
    pub used: bool,
}

pub(crate) struct Preauthorization {
    pub contract_id: String,
    pub challenge: String,
    pub redirect_uri: String,
    pub state: Option<String>,
    pub used: bool,
    /// When it was issued, in Unix milliseconds.
    since: u64,
}

struct Postbox {
    contract_id: String,
    /// When it was created, in Unix milliseconds.
    since: u64,
    key: Arc<OaepPrivateDecryptingKey>,
}

/// A push that was accepted before its file has arrived.
pub(crate) struct Accepted {
    pub envelope: Envelope,
    application_id: String,
    contract_id: String,
    postbox_id: String,
    delivered: bool,
    arrives: bool,
}

impl Platform {
    pub(crate) fn new(contracts: Contracts, lifetimes: Lifetimes) -> Self {
        let clock = Clock::default();
        Self {
            contracts,
            session_lifetime: lifetimes.session,
            sessions: HashMap::new(),
            sessions_established: 0,
            preauthorizations: HashMap::new(),
            grants: Grants::new(clock.clone(), lifetimes),
            postboxes: HashMap::new(),
            users: Users::default(),
            invitations: Invitations::default(),
            inbox: Inbox::default(),
            envelopes: HashMap::new(),
            nonces: Nonces::default(),
            swept: clock.now(),
            clock,
        }
    }

    /// Now, in Unix milliseconds, by the sandbox's clock.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Moves the clock ahead.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.sweep(self.now());
    }

    /// Verifies the token of a request to API 1.5.
    pub(crate) fn verify(&mut self, headers: &HeaderMap) -> Result<Request, Refusal> {
        let request = self.verify_for(Api::Postbox, headers)?;
        request.redirect_uri()?;
        Ok(request)
    }

    pub(crate) fn verify_for(&mut self, api: Api, headers: &HeaderMap) -> Result<Request, Refusal> {
        self.sweep(self.now());
        request_token::verify(headers, api, &self.contracts, &mut self.nonces)
    }

    /// Ends and forgets what is over, at most once a minute. So a sandbox may run for months.
    fn sweep(&mut self, now: u64) {
        if !is_over(self.swept, BETWEEN_SWEEPS, now) {
            return;
        }
        self.swept = now;
        let is_over = |since: u64, lifetime: Duration| is_over(since, lifetime, now);
        let link = self.session_lifetime.saturating_add(REMEMBERED);
        let remembered = self.grants.remembered();
        self.sessions
            .retain(|_, session| !is_over(session.expiry, REMEMBERED));
        self.preauthorizations
            .retain(|_, authorized| !is_over(authorized.since, link));
        self.grants.sweep(now);
        self.postboxes
            .retain(|_, postbox| !is_over(postbox.since, remembered));
        self.users.sweep(|since| is_over(since, remembered));
        self.invitations.sweep(|expiry| is_over(expiry, REMEMBERED));
        self.envelopes.retain(|_, used| !is_over(*used, REMEMBERED));
        self.nonces.sweep(clock::now());
    }

    /// `POST permission-access/session`
    pub(crate) fn establish_session(&mut self, request: &Value) -> Result<Value, Refusal> {
        self.sweep(self.now());
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
        Api::Postbox.admit(contract)?;
        let agent = &request["sdkAgent"];
        if !agent["name"].is_string() || !agent["version"].is_string() {
            return Err(Refusal::request("`sdkAgent` has no name or no version"));
        }
        let scope = &request["scope"];
        scope::check(scope)?;
        let (key, exchange_token) = (random::key(), random::key());
        let expiry = end(self.now(), self.session_lifetime);
        let session = Session {
            number: self.sessions_established,
            contract_id: contract.contract_id.clone(),
            exchange_token: exchange_token.clone(),
            scope: scope.clone(),
            expiry,
            used: false,
        };
        self.sessions.insert(key.clone(), session);
        self.sessions_established += 1;
        Ok(json!({"sessionKey": key, "sessionExchangeToken": exchange_token, "expiry": expiry}))
    }

    /// `POST oauth/authorize`
    pub(crate) fn authorize(&mut self, request: &Request) -> Result<Value, Refusal> {
        if !request.contract.is_ongoing() {
            return Err(Refusal::request("a one-off contract can't be authorized"));
        }
        request.fixed("response_mode", "query")?;
        request.fixed("response_type", "code")?;
        let challenge = request.challenge()?;
        let code = random::key();
        let preauthorization = Preauthorization {
            contract_id: request.contract.contract_id.clone(),
            challenge: challenge.to_owned(),
            redirect_uri: request.redirect_uri()?.to_owned(),
            state: request.optional("state")?.map(ToOwned::to_owned),
            used: false,
            since: self.now(),
        };
        self.preauthorizations
            .insert(code.clone(), preauthorization);
        Ok(json!({"preauthorization_code": code}))
    }

    /// Uses up a preauthorization code for a postbox, and returns the code of the callback.
    pub(crate) fn consent(
        &mut self,
        preauthorization_code: &str,
        postbox_id: &str,
    ) -> Option<String> {
        let preauthorization = self.preauthorizations.get_mut(preauthorization_code)?;
        preauthorization.used = true;
        Some(self.grants.consent(preauthorization, postbox_id))
    }

    /// Creates a postbox under a contract, and returns its id.
    pub(crate) fn create_postbox(
        &mut self,
        contract_id: &str,
        key: OaepPrivateDecryptingKey,
    ) -> String {
        let postbox_id = random::key();
        let postbox = Postbox {
            contract_id: contract_id.to_owned(),
            since: self.now(),
            key: Arc::new(key),
        };
        self.postboxes.insert(postbox_id.clone(), postbox);
        postbox_id
    }

    /// Ends every session before the expiry that its holder knows, and every link to the onboarding app.
    pub(crate) fn end_sessions(&mut self) {
        let now = self.now();
        self.invitations.expire(now);
        for session in self.sessions.values_mut() {
            session.expiry = session.expiry.min(now);
        }
    }

    pub(crate) fn sessions_established(&self) -> usize {
        self.sessions_established
    }

    /// The scopes of the sessions that are remembered, in the order in which they were established.
    pub(crate) fn scopes(&self) -> Vec<Value> {
        let mut sessions: Vec<_> = self.sessions.values().collect();
        sessions.sort_unstable_by_key(|session| session.number);
        let scopes = sessions.into_iter().map(|session| session.scope.clone());
        scopes.collect()
    }

    /// `POST permission-access/postbox/{id}`, before the body is read.
    pub(crate) fn accept_push(
        &mut self,
        headers: &HeaderMap,
        postbox_id: String,
    ) -> Result<Accepted, Refusal> {
        let request = self.verify(headers)?;
        let contract = &request.contract;
        let postbox = self
            .postboxes
            .get(&postbox_id)
            .filter(|postbox| postbox.contract_id == contract.contract_id)
            .ok_or_else(|| {
                Refusal::new(
                    StatusCode::NOT_FOUND,
                    "InvalidPostbox",
                    "no postbox of this contract has this id",
                )
            })?;
        self.check_session(request.claim("session_key")?, &contract.contract_id)?;
        let delivered = self.grants.delivers(&request, &postbox_id)?;
        let envelope = Envelope::open(&request, &postbox.key)?;
        let used = (envelope.key.clone(), envelope.iv);
        if self.envelopes.insert(used, self.clock.now()).is_some() {
            return Err(Refusal::request("the key and IV were used before"));
        }
        Ok(Accepted {
            envelope,
            application_id: contract.application_id.clone(),
            contract_id: contract.contract_id.clone(),
            postbox_id,
            delivered,
            // A one-off push waits in the postbox until the user's client fetches it. This client does so at once.
            arrives: delivered || !contract.is_ongoing(),
        })
    }

    /// `POST permission-access/postbox/{id}`, after the body was read.
    pub(crate) fn finish_push(&mut self, push: Accepted, file: Opened) -> Value {
        if push.arrives {
            let item = Received {
                id: 0,
                application_id: push.application_id,
                contract_id: push.contract_id,
                postbox_id: push.postbox_id,
                name: file.name,
                size: file.content.size,
                sha256: file.content.sha256,
                descriptor: push.envelope.descriptor,
                arrived: self.now(),
                user_id: None,
                provider: None,
            };
            self.inbox.add(item, file.content.content);
        }
        let status = if push.delivered {
            "delivered"
        } else {
            "pending"
        };
        json!({"status": status, "expires": 7 * 24 * 60 * 60})
    }

    /// Whether a session lets a contract push.
    fn check_session(&self, key: &str, contract_id: &str) -> Result<(), Refusal> {
        match self.sessions.get(key) {
            Some(session) if session.contract_id != contract_id => {
                Err(Refusal::session("the session is another contract's"))
            }
            Some(session) if session.expiry <= self.now() => {
                Err(Refusal::session("the session has expired"))
            }
            Some(_) => Ok(()),
            None => Err(Refusal::session("the session is unknown")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use crate::new_contract;

    const MINUTE: u64 = 60 * 1000;
    const DAY: u64 = 24 * 60 * MINUTE;

    fn platform() -> Platform {
        let lifetimes = Lifetimes {
            session: Duration::from_secs(60),
            access_token: Duration::from_secs(60),
            ..Lifetimes::default()
        };
        let contracts = new_contract::register(Vec::new()).expect("good contracts");
        Platform::new(contracts, lifetimes)
    }

    #[test]
    fn sessions_are_remembered_for_a_day_after_they_have_ended() {
        let mut platform = platform();
        let contract = &platform.contracts.once;
        let request = json!({
            "appId": contract.application_id, "contractId": contract.contract_id,
            "sdkAgent": {"name": "a", "version": "1"},
        });
        for _ in 0..2 {
            platform.establish_session(&request).expect("a session");
        }
        platform.sweep(now() + DAY);
        assert_eq!(platform.scopes(), [Value::Null, Value::Null]);
        platform.sweep(now() + DAY + 2 * MINUTE);
        assert!(platform.sessions.is_empty());
        assert_eq!(platform.sessions_established(), 2);
    }

    #[test]
    fn authorizations_are_remembered_for_a_day_after_their_links_have_ended() {
        let mut platform = platform();
        let authorized = Preauthorization {
            contract_id: "c".into(),
            challenge: String::new(),
            redirect_uri: String::new(),
            state: None,
            used: false,
            since: now(),
        };
        platform.preauthorizations.insert("a".into(), authorized);
        platform.sweep(now() + DAY);
        assert_eq!(platform.preauthorizations.len(), 1);
        platform.sweep(now() + DAY + 2 * MINUTE);
        assert!(platform.preauthorizations.is_empty());
    }

    #[test]
    fn a_postbox_is_there_for_as_long_as_its_access_tokens() {
        let mut platform = platform();
        platform.create_postbox("c", crate::keys::postbox().0);
        platform.sweep(now() + 59 * DAY);
        assert_eq!(platform.postboxes.len(), 1);
        platform.sweep(now() + 60 * DAY);
        assert!(platform.postboxes.is_empty());
    }

    #[test]
    fn a_key_and_iv_are_remembered_for_a_day() {
        let mut platform = platform();
        platform.envelopes.insert((vec![1], [2; 16]), now());
        platform.sweep(now() + DAY - MINUTE);
        assert_eq!(platform.envelopes.len(), 1);
        platform.sweep(now() + DAY + MINUTE);
        assert!(platform.envelopes.is_empty());
    }
}
