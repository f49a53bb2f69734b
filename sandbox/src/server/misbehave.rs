//! Faults: how the platform or the network misbehaves for one request.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use jsonwebtoken::dangerous::insecure_decode;
use serde_json::Value;

use super::draining::AnswerAtOnce;
use super::{Connection, Shared};
use crate::fault::Fault;
use crate::refusal::Refusal;

/// The key that signs a platform token.
#[derive(Clone, Copy, Default)]
pub(super) enum Signature {
    #[default]
    Right,
    Forged,
    ForeignKeys,
}

/// Applies the injected fault to a request.
pub(super) async fn misbehave(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(fault) = shared.next_fault(request.uri().path()) else {
        return next.run(request).await;
    };
    match fault {
        Fault::Status(status) => status_of(status).into_response(),
        Fault::RetryAfter(status, seconds) => {
            let retry_after = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
            (status_of(status), retry_after).into_response()
        }
        Fault::Refuse(status, code) => {
            Refusal::new(status_of(status), code, "an injected fault").into_response()
        }
        Fault::Echo(status) => {
            let message = claims_of(request.headers());
            Refusal::new(status_of(status), "Echo", message).into_response()
        }
        Fault::RefuseUnread(status) => {
            let mut response = status_of(status).into_response();
            response.extensions_mut().insert(AnswerAtOnce);
            response
        }
        Fault::StopReading(bytes) => {
            read_up_to(request.body_mut(), bytes).await;
            std::future::pending().await
        }
        Fault::ReadSlowly(pause) => next.run(request.map(|body| slowly(body, pause))).await,
        Fault::Answer(body) => body.into_response(),
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
