//! The flow of this package, as the simulation uses it: a postbox of API 1.5. `digime-import` has another file in its place.

use std::time::Duration;

use digime::push::PushMany;
use digime::store::ParkedFlows;
use digime::url::{Url, form_urlencoded::Serializer};
use digime::{
    ApplicationId, Authorized, AwaitingCallback, Callback, Client, ClientBuilder, ContractId,
    Delivery, Error, Flow, PostboxItem, RedirectUri, Rejected, Verifier, digime_contract,
};
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::application::{Authorization, Waiting, name};
use super::invariants::CALL;
use super::keys;
use super::machine::{Hsm, Machine};
use super::platform::{Answer, Issued, Platform, Pushed, Request, text};
use super::schedule::Run;
use super::weather::{Endpoint, pick};
use super::world::State;

/// How long runs are made by default.
pub(super) const DEFAULT_SECONDS: u64 = 45;

pub(super) const BASE_URL: &str = "http://127.0.0.1:9/v1.5";

/// The parameter of a link that has the code of the authorization.
pub(super) const CODE_OF_LINK: &str = "preauthorizationCode";

pub(super) type Awaiting = AwaitingCallback<Verifier>;
pub(super) type Connected = Authorized;

#[digime_contract(ongoing)]
#[derive(Clone)]
pub(super) struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: Hsm,
    redirect_uri: RedirectUri,
}

impl Receipts {
    pub(super) fn new(private_key: Hsm, redirect_uri: RedirectUri) -> Self {
        Self {
            application_id: ApplicationId::new("shop").expect("an id"),
            contract_id: ContractId::new("receipts").expect("an id"),
            private_key,
            redirect_uri,
        }
    }
}

pub(super) fn client() -> ClientBuilder {
    Client::builder().base_url(BASE_URL)
}

impl Machine {
    /// Asks for a postbox.
    pub(super) async fn ask(&self, user: usize) -> Option<(Waiting, Url)> {
        let flow = self.contract.flow(&self.client);
        let session = self.call("establish", CALL, flow.establish_session()).await;
        let session = session.ok()?;
        let expires = session.expires_at();
        match self
            .call("create", CALL, flow.create_postbox(session))
            .await
        {
            Ok(awaiting) => {
                let url = awaiting.url().clone();
                Some((awaiting.suspend().with(name(user)), url))
            }
            Err(rejected) => {
                let has_expired = expires <= self.world.time() + Duration::from_secs(20);
                if matches!(rejected.error(), Error::SessionExpired) && !has_expired {
                    self.world.violation(format!(
                        "5: a fresh session is said to have expired on {:?}",
                        self.host
                    ));
                }
                None
            }
        }
    }
}

/// Takes the flow that waits for a callback.
pub(super) async fn claim(
    machine: &Machine,
    callback: &Callback,
) -> Result<(Flow<Receipts, Awaiting>, String), Error> {
    let flows = ParkedFlows::new(machine.store());
    flows
        .claim(callback, &machine.contract, &machine.client)
        .await
}

pub(super) async fn exchange_code(
    flow: Flow<Receipts, Awaiting>,
    callback: Callback,
) -> Result<Authorization, Rejected<Flow<Receipts, Awaiting>>> {
    flow.exchange_code(callback).await
}

pub(super) async fn push(flow: &Authorization, item: PostboxItem) -> Result<Delivery, Error> {
    flow.push(item).await
}

pub(super) fn push_many(flow: &Authorization, items: Vec<PostboxItem>) -> PushMany<'_> {
    flow.push_many(items)
}

pub(super) async fn refresh(flow: &Authorization) -> Result<(), Error> {
    flow.refresh().await.map(drop)
}

pub(super) fn item(name: &str, size: usize, _: usize) -> PostboxItem {
    PostboxItem::bytes(name, vec![7; size])
}

pub(super) fn belongs_to(flow: &Authorization, user: usize) -> bool {
    flow.postbox_id() == destination(user)
}

