//! A model of the platform, with a record of everything that the invariants need.
//!
//! It verifies little, since the sandbox does that. It records how many times each code and refresh token arrived, and whether
//! the answers reached their senders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use digime::PrivateKey;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{self, BASE_URL, Terms};
use super::keys;
use super::weather::{Endpoint, Fault};

/// A word in every secret that the model issues, so no error or log may contain it.
pub(super) const SECRET: &str = "5ecr3t";

pub(super) const REDIRECT_URI: &str = "https://shop.example/digime";
pub(super) const CLIENT_ID: &str = "shop_receipts";

/// How far an application's clock may be off, in milliseconds.
const CLOCK_SKEW: u64 = 5 * 60 * 1000;

static OWN_KEY: LazyLock<PrivateKey> = LazyLock::new(|| keys::private_key("platform"));
static FOREIGN_KEY: LazyLock<PrivateKey> = LazyLock::new(|| keys::private_key("rogue"));

/// The platform, and a record of what it did.
#[derive(Debug)]
pub(super) struct Platform {
    pub terms: Terms,
    /// When each session ends.
    pub sessions: BTreeMap<String, u64>,
    authorizations: BTreeMap<String, Authorization>,
    pub codes: BTreeMap<String, Code>,
    pub grants: Vec<Grant>,
    refresh_tokens: BTreeMap<String, RefreshToken>,
    pub access_tokens: BTreeMap<String, AccessToken>,
    /// How many times each item was delivered, by its name.
    pub inbox: BTreeMap<String, usize>,
    /// Items whose delivery was confirmed to their sender.
    pub confirmed: BTreeSet<String>,
    nonces: BTreeSet<String>,
    /// The codes and refresh tokens that may have left a machine.
    left: BTreeSet<String>,
    /// The verifiers that arrived, which are secrets that the model does not make.
    pub verifiers: Vec<String>,
    requests: BTreeMap<u64, Sent>,
    handed_out: u64,
    /// The number of the key that signs now. It is the same key under another name.
    key: u32,
    pub violations: Vec<String>,
}

/// What the application has announced of a flow.
#[derive(Clone, Debug)]
pub(super) struct Authorization {
    challenge: String,
    state: String,
    /// The consent that is to be renewed.
    pub renews: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Code {
    pub user: usize,
    challenge: String,
    renews: Option<usize>,
    pub grant: Option<usize>,
    /// The machine whose request was granted.
    spent_by: Option<u64>,
    arrivals: Arrivals,
    /// All calls for it have reported that it was not used.
    must_not_be_sent: bool,
}

/// A consent for which tokens were issued.
#[derive(Debug)]
pub(super) struct Grant {
    pub user: usize,
    /// The user has withdrawn it, or it was replaced.
    pub is_withdrawn: bool,
    /// The application has deleted what the user has at the platform.
    pub is_deleted: bool,
    /// When it ends.
    pub ends: u64,
    /// The refresh token that is valid now.
    pub current: String,
    /// The machine to which that token was sent.
    pub holder: u64,
    /// Why the loss of the token is nobody's fault, if it is.
    pub excuse: Option<&'static str>,
}

impl Grant {
    pub(super) fn has_ended(&self, now: u64) -> bool {
        self.is_withdrawn || self.is_deleted || self.ends <= now
    }
}

#[derive(Debug)]
struct RefreshToken {
    grant: usize,
    arrivals: Arrivals,
}

#[derive(Debug)]
pub(super) struct AccessToken {
    pub grant: usize,
    expiry: u64,
}

impl AccessToken {
    pub(super) fn has_expired(&self, now: u64) -> bool {
        self.expiry <= now
    }
}

/// How many times a secret that can be used once has arrived.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are separate facts")]
struct Arrivals {
    /// Arrivals whose sender does not know that they had no effect.
    undecided: usize,
    /// How many times the application decided to send it nevertheless.
    allowed: usize,
    was_allowed: bool,
    /// An answer did not reach its sender, or does not say whether it was used.
    was_lost: bool,
    /// Its sender waited for an answer until the timeout.
    has_failed_in_doubt: bool,
    /// A paused machine gave up a request with it, and could not know that it was not sent.
    was_given_up: bool,
}

impl Arrivals {
    /// Counts an arrival, and says why it was allowed.
    fn count(&mut self, allowance: &mut usize) -> Right {
        let is_first = self.undecided == 0;
        self.undecided += 1;
        if is_first {
            return Right::First;
        }
        let allowance = match self.allowed {
            0 => allowance,
            _ => &mut self.allowed,
        };
        if *allowance == 0 {
            return Right::None;
        }
        *allowance -= 1;
        Right::Allowed
    }

