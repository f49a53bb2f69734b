//! The platform over HTTP: routes, faults, and connections that can be cut.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::fault::{Endpoint, Fault};
use crate::keys::{self, SigningKey};
use crate::platform::{Platform, Received};
use crate::push::Envelope;
use crate::refusal::Refusal;
use crate::request_token::Request as VerifiedRequest;
use crate::user_client::{BadLink, Decision, Opened};

/// The state that all requests share.
pub(crate) struct Shared {
    pub base_url: String,
    platform: Mutex<Platform>,
    faults: Mutex<HashMap<Endpoint, VecDeque<Fault>>>,
    requests: Mutex<HashMap<Endpoint, u64>>,
    /// The id of the key that signs platform tokens.
    pub signing_key: watch::Sender<&'static str>,
    pub violations: watch::Sender<Vec<String>>,
}

impl Shared {
    pub(crate) fn new(base_url: String, platform: Platform) -> Self {
        Self {
            base_url,
            platform: Mutex::new(platform),
            faults: Mutex::default(),
            requests: Mutex::default(),
            signing_key: watch::Sender::new("platform"),
            violations: watch::Sender::default(),
        }
    }

    pub(crate) fn platform(&self) -> MutexGuard<'_, Platform> {
        self.platform.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn inject(&self, endpoint: Endpoint, fault: Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.entry(endpoint).or_default().push_back(fault);
    }

    pub(crate) fn requests(&self, endpoint: Endpoint) -> u64 {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.get(&endpoint).copied().unwrap_or_default()
    }

    /// Counts a request, and returns its fault.
    fn next_fault(&self, path: &str) -> Option<Fault> {
        let endpoint = Endpoint::of_path(path)?;
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(endpoint).or_default() += 1;
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get_mut(&endpoint)?.pop_front()
    }

    /// Opens a link as the user's client does, and answers as the user decides.
    pub(crate) async fn consent(
        &self,
        link: &str,
        decision: Decision,
    ) -> Result<url::Url, BadLink> {
        let opened = Opened::read(link)?;
        opened.check(&self.platform())?;
        let result = match decision {
            Decision::Cancel => "CANCEL",
            Decision::Error => "ERROR",
            Decision::Approve => {
                let made = tokio::task::spawn_blocking(keys::postbox).await;
                let (key, public_key) = made.expect("making a key does not panic");
                let mut platform = self.platform();
                // Another request may have opened the link in the meantime.
                opened.check(&platform)?;
                return opened.approve(&mut platform, key, &public_key);
            }
        };
        Ok(opened.callback(result, &self.platform()))
    }
}

/// A switch that cuts the connection of a request.
#[derive(Clone, Default)]
struct Connection(Arc<Notify>);

impl Connection {
    /// Cuts the connection. There is no answer.
    async fn cut(&self) -> Response {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = router(shared);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_connection(stream, router.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    let connection = Connection::default();
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(connection.clone());
        let mut router = router.clone();
        async move { router.call(request.map(Body::new)).await }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = serving => {}
        () = connection.0.notified() => {}
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let platform = Router::new()
        .route("/permission-access/session", post(establish_session))
        .route("/permission-access/postbox/{id}", post(push))
        .route("/oauth/authorize", post(authorize))
        .route("/oauth/token", post(token))
        .route("/jwks/oauth", get(key_set));
    Router::new()
        .nest("/v1.5", platform)
        .route("/sandbox/consent", get(consent))
        .route("/sandbox/inbox", get(inbox))
        .fallback(async || {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "NotFound",
                "there is no such endpoint",
            )
        })
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            shared.clone(),
            note_violation,
        ))
        .layer(middleware::from_fn_with_state(shared.clone(), misbehave))
        .with_state(shared)
}

/// Notes a mistake of a program.
async fn note_violation(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    if let Some(Violation(why)) = response.extensions().get() {
        shared
            .violations
            .send_modify(|violations| violations.push(format!("{what}: {why}")));
    }
    response
}

/// Marks a refusal.
#[derive(Clone)]
struct Violation(String);

type Answer = Result<Json<Value>, Refused>;

