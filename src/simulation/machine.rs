//! A machine of the application, with its own client, clock and connections. It is running, paused or dead.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use digime::bytes::Bytes;
use digime::error::SignerError;
use digime::store::SharedTokens;
use digime::transport::{Body, Transport, TransportError};
use digime::{Client, PrivateKey, RedirectUri, Signer, async_trait};
use futures_util::future::pending;
use futures_util::stream;
use http::header::{DATE, RETRY_AFTER};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::api::{self, Receipts};
use super::host::{Host, SetUp};
use super::keys;
use super::platform::{Answer, REDIRECT_URI, Request};
use super::store::Store;
use super::weather::{Endpoint, FOR_EVER, Fault, SignerFault};
use super::world::World;
/// How long the library waits for an answer with tokens in it, even if no caller waits for it.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// The signer of a machine, which fails as the weather says.
#[derive(Clone)]
pub(super) struct Hsm {
    world: Arc<World>,
    host: Arc<Host>,
    key: PrivateKey,
}

#[async_trait]
impl Signer for Hsm {
    fn key_id(&self) -> &'static str {
        "hsm"
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let fault = self.world.lock().weather.signer_fault();
        if fault != SignerFault::None {
            self.world.log(format!("{:?} signer {fault:?}", self.host));
        }
        // It repeats what it was asked to sign, which is secret.
        let says = || io::Error::other(String::from_utf8_lossy(message).into_owned());
        match fault {
            SignerFault::None => {}
            SignerFault::IsSlow(time) => {
                sleep(time).await;
                self.host.runs().await;
            }
            SignerFault::IsBusy => return Err(SignerError::unavailable(says())),
            SignerFault::Refuses => return Err(SignerError::refused(says())),
            SignerFault::Hangs => pending().await,
        }
        self.key.sign(message).await
    }
}

impl Hsm {
    fn new(world: &Arc<World>, host: &Arc<Host>) -> Self {
        Self {
            world: world.clone(),
            host: host.clone(),
            key: keys::private_key("contract"),
        }
    }
}

impl fmt::Debug for Hsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hsm")
    }
}

/// A machine as seen by the application.
pub(super) struct Machine {
    pub world: Arc<World>,
    pub host: Arc<Host>,
    pub client: Client,
    pub contract: Receipts,
    pub tokens: SharedTokens<Store>,
}

impl Machine {
    pub(super) fn start(world: &Arc<World>, id: u64, set_up: SetUp) -> Arc<Self> {
        let host = Arc::new(Host::new(id, set_up));
        let network = Network {
            world: world.clone(),
            host: host.clone(),
        };
        let clock = {
            let world = world.clone();
            let ahead = Duration::from_millis(set_up.clock_ahead.unsigned_abs());
            move || match set_up.clock_ahead {
                0.. => world.time() + ahead,
                _ => world.time() - ahead,
            }
        };
        let client = api::client()
            .clock(clock)
            .transport(network)
            .build()
            .expect("a client");
        let redirect_uri = if set_up.has_wrong_redirect_uri {
            "https://shop.example/other"
        } else {
            REDIRECT_URI
        };
        let store = Store {
            world: world.clone(),
            host: host.clone(),
        };
        Arc::new(Self {
            world: world.clone(),
            contract: Receipts::new(
                Hsm::new(world, &host),
                RedirectUri::new(redirect_uri).expect("a redirect URI"),
            ),
            host,
            client,
            tokens: SharedTokens::new(store),
        })
    }

    pub(super) fn store(&self) -> Store {
        Store {
            world: self.world.clone(),
            host: self.host.clone(),
        }
    }
}

/// The network between a machine and the platform.
struct Network {
    world: Arc<World>,
    host: Arc<Host>,
}

#[async_trait]
impl Transport for Network {
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        exchange(self.world.clone(), self.host.clone(), request).await
    }
}

