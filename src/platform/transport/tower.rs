//! Tower services as transports, and transports as tower services.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower_service::Service;

use super::{Body, BoxError, Transport, TransportError};

/// A tower service as a transport.
pub(crate) struct Tower<S>(pub(crate) S);

#[async_trait]
impl<S, B> Transport for Tower<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        let mut service = self.0.clone();
        let ready = poll_fn(|context| service.poll_ready(context)).await;
        // The service does not have the request yet.
        ready.map_err(TransportError::not_connected)?;
        let answer = service.call(request).await;
        let answer = answer.map_err(|error| TransportError::of(error.into()))?;
        Ok(answer.map(Body::new))
    }
}

/// A client's transport as a tower service: what a [layer](crate::ClientBuilder::layer) wraps.
#[derive(Clone)]
pub struct TransportService(Arc<dyn Transport>);

impl TransportService {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self(transport)
    }
}

impl<B> Service<http::Request<B>> for TransportService
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<http::Response<Body>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let transport = self.0.clone();
        let request = request.map(Body::new);
        async move { transport.send(request).await }.boxed()
    }
}

impl fmt::Debug for TransportService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportService")
    }
}