    /// Notes that an arrival is known to have had no effect. Its call may try again.
    fn came_to_nothing(&mut self, right: Right) {
        self.undecided = self.undecided.saturating_sub(1);
        if right == Right::Allowed {
            self.allowed += 1;
        }
    }
}

/// Why a token may arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// It did not arrive before, or is known not to have been used.
    First,
    /// The application decided to send it.
    Allowed,
    None,
}

/// A request on its way.
#[derive(Debug)]
struct Sent {
    machine: u64,
    token: Option<(String, bool, Right)>,
    issued: Option<usize>,
    item: Option<String>,
    status: u16,
    /// When its sender got the answer and could read it.
    answered: Option<Instant>,
    /// Why its sender no longer waits, if that is nobody's fault.
    excuse: Option<&'static str>,
}

/// A request that has arrived.
#[allow(dead_code, reason = "a flow needs not all of it")]
pub(super) struct Request {
    pub id: u64,
    pub endpoint: Endpoint,
    pub postbox: String,
    pub authorization: String,
    /// The header with which an item is described, if it is not in the body.
    pub descriptor: String,
    pub body: Vec<u8>,
}

/// What arrived of an item.
pub(super) struct Pushed {
    pub name: String,
    /// Where it was sent.
    pub to: String,
    pub is_whole: bool,
}

/// Tokens that the platform issues.
#[allow(dead_code, reason = "a flow needs not all of it")]
pub(super) struct Issued {
    pub access_token: String,
    pub refresh_token: String,
    /// In Unix seconds.
    pub expires_on: u64,
    /// When the consent ends, in Unix seconds.
    pub ends_on: u64,
    pub user: usize,
    /// The number of the consent.
    pub grant: usize,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: String,
    pub retry_after: Option<&'static str>,
}

impl Answer {
    /// The platform's message, which may repeat the request.
    pub(super) fn words(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        text(&body["error"], "message")
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self {
            status: 200,
            body: body.to_string(),
            retry_after: None,
        }
    }

    pub(super) fn refused(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            body: json!({"error": {"code": code, "message": message, "reference": message}})
                .to_string(),
            retry_after: None,
        }
    }
}

