//! Requests are read to their end before they are answered.
//!
//! hyper closes a connection whose request was answered before it was read. Some clients, such as Node's, then report a broken
//! connection in place of the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::timeout;

/// How much is read of what the handler left unread, in bytes. If there is more, the connection is closed.
const BOUND: u64 = 64 << 20;

/// How long it is read. If it takes longer, the connection is closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Marks an answer that is meant to be sent before the request was read.
#[derive(Clone)]
pub(super) struct AnswerAtOnce;

/// Reads what the handler left of a request's body, and then lets the answer leave.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = Kept(Arc::new(Mutex::new(body)));
    let handlers = Request::from_parts(head, Body::new(body.clone()));
    let mut response = next.run(handlers).await;
    if response.extensions().get::<AnswerAtOnce>().is_some() {
        // A connection that is closed with unread data is reset, and its answer is lost.
        tokio::spawn(body.read_rest());
    } else if !body.read_rest().await {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// A body that is still there after its handler has dropped it.
#[derive(Clone)]
struct Kept(Arc<Mutex<Body>>);

impl Kept {
    /// Whether the end was reached in time.
    async fn read_rest(self) -> bool {
        let read = timeout(PATIENCE, self.read_up_to_bound()).await;
        read.unwrap_or(false)
    }

    async fn read_up_to_bound(mut self) -> bool {
        let mut read = 0;
        while read <= BOUND {
            match poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
                Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) | None => return true,
            }
        }
        false
    }

    fn with<T>(&self, act: impl FnOnce(&mut Body) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl hyper::body::Body for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_not_waited_for_for_ever() {
        let stalled = stream::pending::<Result<Bytes, axum::Error>>();
        let body = Kept(Arc::new(Mutex::new(Body::from_stream(stalled))));
        assert!(!body.read_rest().await);
    }
}
