//! The state and the decisions of the platform, without HTTP.

pub(crate) mod grant;
pub(crate) mod grants;
mod inbox;
pub(crate) mod invitations;
mod postboxes;
pub(crate) mod scope;
pub(crate) mod users;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use axum::http::HeaderMap;
use serde_json::Value;

use crate::api::Api;
use crate::clock::{self, Clock, is_over};
use crate::contract::Contracts;
use crate::nonces::Nonces;
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

    /// Verifies the token of a request to a version of the API.
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
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
