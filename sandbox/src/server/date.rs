//! The header `Date`, which says what time it is on the platform.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Shared;
use crate::clock::time;

/// Writes the time of a clock that was moved. Otherwise, hyper writes the machine's.
pub(super) async fn write(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if shared.clock.is_moved()
        && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(time(shared.clock.now())))
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}