/// Whether an exchange brought the tokens of another user than the one who was asked. A postbox is anybody's who consents.
pub(super) fn is_another_users(_: &Error) -> bool {
    false
}

/// What the platform grants. Each run has its own.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub session_life: Duration,
    pub token_life: Duration,
    pub renewal_ends_earlier: bool,
}

#[allow(clippy::unused_self, reason = "the terms of another flow vary")]
impl Terms {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        Self {
            session_life: Duration::from_secs(pick(rng, &[120, 600, 3600, 86_400])),
            token_life: Duration::from_secs(pick(rng, &[20, 60, 300, 3600])),
            renewal_ends_earlier: false,
        }
    }

    /// A consent ends when its user withdraws it.
    pub(super) fn consent_ends(&self, _: u64) -> u64 {
        u64::MAX
    }

    pub(super) fn tokens(&self, issued: &Issued) -> Value {
        json!({
            "access_token": issued.access_token,
            "refresh_token": issued.refresh_token,
            "expires_on": issued.expires_on,
        })
    }
}

pub(super) fn names_redirect_uri(_: Endpoint) -> bool {
    true
}

/// The platform's answer to a request that is this flow's own.
pub(super) fn act(
    platform: &mut Platform,
    endpoint: Endpoint,
    claims: &Value,
    words: &str,
    _: u64,
    is_forged: bool,
) -> Answer {
    if endpoint != Endpoint::Authorize {
        return Answer::refused(404, "NotFound", words);
    }
    let code = platform.announce(claims, None);
    platform.signed(&json!({"preauthorization_code": code}), is_forged)
}

/// Refuses a push without a session.
pub(super) fn refuse_session(
    platform: &Platform,
    claims: &Value,
    words: &str,
    now: u64,
) -> Option<Answer> {
    let session = platform.sessions.get(&text(claims, "session_key"));
    let has_ended = session.is_none_or(|expiry| *expiry <= now);
    has_ended.then(|| Answer::refused(401, "InvalidSession", words))
}

/// The item in a request.
pub(super) fn pushed(request: &Request) -> Pushed {
    let text = String::from_utf8_lossy(&request.body);
    let name = text
        .split_once("filename=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(name, _)| name.to_owned());
    Pushed {
        is_whole: name.is_some() && text.ends_with("--\r\n"),
        name: name.unwrap_or_default(),
        to: request.postbox.clone(),
    }
}

/// Where a user's items go.
pub(super) fn destination(user: usize) -> String {
    format!("postbox-{user}")
}

/// The answer to a push whose access token has expired.
pub(super) fn expired(_: &str) -> Answer {
    Answer::ok(&json!({"status": "pending", "expires": 60}))
}

/// The query of the callback of a user who has consented.
pub(super) fn consented(user: usize, code: &str, state: &str) -> String {
    Serializer::new(String::new())
        .append_pair("result", "SUCCESS")
        .append_pair("postboxId", &destination(user))
        .append_pair("publicKey", &keys::public_pem("postbox"))
        .append_pair("code", code)
        .append_pair("state", state)
        .finish()
}

/// The query of the callback of a user who has declined.
pub(super) fn declined(state: &str) -> String {
    format!("result=CANCEL&state={state}")
}

/// What only this flow notes: nothing.
#[derive(Default)]
pub(super) struct Notes(());

/// Looks at a request that has arrived.
pub(super) fn has_arrived(_: &mut State) {}

/// What is wrong with the store, beyond what is wrong for every flow.
pub(super) fn wrong_records(_: &mut State) -> Vec<String> {
    Vec::new()
}

/// Takes a step that only this flow has. False if it takes none.
pub(super) fn step(_: &mut Run, _: usize, _: usize) -> bool {
    false
}

/// Makes checks that only this flow has, after all others.
#[allow(clippy::unused_async, reason = "another flow waits")]
pub(super) async fn end(_: &Machine) {}