/// A noted refusal.
struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let violation = Violation(self.0.message.clone());
        let mut response = self.0.into_response();
        response.extensions_mut().insert(violation);
        response
    }
}

/// The key that signs a platform token.
#[derive(Clone, Copy, Default)]
enum Signature {
    #[default]
    Right,
    Forged,
    ForeignKeys,
}

/// Applies the injected fault to a request.
async fn misbehave(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(fault) = shared.next_fault(request.uri().path()) else {
        return next.run(request).await;
    };
    match fault {
        Fault::Status(status) => refuse(request, status, None).await,
        Fault::RetryAfter(status, seconds) => refuse(request, status, Some(seconds)).await,
        Fault::Refuse(status, code) => {
            drain(request).await;
            Refusal::new(status_of(status), code, "an injected fault").into_response()
        }
        Fault::Echo(status) => {
            let message = claims_of(request.headers());
            drain(request).await;
            Refusal::new(status_of(status), "Echo", message).into_response()
        }
        Fault::RefuseUnread(status) => {
            // A connection that is closed with unread data is reset, and its answer is lost.
            tokio::spawn(drain(request));
            status_of(status).into_response()
        }
        Fault::StopReading(bytes) => {
            read_up_to(request.body_mut(), bytes).await;
            std::future::pending().await
        }
        Fault::ReadSlowly(pause) => next.run(request.map(|body| slowly(body, pause))).await,
        Fault::Answer(body) => {
            drain(request).await;
            body.into_response()
        }
        Fault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        Fault::DisconnectAfter(bytes) => {
            read_up_to(request.body_mut(), bytes).await;
            connection.cut().await
        }
        Fault::LoseAnswer => {
            next.run(request).await;
            connection.cut().await
        }
        Fault::CutAnswer => cut_in_half(next.run(request).await).await,
        Fault::ForgedToken => {
            request.extensions_mut().insert(Signature::Forged);
            next.run(request).await
        }
        Fault::ForeignKeys => {
            request.extensions_mut().insert(Signature::ForeignKeys);
            next.run(request).await
        }
    }
}

/// The claims of a request's token, unverified.
fn claims_of(headers: &HeaderMap) -> String {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let claims = token.and_then(|token| insecure_decode::<Value>(token).ok());
    claims.map_or_else(String::new, |token| token.claims.to_string())
}

fn slowly(body: Body, pause: Duration) -> Body {
    let parts = body.into_data_stream().then(move |part| async move {
        tokio::time::sleep(pause).await;
        part
    });
    Body::from_stream(parts)
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn refuse(request: Request, status: u16, retry_after: Option<u64>) -> Response {
    drain(request).await;
    let mut response = status_of(status).into_response();
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Reads a body to its end, so that its sender can read the answer.
async fn drain(mut request: Request) {
    read_up_to(request.body_mut(), u64::MAX).await;
}

async fn read_up_to(body: &mut Body, bytes: u64) {
    let mut read = 0;
    while read < bytes
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}

async fn cut_in_half(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = HalfBody(Some(body.slice(..body.len() / 2)));
    Response::from_parts(head, Body::new(half))
}

/// A body that ends with an error, which makes the server cut the connection.
struct HalfBody(Option<Bytes>);

impl hyper::body::Body for HalfBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(match self.0.take() {
            Some(half) => Ok(hyper::body::Frame::data(half)),
            None => Err(std::io::Error::other("cut")),
        }))
    }
}

async fn establish_session(
    State(shared): State<Arc<Shared>>,
    Json(request): Json<Value>,
) -> Answer {
    Ok(Json(shared.platform().establish_session(&request)?))
}

async fn authorize(state: State<Arc<Shared>>, signature: Signed, headers: HeaderMap) -> Answer {
    oauth(state, signature, &headers, Platform::authorize)
}

async fn token(state: State<Arc<Shared>>, signature: Signed, headers: HeaderMap) -> Answer {
    oauth(state, signature, &headers, Platform::token)
}

type Signed = Option<Extension<Signature>>;

