//! The signed token in every request except the one for a session.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::poll_immediate;
use serde::Serialize;
use thiserror::Error;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use zeroize::Zeroizing;

use super::error::{Operation, PlatformError, RequestError};
use super::jws::Unsigned;
use super::redaction::Redaction;
use super::{Platform, jws};
use crate::contract::{Signer, SignerError};

/// How many bytes a signature has: as many as the key, which has 2048 to 8192 bits.
const LENGTHS: std::ops::RangeInclusive<usize> = 256..=1024;

/// The claims that every request token has, and those of the particular request.
#[derive(Serialize)]
struct Claims<'a, T> {
    client_id: String,
    nonce: String,
    /// Unix time in milliseconds.
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<&'a str>,
    #[serde(flatten)]
    of_request: &'a T,
}

impl Platform {
    /// Signs a token for one attempt at a request, within `limit`. The platform accepts a nonce once, so each attempt needs
    /// its own token.
    pub async fn request_token(
        &self,
        operation: Operation,
        limit: Duration,
        has_redirect_uri: bool,
        of_request: &impl Serialize,
    ) -> Result<Zeroizing<String>, PlatformError> {
        let token = jws::unsigned(&Claims {
            client_id: self.credentials.client_id(),
            nonce: self.client.random().nonce(),
            timestamp: self.client.now(),
            redirect_uri: has_redirect_uri.then(|| self.credentials.redirect_uri.as_str()),
            of_request,
        })?;
        self.signed(operation, limit, token).await
    }

    /// A token with its signature.
    pub(super) async fn signed(
        &self,
        operation: Operation,
        limit: Duration,
        token: Unsigned,
    ) -> Result<Zeroizing<String>, PlatformError> {
        let signer = &self.credentials.signer;
        sign(signer.clone(), token, limit).await.map_err(|source| {
            let key_id = Redaction::default().line(signer.key_id());
            RequestError::Unsigned {
                operation,
                key_id,
                source,
            }
            .into()
        })
    }
}

/// Signs. A signer that does not answer at once continues in a task, which ends with this future. So the limit measures the
/// signer, and not how often the application polls the call.
async fn sign(
    signer: Arc<dyn Signer>,
    token: Unsigned,
    limit: Duration,
) -> Result<Zeroizing<String>, SignerError> {
    let signing = async move {
        let signature = signer.sign(token.message()).await?;
        check(&signature)?;
        Ok(token.with(&signature))
    };
    // A signer that panics must not end the task of its call, which would leave open whether something was sent.
    let signing = AssertUnwindSafe(signing).catch_unwind();
    let ended_early = || Err(SignerError::unavailable(Failure::EndedEarly));
    let mut signing = Box::pin(signing.map(move |token| token.unwrap_or_else(|_| ended_early())));
    if let Some(token) = poll_immediate(&mut signing).await {
        return token;
    }
    let limited = tokio::time::timeout(limit, signing).in_current_span();
    match AbortOnDropHandle::new(tokio::spawn(limited)).await {
        Ok(Ok(token)) => token,
        Ok(Err(_)) => Err(SignerError::unavailable(Failure::TimedOut(limit))),
        Err(_) => ended_early(),
    }
}

fn check(signature: &[u8]) -> Result<(), SignerError> {
    if LENGTHS.contains(&signature.len()) {
        return Ok(());
    }
    Err(SignerError::refused(Failure::Length(signature.len())))
}

#[derive(Debug, Error)]
enum Failure {
    #[error("the signer did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("the signer panicked, or its task ended early")]
    EndedEarly,
    #[error(
        "the signer returned {0} bytes, but a signature has {min} to {max}, as many as the key",
        min = LENGTHS.start(), max = LENGTHS.end()
    )]
    Length(usize),
}
