//! `POST permission-access/postbox/{id}`: an item, sealed while it is sent.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use super::oauth::AccessToken;
use super::{Platform, http};
use crate::error::{Error, Operation, RequestError};
use crate::postbox::{
    Delivery, DeliveryAnswer, Encryptor, Envelope, ItemError, Opened, Postbox, PostboxItem,
    Progress,
};

/// How much of an item is read, sealed and sent at a time.
const CHUNK: usize = 256 * 1024;

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
        self.retry(|| self.push_once(upload)).await
    }

    async fn push_once(&self, upload: &Upload<'_>) -> Result<Delivery, Error> {
        let name = upload.item.sent_name()?;
        let opened = upload.item.open().await?;
        let envelope = Envelope::new();
        let token = self.request_token(&PushClaims {
            access_token: upload.access_token.map(AccessToken::secret),
            session_key: upload.session_key.expose_secret(),
            iv: envelope.iv(),
            symmetrical_key: envelope.symmetrical_key(&upload.postbox.key)?,
            metadata: envelope.metadata(&upload.item.descriptor(&name))?,
        })?;
        let length = Envelope::sealed_length(opened.length);
        let (moved, movement) = watch::channel(());
        let sealed = Sealing {
            item: upload.item.clone(),
            name: name.clone(),
            unread: opened.length,
            opened,
            encryptor: envelope.encryptor()?,
            moved,
        };
        let body = Body::wrap_stream(sealed.into_stream());
        let part = Part::stream_with_length(body, length).file_name(name);
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

/// An item on its way: read, sealed and handed on, a chunk at a time.
struct Sealing {
    item: PostboxItem,
    name: String,
    opened: Opened,
    unread: u64,
    encryptor: Encryptor,
    /// Says that a chunk was asked for, that is, that the one before was sent.
    moved: watch::Sender<()>,
}

impl Sealing {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        stream::try_unfold(Some(self), async |state| match state {
            Some(sealing) => sealing.next().await.map(Some),
            None => Ok(None),
        })
    }

    /// The next chunk, and what is left behind it.
    async fn next(mut self) -> Result<(Bytes, Option<Self>), Error> {
        self.moved.send_replace(());
        self.item.report(Progress {
            sent: self.opened.length - self.unread,
            total: self.opened.length,
        });
        let chunk = self.read().await?;
        if chunk.is_empty() {
            return Ok((self.encryptor.finish()?, None));
        }
        let sealed = self.encryptor.update(&chunk)?;
        Ok((sealed, Some(self)))
    }

    /// A chunk of the item, full unless it is the last; an empty one at the end.
    async fn read(&mut self) -> Result<BytesMut, ItemError> {
        let wanted = usize::try_from(self.unread).unwrap_or(CHUNK).min(CHUNK);
        // One more byte than there is room for shows, at the end, that the file has grown.
        let room = wanted.max(1);
        let mut chunk = BytesMut::with_capacity(room);
        let mut reader = (&mut self.opened.reader).take(room as u64);
        while reader.limit() > 0 {
            match reader.read_buf(&mut chunk).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(self.item.unreadable(&self.name, error)),
            }
        }
        if chunk.len() != wanted {
            return Err(ItemError::Changed {
                name: self.name.clone(),
            });
        }
        self.unread -= wanted as u64;
        Ok(chunk)
    }
}