impl Platform {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            sessions: BTreeMap::new(),
            authorizations: BTreeMap::new(),
            codes: BTreeMap::new(),
            grants: Vec::new(),
            refresh_tokens: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
            inbox: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            nonces: BTreeSet::new(),
            left: BTreeSet::new(),
            verifiers: Vec::new(),
            requests: BTreeMap::new(),
            handed_out: 0,
            key: 0,
            violations: Vec::new(),
        }
    }

    pub(super) fn secret(&mut self, kind: &str) -> String {
        self.handed_out += 1;
        format!("{SECRET}-{kind}-{}", self.handed_out)
    }

    /// Notes that a code or a refresh token may leave a machine.
    pub(super) fn leaves(&mut self, authorization: &str) {
        let claims = claims(authorization);
        for secret in ["code", "refresh_token"] {
            self.left.insert(text(&claims, secret));
        }
    }

    /// Whether a code or a refresh token may ever have left a machine.
    pub(super) fn has_left(&self, secret: &str) -> bool {
        self.left.contains(secret)
    }

    /// Notes that a request leaves a machine.
    pub(super) fn sent(&mut self, machine: u64) -> u64 {
        let id = self.requests.len() as u64;
        let sent = Sent {
            machine,
            token: None,
            issued: None,
            item: None,
            status: 0,
            answered: None,
            excuse: None,
        };
        self.requests.insert(id, sent);
        id
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// Handles a request that arrives. Returns the answer, if there is one.
    pub(super) fn arrived(
        &mut self,
        request: &Request,
        fault: &Fault,
        echoes: bool,
        now: u64,
        allowances: &mut [usize],
    ) -> Option<Answer> {
        let claims = claims(&request.authorization);
        if request.endpoint == Endpoint::Token {
            self.count_arrival(request.id, &claims, allowances);
        }
        let words = if echoes {
            echo(&claims, &request.authorization)
        } else {
            "no".to_owned()
        };
        let mut act = |is_forged: bool| {
            let answer = self.act(request, &claims, &words, now, is_forged);
            if let Some(sent) = self.requests.get_mut(&request.id) {
                sent.status = answer.status;
            }
            answer
        };
        match fault {
            Fault::None | Fault::Cut => Some(act(false)),
            Fault::Lost { acts } | Fault::Silent { acts } => {
                if *acts {
                    act(false);
                }
                None
            }
            Fault::Refused {
                status,
                code,
                retry_after,
                acts,
            } => {
                if *acts {
                    act(false);
                }
                if let Some(sent) = self.requests.get_mut(&request.id) {
                    sent.status = *status;
                }
                Some(Answer {
                    retry_after: *retry_after,
                    ..Answer::refused(*status, code, &words)
                })
            }
            Fault::Forged => Some(act(true)),
            Fault::NotConnected => None,
        }
    }

    /// Notes that the complete and authentic answer has reached its sender.
    pub(super) fn answered(&mut self, id: u64) {
        let Some(sent) = self.requests.get_mut(&id) else {
            return;
        };
        sent.answered = Some(Instant::now());
        let is_refusal = matches!(sent.status, 400..=499 | 501 | 503);
        let (status, item) = (sent.status, sent.item.clone());
        if let Some((token, is_code, right)) = sent.token.clone()
            && let Some(arrivals) = self.arrivals_of(&token, is_code)
        {
            if is_refusal {
                arrivals.came_to_nothing(right);
            }
            arrivals.was_lost |= !is_refusal && status != 200;
            arrivals.has_failed_in_doubt |= arrivals.was_lost;
        }
        if let (200, Some(item)) = (status, item) {
            self.confirmed.insert(item);
        }
    }

    fn arrivals_of(&mut self, token: &str, is_code: bool) -> Option<&mut Arrivals> {
        if is_code {
            self.codes.get_mut(token).map(|code| &mut code.arrivals)
        } else {
            self.refresh_tokens
                .get_mut(token)
                .map(|it| &mut it.arrivals)
        }
    }

    /// Whether an answer to a refresh for a user was lost.
    pub(super) fn has_lost_a_refresh(&self, user: usize) -> bool {
        self.refresh_tokens
            .values()
            .any(|it| self.grants[it.grant].user == user && it.arrivals.was_lost)
    }

    /// Notes that the answer does not reach its sender, for a reason or because the sender no longer waits.
    pub(super) fn unanswered(&mut self, id: u64, excuse: Option<&'static str>) {
        if let Some(sent) = self.requests.get_mut(&id) {
            sent.excuse = excuse;
            if let Some(grant) = sent.issued {
                self.grants[grant].excuse = excuse;
            }
            if let Some((token, is_code, _)) = sent.token.clone()
                && let Some(arrivals) = self.arrivals_of(&token, is_code)
            {
                arrivals.was_lost = true;
                arrivals.has_failed_in_doubt |= excuse.is_some();
            }
        }
    }

    /// Notes that a machine has lost the answers that it got, for a reason.
    pub(super) fn excuse(
        &mut self,
        machine: u64,
        reason: &'static str,
        is_kept: impl Fn(&str) -> bool,
    ) {
        for grant in &mut self.grants {
            if grant.holder == machine && grant.excuse.is_none() && !is_kept(&grant.current) {
                grant.excuse = Some(reason);
            }
        }
    }

    fn count_arrival(&mut self, id: u64, claims: &Value, allowances: &mut [usize]) {
        let (name, is_code) = match claims["grant_type"].as_str() {
            Some("authorization_code") => ("code", true),
            _ => ("refresh_token", false),
        };
        let token = text(claims, name);
        if is_code {
            self.verifiers.push(text(claims, "code_verifier"));
            if self.codes.get(&token).is_some_and(|it| it.must_not_be_sent) {
                self.violations.push(format!(
                    "2: {token} was sent after its call said that it was not"
                ));
            }
        }
        let mut none = 0;
        let right = if is_code {
            let code = self.codes.get_mut(&token);
            code.map_or(Right::First, |code| code.arrivals.count(&mut none))
        } else {
            let grants = &self.grants;
            let known = self.refresh_tokens.get_mut(&token);
            known.map_or(Right::First, |it| {
                let allowance = allowances.get_mut(grants[it.grant].user);
                it.arrivals.count(allowance.unwrap_or(&mut none))
            })
        };
        if right == Right::None {
            self.violations.push(format!(
                "1: {token} was sent again although it may be spent"
            ));
        }
        if let Some(sent) = self.requests.get_mut(&id) {
            sent.token = Some((token, is_code, right));
        }
    }

    /// Notes that a request is given up before it was sent.
    pub(super) fn given_up(&mut self, authorization: &str) {
        let code = text(&claims(authorization), "code");
        if let Some(code) = self.codes.get_mut(&code) {
            code.arrivals.was_given_up = true;
        }
    }

    /// Notes that the application decided to send a code again that may be spent.
    pub(super) fn allow_code(&mut self, code: &str) {
        if let Some(code) = self.codes.get_mut(code) {
            code.arrivals.allowed += 1;
            code.arrivals.was_allowed = true;
        }
    }

    /// Notes whether a call may send a code.
    pub(super) fn may_send(&mut self, code: &str, may_be_sent: bool) {
        if let Some(code) = self.codes.get_mut(code) {
            code.must_not_be_sent = !may_be_sent;
        }
    }

    /// Whether a machine has used a code, and the application has not decided to send it again.
    pub(super) fn is_spent_by_one_call(&self, code: &str, machine: u64) -> bool {
        self.codes
            .get(code)
            .is_some_and(|code| code.spent_by == Some(machine) && !code.arrivals.was_allowed)
    }

    /// How many times a user's code was exchanged.
    pub(super) fn grants_of(&self, user: usize) -> usize {
        self.grants.iter().filter(|it| it.user == user).count()
    }

    /// Whether it is unknown if a code was used.
    pub(super) fn is_code_in_doubt(&self, code: &str) -> bool {
        self.codes
            .get(code)
            .is_some_and(|code| code.arrivals.undecided > 0 || code.arrivals.was_given_up)
    }

    fn act(
        &mut self,
        request: &Request,
        claims: &Value,
        words: &str,
        now: u64,
        is_forged: bool,
    ) -> Answer {
        match request.endpoint {
            Endpoint::Session => return self.establish_session(now),
            Endpoint::Keys => return Answer::ok(&key_set(self.key)),
            _ => {}
        }
        if let Some(refusal) = self.check(request.endpoint, claims, words, now) {
            return refusal;
        }
        match request.endpoint {
            Endpoint::Authorize | Endpoint::Renewal | Endpoint::User => {
                api::act(self, request.endpoint, claims, words, now, is_forged)
            }
            Endpoint::Push => self.push(request, claims, words, now),
            _ => match claims["grant_type"].as_str() {
                Some("authorization_code") => {
                    self.exchange(request.id, claims, words, now, is_forged)
                }
                _ => self.refresh(request.id, claims, words, now, is_forged),
            },
        }
    }

    fn check(
        &mut self,
        endpoint: Endpoint,
        claims: &Value,
        words: &str,
        now: u64,
    ) -> Option<Answer> {
        let timestamp = claims["timestamp"].as_u64().unwrap_or_default();
        if claims["client_id"] != CLIENT_ID || timestamp.abs_diff(now) > CLOCK_SKEW {
            return Some(Answer::refused(401, "InvalidJWT", words));
        }
        if !self.nonces.insert(text(claims, "nonce")) {
            self.violations.push("a nonce was sent twice".to_owned());
        }
        if api::names_redirect_uri(endpoint) && claims["redirect_uri"] != REDIRECT_URI {
            return Some(Answer::refused(400, "InvalidRedirectUri", words));
        }
        None
    }

    /// Notes what the application announces, and hands out the code that leads to it.
    pub(super) fn announce(&mut self, claims: &Value, renews: Option<usize>) -> String {
        let code = self.secret("pre");
        let announced = Authorization {
            challenge: text(claims, "code_challenge"),
            state: text(claims, "state"),
            renews,
        };
        self.authorizations.insert(code.clone(), announced);
        code
    }

    fn establish_session(&mut self, now: u64) -> Answer {
        let key = self.secret("ses");
        let exchange_token = self.secret("exc");
        let expiry = now + millis(self.terms.session_life);
        self.sessions.insert(key.clone(), expiry);
        Answer::ok(
            &json!({"sessionKey": key, "sessionExchangeToken": exchange_token, "expiry": expiry}),
        )
    }

    fn exchange(
        &mut self,
        id: u64,
        claims: &Value,
        words: &str,
        now: u64,
        is_forged: bool,
    ) -> Answer {
        let verifier = text(claims, "code_verifier");
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(hash);
        let grant = self.grants.len();
        match self.codes.get_mut(&text(claims, "code")) {
            Some(code) if code.grant.is_none() && code.challenge == challenge => {
                code.grant = Some(grant);
                code.spent_by = self.requests.get(&id).map(|sent| sent.machine);
                let (user, renews) = (code.user, code.renews);
                if let Some(renewed) = renews.filter(|_| self.terms.renewal_ends_earlier) {
                    self.grants[renewed].is_withdrawn |= self.grants[renewed].user == user;
                }
                self.grants.push(Grant {
                    user,
                    is_withdrawn: false,
                    is_deleted: false,
                    ends: self.terms.consent_ends(now),
                    current: String::new(),
                    holder: 0,
                    excuse: None,
                });
                self.issue(id, grant, now, is_forged)
            }
            _ => Answer::refused(400, "InvalidGrant", words),
        }
    }

    fn refresh(
        &mut self,
        id: u64,
        claims: &Value,
        words: &str,
        now: u64,
        is_forged: bool,
    ) -> Answer {
        let token = text(claims, "refresh_token");
        let known = self.refresh_tokens.get(&token).map(|it| it.grant);
        match known {
            Some(grant)
                if self.grants[grant].current == token && !self.grants[grant].has_ended(now) =>
            {
                self.issue(id, grant, now, is_forged)
            }
            _ => Answer::refused(401, "InvalidToken", words),
        }
    }

    fn issue(&mut self, id: u64, grant: usize, now: u64, is_forged: bool) -> Answer {
        let (access_token, refresh_token) = (self.secret("acc"), self.secret("ref"));
        let ends = self.grants[grant].ends;
        let expiry = ends.min(now + millis(self.terms.token_life));
        self.access_tokens
            .insert(access_token.clone(), AccessToken { grant, expiry });
        let arrivals = Arrivals::default();
        self.refresh_tokens
            .insert(refresh_token.clone(), RefreshToken { grant, arrivals });
        let grant_number = grant;
        let grant = &mut self.grants[grant];
        grant.current.clone_from(&refresh_token);
        grant.excuse = None;
        if let Some(sent) = self.requests.get_mut(&id) {
            grant.holder = sent.machine;
            grant.excuse = sent.excuse;
            sent.issued = Some(grant_number);
        }
        let tokens = self.terms.tokens(&Issued {
            access_token,
            refresh_token,
            expires_on: expiry / 1000,
            ends_on: ends / 1000,
            user: grant.user,
            grant: grant_number,
        });
        self.signed(&tokens, is_forged)
    }

    fn push(&mut self, request: &Request, claims: &Value, words: &str, now: u64) -> Answer {
        if let Some(refusal) = api::refuse_session(self, claims, words, now) {
            return refusal;
        }
        let Some(token) = self.access_tokens.get(&text(claims, "access_token")) else {
            return Answer::refused(401, "InvalidToken", words);
        };
        let Pushed { name, to, is_whole } = api::pushed(request);
        if !is_whole || to != api::destination(self.grants[token.grant].user) {
            self.violations
                .push(format!("{name} arrived damaged or at another user's"));
        }
        if token.has_expired(now) {
            return api::expired(words);
        }
        if self.confirmed.contains(&name) {
            self.violations
                .push(format!("2: {name} was sent again after it was confirmed"));
        }
        *self.inbox.entry(name.clone()).or_default() += 1;
        if let Some(sent) = self.requests.get_mut(&request.id) {
            sent.item = Some(name);
        }
        Answer::ok(&json!({"status": "delivered", "expires": 60}))
    }

    /// A user opens the link and consents. Returns the query that their client calls back, and the code in it.
    pub(super) fn consent(&mut self, link: &str, user: usize) -> (String, String) {
        let Authorization {
            challenge,
            state,
            renews,
        } = self.authorizations[link].clone();
        let code = self.secret("code");
        let issued = Code {
            user,
            challenge,
            renews,
            grant: None,
            spent_by: None,
            arrivals: Arrivals::default(),
            must_not_be_sent: false,
        };
        self.codes.insert(code.clone(), issued);
        (api::consented(user, &code, &state), code)
    }

    /// The consent whose tokens are in a record of the store.
    pub(super) fn grant_in(&self, record: &Value) -> Option<usize> {
        let token = text(&record["state_data"]["tokens"], "refresh_token");
        self.refresh_tokens.get(&token).map(|it| it.grant)
    }

    pub(super) fn signed(&self, claims: &Value, is_forged: bool) -> Answer {
        let jku = format!("{BASE_URL}/keys");
        let header = json!({"alg": "PS512", "kid": kid(self.key), "jku": jku});
        let [header, claims] = [header.to_string(), claims.to_string()]
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let message = format!("{header}.{claims}");
        let key = if is_forged { &FOREIGN_KEY } else { &OWN_KEY };
        let signature = keys::sign(key, message.as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        Answer::ok(&json!({"token": format!("{message}.{signature}")}))
    }

    /// Makes the platform sign with another key from now on.
    pub(super) fn change_key(&mut self) {
        self.key += 1;
    }

    /// Notes that a machine fetches keys, so it can't verify its last answer yet.
    pub(super) fn keys_are_fetched(&mut self, by: u64) {
        for sent in self.requests.values_mut().filter(|it| it.machine == by) {
            sent.answered.take_if(|came| *came == Instant::now());
        }
    }

    /// Whether all refreshes of a machine for the consent of a refresh token were answered, with new tokens since a time.
    pub(super) fn has_refreshed(&self, machine: u64, token: &str, since: Instant) -> bool {
        let consent = self.refresh_tokens.get(token).map(|token| token.grant);
        let is_refresh = |sent: &&Sent| {
            let Some((token, false, _)) = &sent.token else {
                return false;
            };
            let known = self.refresh_tokens.get(token);
            sent.machine == machine && known.is_some_and(|token| Some(token.grant) == consent)
        };
        let mut refreshes = self.requests.values().filter(is_refresh);
        refreshes.clone().all(|sent| sent.answered.is_some())
            && refreshes.any(|sent| sent.status == 200 && sent.answered >= Some(since))
    }

    pub(super) fn withdraw(&mut self, user: usize) {
        for grant in self.grants.iter_mut().filter(|grant| grant.user == user) {
            grant.is_withdrawn = true;
        }
        self.expire_access_tokens(user);
    }

    /// Makes the platform forget access tokens before their expiry.
    pub(super) fn expire_access_tokens(&mut self, user: usize) {
        for token in self.access_tokens.values_mut() {
            if self.grants[token.grant].user == user {
                token.expiry = 0;
            }
        }
    }

    pub(super) fn end_sessions(&mut self) {
        self.sessions.values_mut().for_each(|expiry| *expiry = 0);
    }
}

/// The claims of a token that the application has signed.
pub(super) fn claims(authorization: &str) -> Value {
    let payload = authorization.split('.').nth(1).unwrap_or_default();
    let json = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

/// The request as the platform's message repeats it: without random parts that are no secrets, so that a run's log can be
/// repeated.
fn echo(claims: &Value, authorization: &str) -> String {
    let claims = claims.as_object().into_iter().flatten();
    let claims =
        claims.filter(|(name, _)| !["nonce", "iv", "code_challenge"].contains(&name.as_str()));
    let mut words: Vec<String> = claims
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    words.push(authorization.to_owned());
    words.join(" ")
}

pub(super) fn text(claims: &Value, name: &str) -> String {
    claims[name].as_str().unwrap_or_default().to_owned()
}

/// The keys that have signed so far.
fn key_set(newest: u32) -> Value {
    let pem = keys::public_pem("platform");
    let keys = (0..=newest).map(|key| json!({"kid": kid(key), "pem": pem}));
    json!({"keys": keys.collect::<Vec<_>>()})
}

fn kid(key: u32) -> String {
    format!("key-{key}")
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
