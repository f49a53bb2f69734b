//! The routes, and what happens to every request and response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::OnceCell;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{Span, info_span};

use crate::app::App;
use crate::config::{CALLBACK_PATH, Config};
use crate::page::PageError;
use crate::routes::{account, admin, callback, connect, health, shop};
use crate::session;

/// A call of digi.me takes at most thirty seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing comes from elsewhere, and no script or style is in a page. The targets of forms are added.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// # Errors
/// An error if an address in the settings is not fit for a header.
pub fn content_security_policy(config: &Config) -> Result<HeaderValue> {
    let targets = config.form_targets();
    let targets = targets
        .map(|target| format!(" {target}"))
        .unwrap_or_default();
    HeaderValue::try_from(format!("{CONTENT_SECURITY_POLICY}{targets}"))
        .context("`onboarding_url` can't be used")
}

pub fn router(app: Arc<App>) -> Router {
    let pages = Router::new()
        .route("/", get(shop::tenants))
        .route("/{tenant}", get(shop::products))
        .route("/{tenant}/buy", post(shop::buy))
        .route("/{tenant}/receipts", get(account::receipts))
        .route("/{tenant}/receipts/status", get(account::status))
        .route("/{tenant}/disconnect", post(account::disconnect))
        .route("/{tenant}/delete", post(account::delete))
        .route("/{tenant}/deleted/{end}", get(account::deleted))
        .route("/{tenant}/connect", post(connect::begin))
        .route("/{tenant}/connect/{attempt}", get(connect::page))
        .route("/{tenant}/connect/{attempt}/status", get(connect::status))
        .route("/{tenant}/connect/{attempt}/done", get(connect::done))
        .route(&format!("/{CALLBACK_PATH}"), get(callback::callback))
        .route("/admin", get(admin::overview))
        .route("/admin/login", get(admin::login_page).post(admin::login))
        .route("/admin/logout", post(admin::logout))
        .route("/admin/outbox/{entry}/retry", post(admin::retry))
        .route("/admin/outbox/{entry}/discard", post(admin::discard))
        // Browsers say from which site a request comes. So other sites can't send requests that change something, and forms
        // need no token.
        .layer(CsrfLayer::new().with_rejection_response(|_| forbidden()))
        .layer(session::layer(app.db.clone(), app.config.is_https()));
    let trace = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_response(|response: &Response, latency: Duration, _: &Span| {
            let duration_ms = latency.as_secs_f64() * 1000.0;
            tracing::info!(status = response.status().as_u16(), duration_ms, "answered");
        })
        // Whatever failed has said why.
        .on_failure(());
    Router::new()
        .merge(pages)
        .route("/static/shop.css", get(shop::style))
        .route("/static/follow.js", get(shop::script))
        .route("/static/icon.svg", get(shop::icon))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(async || PageError::NotFound)
        .layer(
            ServiceBuilder::new()
                .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
                .layer(trace)
                .layer(PropagateRequestIdLayer::new(REQUEST_ID))
                .layer(from_fn(measure))
                .layer(from_fn_with_state(app.clone(), secure))
                .layer(CatchPanicLayer::custom(|_| {
                    PageError::Internal.into_response()
                }))
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::SERVICE_UNAVAILABLE,
                    REQUEST_TIMEOUT,
                )),
        )
        .with_state(app)
}

fn forbidden() -> Response {
    let advice = "This request came from another site, so it was refused. Go back to the shop, and try it there.\n";
    (StatusCode::FORBIDDEN, advice).into_response()
}

/// The query is left out, since the callback's is secret. So is the path, which can lead to a customer's page.
fn span(request: &Request) -> Span {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok());
    info_span!("request", method = %request.method(), route = route(request), id)
}

fn route(request: &Request) -> &str {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or("none", MatchedPath::as_str)
}

/// Clients make up methods, and each value of a label takes memory for as long as the process lives.
fn method(request: &Request) -> &'static str {
    match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

async fn measure(request: Request, next: Next) -> Response {
    let labels = [
        ("method", method(&request).to_owned()),
        ("route", route(&request).to_owned()),
    ];
    let begun = Instant::now();
    let response = next.run(request).await;
    metrics::histogram!("shop_request_seconds", &labels).record(begun.elapsed());
    let status = response.status().as_str().to_owned();
    metrics::counter!("shop_requests_total", "route" => labels[1].1.clone(), "status" => status)
        .increment(1);
    response
}

/// The headers that keep browsers from doing more than they have to.
async fn secure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // The address of the callback has a code in it, which no other page may see. With `no-referrer` everywhere, browsers
    // would not say either where a form comes from.
    let is_callback = request.uri().path().trim_start_matches('/') == CALLBACK_PATH;
    let referrer = if is_callback {
        "no-referrer"
    } else {
        "same-origin"
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::REFERRER_POLICY, referrer);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    if app.config.is_https() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    let policy = app.content_security_policy.clone();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    // Pages are personal.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The process has one recorder, however many shops it runs.
pub async fn metrics() -> Result<PrometheusHandle> {
    static HANDLE: OnceCell<PrometheusHandle> = OnceCell::const_new();
    let install = async || {
        let seconds = Matcher::Suffix("_seconds".into());
        let buckets = [0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0];
        let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &buckets)?;
        builder.install_recorder()
    };
    let handle = HANDLE.get_or_try_init(install).await;
    Ok(handle.context("can't record metrics")?.clone())
}
