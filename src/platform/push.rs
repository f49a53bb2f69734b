//! `POST permission-access/postbox/{id}`: an item, encrypted while it is sent.

use std::sync::Arc;

use reqwest::multipart::{Form, Part};
use reqwest::{Body, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tracing::Span;
use url::Url;

use super::Platform;
use super::attempts::{Deadline, Doubt, Retries};
use super::error::{Cause, Operation, PlatformError};
use super::http::{Answer, failed, in_a_task, lost, without_secrets};
use super::oauth::AccessToken;
use super::stall::{StallWatch, Stalled};
use crate::postbox::{BodyMonitor, Delivery, DeliveryAnswer, Postbox, PreparedItem};

/// What is pushed, where to, and by what right.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    pub(crate) item: &'a Arc<PreparedItem>,
    pub(crate) postbox: &'a Postbox,
    pub(crate) session_key: &'a SecretString,
    /// For an ongoing contract.
    pub(crate) access_token: Option<&'a AccessToken>,
}

#[derive(Serialize)]
struct PushClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    session_key: &'a str,
    iv: String,
    symmetrical_key: String,
    metadata: String,
}

impl Platform {
    /// Pushes an item. Every attempt opens it again and has a key, an IV and a nonce of its own. Attempts of unknown
    /// effect are noted in `doubt`.
    pub(crate) async fn push(
        &self,
        upload: &Upload<'_>,
        doubt: &Doubt,
    ) -> Result<Delivery, PlatformError> {
        let retries = Retries {
            operation: Operation::Push,
            // The time for an upload depends on its size: it ends when it stalls.
            deadline: Deadline::NEVER,
            doubt,
            is_persistent: false,
        };
        let is_possible = || upload.item.is_readable();
        self.retry(&retries, is_possible, |number| {
            self.push_once(upload, number)
        })
        .await
    }

    async fn push_once(&self, upload: &Upload<'_>, number: u32) -> Result<Delivery, PlatformError> {
        let stall_timeout = self.client.stall_timeout();
        let opened = upload.item.open(stall_timeout).await?;
        let encrypted = opened.encrypt(&upload.postbox.key)?;
        Span::current().record("bytes", encrypted.length);
        let claims = PushClaims {
            access_token: upload.access_token.map(AccessToken::secret),
            session_key: upload.session_key.expose_secret(),
            iv: encrypted.iv,
            symmetrical_key: encrypted.symmetrical_key,
            metadata: encrypted.metadata,
        };
        let body = Body::wrap_stream(encrypted.body.into_stream());
        let part = match encrypted.length {
            Some(length) => Part::stream_with_length(body, length),
            None => Part::stream(body),
        };
        let limit = self.client.timeout();
        let token = self
            .request_token(Operation::Push, limit, &claims)
            .await
            .map_err(|error| without_secrets(error, &claims.secrets()))?;
        let request = self
            .client
            .http()
            .post(self.push_url(upload.postbox))
            .bearer_auth(&*token)
            .multipart(Form::new().part("file", part.file_name(encrypted.name)));
        let answer = match self.upload(request, number, encrypted.monitor).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(Stalled::Item)) => return Err(upload.item.silent(stall_timeout).into()),
            Ok(Err(Stalled::Line(cause))) => return Err(lost(Operation::Push, Cause::new(cause))),
            Err(error) => return Err(without_secrets(error, &claims.secrets())),
        };
        self.understand::<DeliveryAnswer>(Operation::Push, answer, &claims.secrets())
            .map(Delivery::from)
    }

    fn push_url(&self, postbox: &Postbox) -> Url {
        self.client
            .endpoint(&["permission-access", "postbox", &postbox.id])
    }

    /// Sends an upload and reads its answer.
    async fn upload(
        &self,
        request: RequestBuilder,
        number: u32,
        monitor: BodyMonitor,
    ) -> Result<Result<Answer, Stalled>, PlatformError> {
        let operation = Operation::Push;
        let request = self.numbered(operation, number, request)?;
        let client = self.client.clone();
        in_a_task(operation, async move {
            let sending = client.transport().send(request);
            let connections = client.connections().clone();
            let watch = StallWatch::new(client.stall_timeout(), monitor, connections);
            let response = match watch.until(sending).await {
                Ok(sent) => sent.map_err(|error| failed(operation, &error))?,
                Err(stalled) => return Ok(Err(stalled)),
            };
            let answer = Answer::read(operation, response, client.now());
            tokio::time::timeout(client.timeout(), answer)
                .await
                .map(Ok)
                .map_err(|_| lost(operation, Cause::new("timed out")))
        })
        .await
    }
}

impl PushClaims<'_> {
    fn secrets(&self) -> [&str; 4] {
        [
            self.access_token.unwrap_or_default(),
            self.session_key,
            &self.symmetrical_key,
            &self.metadata,
        ]
    }
}
