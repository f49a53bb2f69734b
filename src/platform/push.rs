//! `POST permission-access/postbox/{id}`: an item, sealed while it is sent.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Body, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::sync::watch;
use tracing::Span;

use super::oauth::AccessToken;
use super::sealing::Sealing;
use super::{Platform, http};
use crate::error::{Error, Operation, RequestError};
use crate::postbox::{Delivery, DeliveryAnswer, Envelope, Postbox, PostboxItem};

/// What is pushed, where to, and by what right.
#[derive(Debug)]
pub struct Upload<'a> {
    pub item: &'a PostboxItem,
    pub postbox: &'a Postbox,
    pub session_key: &'a SecretString,
    /// For an ongoing contract.
    pub access_token: Option<&'a AccessToken>,
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
    /// Pushes an item. Every attempt opens it again and has a key, an IV and a nonce of its own.
    pub async fn push(&self, upload: &Upload<'_>) -> Result<Delivery, Error> {
        let is_possible = || upload.item.is_readable();
        self.retry(Operation::Push, is_possible, || self.push_once(upload))
            .await
    }

    async fn push_once(&self, upload: &Upload<'_>) -> Result<Delivery, Error> {
        let name = upload.item.sent_name()?;
        let opened = upload.item.open(&name).await?;
        let envelope = Envelope::new();
        let token = self.request_token(&PushClaims {
            access_token: upload.access_token.map(AccessToken::secret),
            session_key: upload.session_key.expose_secret(),
            iv: envelope.iv(),
            symmetrical_key: envelope.symmetrical_key(&upload.postbox.key)?,
            metadata: envelope.metadata(&upload.item.descriptor(&name))?,
        })?;
        let length = opened.length.map(Envelope::sealed_length);
        Span::current().record("bytes", length);
        let (moved, movement) = watch::channel(());
        let body = Sealing::new(
            upload.item.clone(),
            &name,
            opened,
            envelope.encryptor()?,
            moved,
        );
        let body = Body::wrap_stream(body.into_stream());
        let part = match length {
            Some(length) => Part::stream_with_length(body, length),
            None => Part::stream(body),
        }
        .file_name(name);
        let url = self
            .client
            .endpoint(&["permission-access", "postbox", &upload.postbox.id]);
        let request = self
            .client
            .http()
            .post(url)
            .bearer_auth(&*token)
            .multipart(Form::new().part("file", part));
        let response =
            unless_stalled(self.client.stall_timeout(), movement, request.send()).await?;
        let read = http::read::<DeliveryAnswer>(Operation::Push, response);
        tokio::time::timeout(self.client.timeout(), read)
            .await
            .map_err(|_| lost("timed out"))?
            .map(Delivery::from)
    }
}

/// Waits for an answer as long as the upload moves.
async fn unless_stalled(
    patience: Duration,
    mut movement: watch::Receiver<()>,
    request: impl Future<Output = reqwest::Result<Response>>,
) -> Result<Response, Error> {
    let mut request = std::pin::pin!(request);
    let mut sent_whole = false;
    loop {
        let moved = async {
            if sent_whole {
                std::future::pending().await
            } else {
                movement.changed().await
            }
        };
        tokio::select! {
            answer = &mut request => return answer.map_err(|error| http::failed(Operation::Push, &error)),
            moved = moved => sent_whole = moved.is_err(),
            () = tokio::time::sleep(patience) => {
                let cause = if sent_whole { "timed out waiting for the answer" } else { "the upload stood still" };
                return Err(lost(cause));
            }
        }
    }
}

fn lost(cause: &str) -> Error {
    RequestError::AnswerLost {
        operation: Operation::Push,
        cause: cause.into(),
    }
    .into()
}
