//! `POST permission-access/postbox/{id}`: an item, encrypted while it is sent.

use std::sync::Arc;

use reqwest::Body;
use reqwest::multipart::{Form, Part};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tracing::Span;
use url::Url;

use super::Platform;
use super::attempts::{Deadline, Doubt, Retries};
use super::error::{Operation, PlatformError};
use super::http::without_secrets;
use super::oauth::AccessToken;
use crate::postbox::{Delivery, DeliveryAnswer, Postbox, PreparedItem};

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
        let operation = Operation::Push;
        let opened = upload.item.open(self.client.stall_timeout()).await?;
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
            .request_token(operation, limit, true, &claims)
            .await
            .map_err(|error| without_secrets(error, &claims.secrets()))?;
        let request = self
            .client
            .http()
            .post(self.push_url(upload.postbox))
            .bearer_auth(&*token)
            .multipart(Form::new().part("file", part.file_name(encrypted.name)));
        let request = self.numbered(operation, number, request)?;
        let received = self
            .upload(operation, request, upload.item, encrypted.monitor)
            .await
            .map_err(|error| without_secrets(error, &claims.secrets()))?;
        let answer = self.accept(operation, received, &claims.secrets())?;
        Ok(answer.json::<DeliveryAnswer>()?.into())
    }

    fn push_url(&self, postbox: &Postbox) -> Url {
        self.client
            .endpoint(&["permission-access", "postbox", &postbox.id])
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
