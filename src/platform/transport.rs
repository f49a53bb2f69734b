//! Transports a request to the platform and its answer back.

mod body;
mod network;
mod tower;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

pub use body::Body;
pub(crate) use network::{Network, SharedNetwork, follows_redirections};
pub(crate) use tower::Tower;
pub use tower::TransportService;

use super::error::Operation;
use crate::contract::{ContractId, Credentials};

/// What sends a request to the platform and brings its answer: the network by default.
///
/// A client calls it once for each attempt. What is signed, what is sent again and what an answer means is decided above it,
/// and so are the limits of time and of an answer's length. So a transport has four duties:
///
/// - It sends the request once, or not at all.
/// - It follows no redirection: the request carries secrets, and another server must not get them.
/// - Its [error](TransportError) is `lost` if the request may have been received.
/// - It ends when its future is dropped, and does not block the thread.
///
/// The header `Authorization` and the answer contain secrets. So may the path, the other headers and the body of a library's
/// request. Do not log them.
///
/// ```
/// use std::sync::Arc;
/// use digime::transport::{http, Body, Transport, TransportError};
/// use digime::{Client, async_trait};
///
/// /// A platform for a test, which refuses everything.
/// struct Closed;
///
/// #[async_trait]
/// impl Transport for Closed {
///     async fn send(&self, _: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
///         let refusal = r#"{"error":{"code":"InvalidContractId","message":"closed"}}"#;
///         let answer = http::Response::builder().status(403).body(Body::from(refusal));
///         answer.map_err(TransportError::unsendable)
///     }
/// }
///
/// let client = Client::builder().transport(Closed).build()?;
/// # Ok::<(), digime::error::ClientError>(())
/// ```
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and waits for the head of its answer. Its [`Attempt`] is in the request's extensions.
    ///
    /// # Errors
    /// A [`TransportError`] if there is no answer. An answer with any status is no error.
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        (**self).send(request).await
    }
}

/// Why a request got no answer. It decides whether the request is sent again, so when in doubt it is [`lost`](Self::lost).
///
/// ```
/// use digime::transport::TransportError;
///
/// let error = TransportError::not_connected("the gateway is closed");
/// assert_eq!(error.to_string(), "no connection was made");
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The request can't be sent, for example because it is malformed. It is not tried again.
    #[error("the request can't be sent")]
    Unsendable(#[source] BoxError),
    /// No connection to the platform was made, so nothing was sent. The request is tried again.
    #[error("no connection was made")]
    NotConnected(#[source] BoxError),
    /// The request, or a part of it, may have been received, and no answer came back. It is tried again unless it spends a
    /// code or a refresh token.
    #[error("the answer was lost")]
    Lost(#[source] BoxError),
}

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

impl TransportError {
    /// The request can't be sent.
    pub fn unsendable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unsendable(cause.into())
    }

    /// No connection was made, so nothing was sent.
    pub fn not_connected(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::NotConnected(cause.into())
    }

    /// The request may have been received.
    pub fn lost(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Lost(cause.into())
    }

    /// Finds out what any error says about the request.
    fn of(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(error) => return *error,
            Err(error) => error,
        };
        // Only the error itself is asked. Its sources may be those of one of several attempts.
        let http = error.downcast_ref::<reqwest::Error>();
        let hyper = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if http.is_some_and(reqwest::Error::is_builder) {
            Self::Unsendable(error)
        } else if http.is_some_and(reqwest::Error::is_connect)
            || hyper.is_some_and(hyper_util::client::legacy::Error::is_connect)
        {
            Self::NotConnected(error)
        } else {
            Self::Lost(error)
        }
    }
}

/// Which attempt a request is. It is in the extensions of every request that a [`Transport`] or a
/// [layer](crate::ClientBuilder::layer) gets.
///
/// ```
/// use digime::transport::{http, Attempt, Body};
///
/// fn describe(request: &http::Request<Body>) -> String {
///     match request.extensions().get::<Attempt>() {
///         Some(attempt) => format!("attempt {} to {}", attempt.number(), attempt.operation()),
///         None => "not a request of digime".to_owned(),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Attempt {
    operation: Operation,
    number: u32,
    credentials: Arc<Credentials>,
}

impl Attempt {
    pub(super) fn new(operation: Operation, number: u32, credentials: Arc<Credentials>) -> Self {
        Self {
            operation,
            number,
            credentials,
        }
    }

    /// What the request asks of the platform.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// 1 for the first attempt. A call that makes several requests, such as a refresh and a push, counts the attempts of
    /// each.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The contract whose flow makes the request.
    #[must_use]
    pub fn contract_id(&self) -> &ContractId {
        &self.credentials.contract_id
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("operation", &self.operation)
            .field("number", &self.number)
            .field("contract_id", &self.credentials.contract_id)
            .finish()
    }
}
