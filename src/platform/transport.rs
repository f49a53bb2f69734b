//! Transports a request to the platform and its answer back.

use std::error::Error as StdError;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::{Request, Response};

/// Sends requests. Tests implement it to replace the network by a simulated platform.
pub(crate) trait Transport: Send + Sync {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, TransportError>>;
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum TransportError {
    /// The request can't be sent, for example because it is malformed.
    Unsendable(BoxError),
    /// No connection to the platform was made, so nothing was sent.
    NotConnected(BoxError),
    /// The request, or a part of it, was sent, and no answer came back.
    Lost(BoxError),
}

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

impl Transport for reqwest::Client {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, TransportError>> {
        let sending = self.execute(request);
        async move {
            sending.await.map_err(|error| {
                if error.is_builder() {
                    TransportError::Unsendable(error.into())
                } else if error.is_connect() {
                    TransportError::NotConnected(error.into())
                } else {
                    TransportError::Lost(error.into())
                }
            })
        }
        .boxed()
    }
}
