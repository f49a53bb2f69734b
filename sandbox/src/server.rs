//! The platform over HTTP: connections that can be cut, and the routes.

mod control;
mod date;
mod draining;
mod endpoints;
mod import_endpoints;
mod misbehave;
mod pages;
mod violations;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tower_http::csrf::CsrfLayer;
use tower_service::Service;
use url::Url;

use crate::api::Api;
use crate::bad_link::BadLink;
use crate::clock::Clock;
use crate::fault::{Endpoint, Fault};
use crate::import::onboarding;
use crate::keys;
use crate::platform::Platform;
use crate::refusal::Refusal;
use crate::reply::{Decision, Reply};
use crate::user_client::Opened;

use violations::Violations;

/// The state that all requests share.
pub(crate) struct Shared {
    /// Scheme, host and port by which clients name the sandbox.
    pub origin: String,
    pub base_url: String,
    pub import_base_url: String,
    /// With a slash at its end.
    pub onboarding_url: String,
    pub clock: Clock,
    platform: Mutex<Platform>,
    faults: Mutex<HashMap<Endpoint, VecDeque<Fault>>>,
    requests: Mutex<HashMap<Endpoint, u64>>,
    /// The id of the key that signs platform tokens.
    pub signing_key: watch::Sender<&'static str>,
    pub violations: watch::Sender<Violations>,
    /// Postbox keys that are made at the same time. More of them than cores would only keep each other, and all requests,
    /// waiting.
    key_makers: Semaphore,
}

impl Shared {
    pub(crate) fn new(origin: String, platform: Platform) -> Self {
        Self {
            base_url: format!("{origin}{}", Api::Postbox.path()),
            import_base_url: format!("{origin}{}", Api::Import.path()),
            onboarding_url: format!("{origin}{}", onboarding::PATH),
            clock: platform.clock.clone(),
            origin,
            platform: Mutex::new(platform),
            faults: Mutex::default(),
            requests: Mutex::default(),
            signing_key: watch::Sender::new("platform"),
            violations: watch::Sender::default(),
            key_makers: Semaphore::new(thread::available_parallelism().map_or(1, usize::from)),
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

    /// Opens a link as the user's client or browser does, and answers as the user does.
    pub(crate) async fn answer(&self, link: &str, reply: &Reply) -> Result<Url, BadLink> {
        if let Some(link) = web_address(link) {
            let link = onboarding::Link::read(&link, &self.origin)?;
            return link.answer(&mut self.platform(), reply);
        }
        if reply.user_id.is_some() || reply.without_state {
            return Err(BadLink::new(
                "only a link to the onboarding app of API 1.7 is answered by a certain person or without `state`",
            ));
        }
        self.decide(&Opened::read(link)?, reply.decision).await
    }

    /// Answers a link as the user decides. Returns the URL that is called back.
    async fn decide(&self, opened: &Opened, decision: Decision) -> Result<Url, BadLink> {
        opened.check(&self.platform())?;
        let result = match decision {
            Decision::Cancel => "CANCEL",
            Decision::Error => "ERROR",
            Decision::Approve => {
                let maker = self.key_makers.acquire().await;
                let made = tokio::task::spawn_blocking(keys::postbox).await;
                drop(maker);
                let (key, public_key) = made.expect("making a key does not panic");
                return opened.approve(&mut self.platform(), key, &public_key);
            }
        };
        Ok(opened.callback(result, &self.platform()))
    }
}

/// The address, if a link leads to a browser and not to the user's client.
pub(crate) fn web_address(link: &str) -> Option<Url> {
    let link = Url::parse(link.trim()).ok()?;
    link.scheme().starts_with("http").then_some(link)
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
pub(crate) async fn serve(mut listener: TcpListener, shared: Arc<Shared>) {
    let router = router(shared);
    let mut connections = JoinSet::new();
    loop {
        // Where too many files are open, this waits and tries again.
        let (stream, _) = Listener::accept(&mut listener).await;
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
    let faults = middleware::from_fn_with_state(shared.clone(), misbehave::misbehave);
    let violations = middleware::from_fn_with_state(shared.clone(), violations::note_violation);
    let date = middleware::from_fn_with_state(shared.clone(), date::write);
    let for_people_and_tests = Router::new()
        .nest("/sandbox", control::routes())
        .merge(pages::routes())
        // Browsers say from which site a request comes. Other programs do not, and are let through.
        .layer(CsrfLayer::new().with_rejection_response(|_| foreign()));
    Router::new()
        .nest(Api::Postbox.path(), endpoints::routes())
        .nest(Api::Import.path(), import_endpoints::routes())
        .merge(for_people_and_tests)
        .fallback(async || {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "NotFound",
                "there is no such endpoint",
            )
        })
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(violations)
        .layer(faults)
        .layer(middleware::from_fn(draining::drain))
        .layer(date)
        .with_state(shared)
}

/// The answer to a request by which another site would change something, such as a consent.
fn foreign() -> Response {
    let advice = "This request came from another site, so it was refused. Open the sandbox's own page, and try it there.\n";
    (StatusCode::FORBIDDEN, advice).into_response()
}
