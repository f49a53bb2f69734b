//! For whatever watches the process.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::app::App;
use crate::page::PageError;
use crate::session::is_admin_token;

const LONGEST_PING: Duration = Duration::from_secs(2);

/// The process answers.
pub async fn live() -> &'static str {
    "live\n"
}

/// The database can be reached. digi.me is not asked: without it the shop still sells, and receipts wait.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let error = match timeout(LONGEST_PING, app.db.ping()).await {
        Ok(Ok(())) => return "ready\n".into_response(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it did not answer within {LONGEST_PING:?}"),
    };
    tracing::error!(error, "the database can't be reached");
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "the database can't be reached\n",
    )
        .into_response()
}

/// Prometheus sends the admin token as a bearer token: the figures are not for everybody.
pub async fn metrics(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|it| it.to_str().ok());
    let token = authorization.and_then(|it| it.strip_prefix("Bearer "));
    if !token.is_some_and(|token| is_admin_token(&app, token)) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return Ok((
            StatusCode::UNAUTHORIZED,
            challenge,
            "send the admin token\n",
        )
            .into_response());
    }
    // Its counts become gauges.
    app.outbox.counts().await?;
    Ok(app.metrics.render().into_response())
}
