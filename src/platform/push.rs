//! `POST permission-access/postbox/{id}`: an item, sealed while it is sent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Body, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Span;

use super::Platform;
use super::attempts::{Deadline, Doubt, Retries};
use super::connections::Connections;
use super::error::{Cause, Operation, PlatformError};
use super::http::{Answer, failed, in_a_task, lost, unsendable, without_secrets};
use super::oauth::AccessToken;

use crate::postbox::{Delivery, DeliveryAnswer, Envelope, Postbox, PostboxItem, Sealing, Waits};

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
    /// Pushes an item. Every attempt opens it again and has a key, an IV and a nonce of its own. Attempts of unknown
    /// effect are noted in `doubt`.
    pub async fn push(
        &self,
        upload: &Upload<'_>,
        doubt: &Doubt,
    ) -> Result<Delivery, PlatformError> {
        let retries = Retries {
            operation: Operation::Push,
            // The time for an upload depends on its size: it ends when it stands still.
            deadline: Deadline::NEVER,
            backoff: self.client.backoff(),
            doubt,
            is_persistent: false,
        };
        let is_possible = || upload.item.is_readable();
        self.retry(&retries, is_possible, || self.push_once(upload))
            .await
    }

    async fn push_once(&self, upload: &Upload<'_>) -> Result<Delivery, PlatformError> {
        let name = upload.item.sent_name()?;
        let opened = tokio::time::timeout(self.client.stall_timeout(), upload.item.open(&name))
            .await
            .unwrap_or_else(|_| {
                let late = io::Error::from(io::ErrorKind::TimedOut);
                Err(upload.item.unreadable(&name, late))
            })?;
        let envelope = Envelope::new();
        let claims = PushClaims {
            access_token: upload.access_token.map(AccessToken::secret),
            session_key: upload.session_key.expose_secret(),
            iv: envelope.iv(),
            symmetrical_key: envelope.symmetrical_key(&upload.postbox.key)?,
            metadata: envelope.metadata(&upload.item.descriptor(&name))?,
        };
        let token = self.request_token(&claims)?;
        let length = opened.length.map(Envelope::sealed_length);
        Span::current().record("bytes", length);
        let (moved, movement) = watch::channel(());
        let waits = Arc::new(Waits::default());
        let body = Sealing::new(
            upload.item.clone(),
            &name,
            opened,
            envelope.encryptor()?,
            moved,
            waits.clone(),
        );
        let moving = Moving {
            patience: self.client.stall_timeout(),
            movement,
            connections: self.client.connections().clone(),
            waits,
        };
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
        let answer = match self.upload(request, moving).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(stalled)) => return Err(self.stalled(upload.item, stalled)),
            Err(error) => return Err(without_secrets(error, &claims.secrets())),
        };
        self.understand::<DeliveryAnswer>(Operation::Push, answer, &claims.secrets())
            .map(Delivery::from)
    }

    /// Sends an upload and reads its answer.
    async fn upload(
        &self,
        request: RequestBuilder,
        moving: Moving,
    ) -> Result<Result<Answer, Stalled>, PlatformError> {
        let operation = Operation::Push;
        let request = request
            .build()
            .map_err(|error| unsendable(operation, &error))?;
        let sending = self.client.transport().send(request);
        let (timeout, client) = (self.client.timeout(), self.client.clone());
        in_a_task(operation, async move {
            let response = match moving.until(sending).await {
                Ok(sent) => sent.map_err(|error| failed(operation, &error))?,
                Err(stalled) => return Ok(Err(stalled)),
            };
            tokio::time::timeout(timeout, Answer::read(operation, response, client.now()))
                .await
                .map(Ok)
                .map_err(|_| lost(operation, Cause::new("timed out")))
        })
        .await
    }

    /// The error of an upload that stood still.
    fn stalled(&self, item: &PostboxItem, stalled: Stalled) -> PlatformError {
        match stalled {
            Stalled::Line(cause) => lost(Operation::Push, Cause::new(cause)),
            Stalled::Item => {
                let patience = self.client.stall_timeout();
                let silence = io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it gave nothing, or too little to send, for {patience:?}"),
                );
                match item.sent_name() {
                    Ok(name) => item.unreadable(&name, silence).into(),
                    Err(error) => error.into(),
                }
            }
        }
    }
}

/// Which side of an upload stood still.
#[derive(Clone, Copy)]
enum Stalled {
    /// The item gave nothing.
    Item,
    /// The other side took nothing, or did not answer.
    Line(&'static str),
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

/// For how many times its patience an upload may live on what the other side takes. It may be of other uploads, since an
/// HTTP client does not tell which connection carries which.
const MOST_PATIENCE: u32 = 10;

/// An upload that is watched.
struct Moving {
    /// How long it may stand still.
    patience: Duration,
    /// Says that a part was handed to the connection, and ends with the last one.
    movement: watch::Receiver<()>,
    connections: Connections,
    waits: Arc<Waits>,
}

impl Moving {
    /// Waits for an answer while the upload moves: while parts of it are handed to the connection, or while the other side
    /// takes what was handed over.
    async fn until<T>(mut self, answer: impl Future<Output = T>) -> Result<T, Stalled> {
        let mut answer = std::pin::pin!(answer);
        let mut is_handed_over = false;
        let mut moved_at = Instant::now();
        let mut handed_over_at = moved_at;
        let mut known_unsent = None;
        loop {
            let handed_over = async {
                if is_handed_over {
                    std::future::pending().await
                } else {
                    self.movement.changed().await
                }
            };
            // An answer that is there counts, however late it is looked at.
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                handed_over = handed_over => {
                    is_handed_over = handed_over.is_err();
                    moved_at = Instant::now();
                    handed_over_at = moved_at;
                }
                () = tokio::time::sleep(self.patience / 4) => {
                    // The system is asked in a thread, which may have to wait for a free one.
                    let look = tokio::time::timeout(self.patience / 4, self.connections.unsent());
                    let unsent = tokio::select! {
                        biased;
                        answer = &mut answer => return Ok(answer),
                        unsent = look => unsent.ok().flatten(),
                    };
                    let is_first_look = known_unsent.is_none();
                    let is_moving = known_unsent.replace(unsent) != Some(unsent) && !is_first_look;
                    if is_moving {
                        moved_at = Instant::now();
                    }
                    let latest = self.patience.saturating_mul(MOST_PATIENCE);
                    if moved_at.elapsed() >= self.patience || handed_over_at.elapsed() >= latest {
                        if self.waits.are_for_source() {
                            return Err(Stalled::Item);
                        }
                        let cause = if is_handed_over && unsent.unwrap_or_default() == 0 {
                            "timed out waiting for the answer"
                        } else {
                            "the upload stood still"
                        };
                        return Err(Stalled::Line(cause));
                    }
                }
            }
        }
    }
}