async fn exchange(
    world: Arc<World>,
    host: Arc<Host>,
    mut request: http::Request<Body>,
) -> Result<http::Response<Body>, TransportError> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        let value = value.and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (authorization, descriptor) = (header("authorization"), header("filedescriptor"));
    world.lock().platform.leaves(&authorization);
    let unsent = Unsent {
        world: &world,
        authorization: &authorization,
        is_over: false,
    };
    let (endpoint, postbox) = endpoint(request.uri());
    if endpoint == Endpoint::Keys {
        world.lock().platform.keys_are_fetched(host.id);
    }
    // It may sleep until the keys are no longer fetched.
    if endpoint == Endpoint::Keys && host.is_paused() {
        world.keys_are_missing(&host);
    }
    host.runs().await;
    let is_away = world.lock().weather.platform_is_away || host.is_cut_from_platform();
    let passage = world.lock().weather.passage(endpoint);
    if is_away || passage.fault == Fault::NotConnected {
        sleep(passage.there).await;
        host.runs().await;
        unsent.end();
        world.log(format!("{host:?} {endpoint:?} not connected"));
        // A shorter one is waited for.
        if endpoint == Endpoint::Keys && is_away {
            world.keys_are_missing(&host);
        }
        return Err(host.connection_refused());
    }
    let mut body = Vec::new();
    while let Some(frame) = BodyExt::frame(request.body_mut()).await {
        let frame = frame.map_err(TransportError::lost)?;
        body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        host.runs().await;
    }
    unsent.end();
    let id = world.lock().platform.sent(host.id);
    let waiting = Waiting {
        world: world.clone(),
        id,
        sent: Instant::now(),
        is_over: false,
    };
    let request = Request {
        id,
        endpoint,
        postbox,
        authorization,
        descriptor,
        body,
    };
    let (answer, answered) = oneshot::channel();
    tokio::spawn(serve(world.clone(), host.clone(), request, passage, answer));
    let answer = answered.await;
    host.runs().await;
    let Ok((answer, fault)) = answer else {
        waiting.end_without_answer("the answer was lost");
        let reset = io::Error::other("connection reset");
        return Err(TransportError::lost(reset));
    };
    let is_cut = fault == Fault::Cut;
    // Then one attempt is left for the keys.
    if endpoint == Endpoint::Keys && answer.retry_after == Some(FOR_EVER) {
        world.keys_are_missing(&host);
    }
    match fault {
        // The status of a refusal arrives in any case, and is enough.
        Fault::Cut | Fault::Forged if answer.status == 200 => {
            waiting.end_without_answer("the answer was damaged");
        }
        Fault::Refused { acts: true, .. } => {
            waiting.end_without_answer("the platform failed after it acted");
        }
        _ => waiting.end(),
    }
    Ok(response(&world, answer, is_cut))
}

/// What happens at the platform, whether its client waits or not.
async fn serve(
    world: Arc<World>,
    host: Arc<Host>,
    request: Request,
    passage: super::weather::Passage,
    reply: oneshot::Sender<(Answer, Fault)>,
) {
    sleep(passage.there).await;
    let now = world.millis();
    let answer = world.lock().arrived(&request, &passage, now);
    let status = answer.as_ref().map(|answer| answer.status);
    world.log(format!(
        "{host:?} #{} {:?} {:?} {status:?}",
        request.id, request.endpoint, passage.fault
    ));
    if host.is_dead() {
        let mut state = world.lock();
        state
            .platform
            .unanswered(request.id, Some("the machine has died"));
    }
    match (answer, passage.fault) {
        (_, Fault::Silent { .. }) => pending().await,
        (Some(answer), fault) => {
            sleep(passage.back).await;
            let _ = reply.send((answer, fault));
        }
        (None, _) => sleep(passage.back).await,
    }
}

fn response(world: &World, answer: Answer, is_cut: bool) -> http::Response<Body> {
    let mut builder = http::Response::builder()
        .status(answer.status)
        .header("x-digi-sdk-status", "1")
        .header("x-digi-sdk-status-message", answer.words());
    let date = world.lock().weather.date(world.time());
    if let Some(date) = date {
        builder = builder.header(DATE, httpdate::fmt_http_date(date));
    }
    if let Some(pause) = answer.retry_after {
        builder = builder.header(RETRY_AFTER, pause);
    }
    let body = if is_cut {
        let half = Bytes::copy_from_slice(&answer.body.as_bytes()[..answer.body.len() / 2]);
        let half = Frame::data(half);
        let cut = Err(io::Error::other("cut"));
        Body::new(StreamBody::new(stream::iter([Ok(half), cut])))
    } else {
        Body::from(answer.body)
    };
    builder.body(body).expect("a response")
}

fn endpoint(url: &http::Uri) -> (Endpoint, String) {
    let path = url.path();
    let last = path.rsplit('/').next().unwrap_or_default().to_owned();
    let endpoint = match last.as_str() {
        "session" => Endpoint::Session,
        "authorize" => Endpoint::Authorize,
        "token" => Endpoint::Token,
        "reference" => Endpoint::Renewal,
        "user" => Endpoint::User,
        "keys" => Endpoint::Keys,
        _ => Endpoint::Push,
    };
    (endpoint, last)
}

/// A request that a paused machine has not sent yet. If the library gives it up then, it can't know that.
struct Unsent<'a> {
    world: &'a World,
    authorization: &'a str,
    is_over: bool,
}

impl Unsent<'_> {
    fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.world.lock().platform.given_up(self.authorization);
        }
    }
}

/// A request whose answer is waited for. If the waiting ends early, the reason is noted.
struct Waiting {
    world: Arc<World>,
    id: u64,
    sent: Instant,
    is_over: bool,
}

impl Waiting {
    fn end(mut self) {
        self.is_over = true;
        self.world.lock().platform.answered(self.id);
    }

    fn end_without_answer(mut self, reason: &'static str) {
        self.is_over = true;
        self.lose(Some(reason));
    }

    fn lose(&self, reason: Option<&'static str>) {
        self.world.lock().platform.unanswered(self.id, reason);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_over && !self.world.is_over() {
            let is_patient = self.sent.elapsed() >= PATIENCE;
            self.lose(is_patient.then_some("the platform did not answer in time"));
        }
    }
}