fn oauth(
    State(shared): State<Arc<Shared>>,
    signature: Signed,
    headers: &HeaderMap,
    decide: fn(&mut Platform, &VerifiedRequest) -> Result<Value, Refusal>,
) -> Answer {
    let claims = {
        let mut platform = shared.platform();
        let request = platform.verify(headers)?;
        decide(&mut platform, &request)?
    };
    Ok(platform_token(&shared, signature, &claims))
}

fn platform_token(shared: &Shared, signature: Signed, claims: &Value) -> Json<Value> {
    let Extension(signature) = signature.unwrap_or_default();
    let kid = *shared.signing_key.borrow();
    let key = match signature {
        Signature::Forged => &keys::FORGER,
        _ => key_of(kid),
    };
    let origin = match signature {
        Signature::ForeignKeys => "http://localhost:1/v1.5",
        _ => &shared.base_url,
    };
    let mut header = Header::new(Algorithm::PS512);
    header.kid = Some(kid.into());
    header.jku = Some(format!("{origin}/jwks/oauth"));
    let token = encode(
        &header,
        claims,
        &EncodingKey::from_rsa_der(&key.private_der),
    );
    Json(json!({"token": token.expect("a fresh key signs")}))
}

fn key_of(kid: &str) -> &'static SigningKey {
    if kid == "rotated" {
        &keys::ROTATED
    } else {
        &keys::PLATFORM
    }
}

async fn key_set(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let kid = *shared.signing_key.borrow();
    Json(json!({"keys": [{"kid": kid, "kty": "RSA", "pem": key_of(kid).public_pem()}]}))
}

async fn push(
    State(shared): State<Arc<Shared>>,
    Path(postbox_id): Path<String>,
    request: Request,
) -> Answer {
    let (envelope, delivered) = {
        let mut platform = shared.platform();
        let verified = platform.verify(request.headers())?;
        let postbox = platform
            .postboxes
            .get(&postbox_id)
            .filter(|postbox| postbox.contract_id == verified.contract.contract_id)
            .ok_or_else(|| {
                Refusal::new(
                    StatusCode::NOT_FOUND,
                    "InvalidPostbox",
                    "no postbox of this contract has this id",
                )
            })?;
        let key = postbox.key.clone();
        platform.check_session(
            verified.claim("session_key")?,
            &verified.contract.contract_id,
        )?;
        let delivered = platform.delivers(&verified, &postbox_id)?;
        let envelope = Envelope::open(&verified, &key)?;
        if !platform
            .envelopes
            .insert((envelope.key.clone(), envelope.iv.to_vec()))
        {
            return Err(Refusal::request("the key and IV were used before").into());
        }
        // A one-off push waits in the postbox until the user's client fetches it. This client does so at once.
        (
            envelope,
            (delivered, delivered || !verified.contract.ongoing),
        )
    };
    let multipart = Multipart::from_request(request, &())
        .await
        .map_err(|error| Refusal::request(error.body_text()))?;
    let opened = envelope.receive(multipart).await?;
    let (delivered, arrives) = delivered;
    if arrives {
        let Envelope { descriptor, .. } = envelope;
        let crate::push::Opened { name, size, sha256 } = opened;
        shared.platform().inbox.push(Received {
            postbox_id,
            name,
            size,
            sha256,
            descriptor,
        });
    }
    let status = if delivered { "delivered" } else { "pending" };
    Ok(Json(json!({"status": status, "expires": 7 * 24 * 60 * 60})))
}

#[derive(Deserialize)]
struct ConsentQuery {
    link: String,
    #[serde(default = "approve")]
    decision: Decision,
}

fn approve() -> Decision {
    Decision::Approve
}

async fn consent(State(shared): State<Arc<Shared>>, Query(query): Query<ConsentQuery>) -> Answer {
    let callback = shared.consent(&query.link, query.decision).await;
    let callback = callback
        .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, "InvalidLink", why.to_string()))?;
    Ok(Json(json!({"callback": callback.as_str()})))
}

async fn inbox(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<Received>>, Infallible> {
    Ok(Json(shared.platform().inbox.clone()))
}
