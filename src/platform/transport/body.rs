//! The body of a request or an answer.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};

use super::BoxError;

/// The body of a request or an answer: bytes, or a stream that is read once.
///
/// It is neither `Clone` nor `Default`. So a layer that follows redirections, which would carry secrets to another server,
/// does not compile:
///
/// ```compile_fail
/// let layer = tower_http::follow_redirect::FollowRedirectLayer::new();
/// let builder = digime::Client::builder().layer(layer); // `Body` is not `Default`
/// ```
///
/// An answer's body is often made of bytes:
///
/// ```
/// use digime::transport::Body;
///
/// let body = Body::from(r#"{"status":"delivered"}"#);
/// assert_eq!(body.as_bytes(), Some(br#"{"status":"delivered"}"#.as_slice()));
/// ```
pub struct Body(reqwest::Body);

impl Body {
    /// A body of another type, whose parts are passed on as they come.
    ///
    /// ```
    /// use digime::transport::{http, Body};
    ///
    /// fn passed_on(answer: http::Response<reqwest::Body>) -> http::Response<Body> {
    ///     answer.map(Body::new)
    /// }
    /// ```
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut body = Some(body);
        // Most layers pass on the body that they get.
        let own = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>();
        if let Some(own) = own.and_then(Option::take) {
            return own;
        }
        let foreign = body.map(|body| Foreign(Mutex::new(Box::pin(body))));
        Self(foreign.map_or_else(reqwest::Body::default, reqwest::Body::wrap))
    }

    /// The whole body, if it is not a stream: that of every request but a push.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_bytes()
    }

    pub(in crate::platform) fn from_inner(body: reqwest::Body) -> Self {
        Self(body)
    }

    pub(in crate::platform) async fn frame(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await
    }

    pub(super) fn into_inner(self) -> reqwest::Body {
        self.0
    }
}

impl From<Bytes> for Body {
    fn from(body: Bytes) -> Self {
        Self(body.into())
    }
}

impl From<Vec<u8>> for Body {
    fn from(body: Vec<u8>) -> Self {
        Self(body.into())
    }
}

impl From<String> for Body {
    fn from(body: String) -> Self {
        Self(body.into())
    }
}

impl From<&'static str> for Body {
    fn from(body: &'static str) -> Self {
        Self(body.into())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.0).poll_frame(context);
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// A body that only one thread uses at a time. The lock, which nobody ever waits for, proves this to the compiler.
struct Foreign<B>(Mutex<Pin<Box<B>>>);

impl<B> http_body::Body for Foreign<B>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        body.as_mut().poll_frame(context).map(|frame| {
            let frame = frame?.map_err(Into::into);
            Some(frame.map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))))
        })
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.size_hint()
    }
}
