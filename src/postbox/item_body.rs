//! The body of a push: one task reads the item and another encrypts it while the body is sent, so that none of the three
//! waits for another. A library's request may send the item as it is.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::body_monitor::{Activity, BodyMonitor, BodySignals, body_monitor};
use super::encryption::Encryptor;
use super::error::{EncryptionError, ItemError};
use super::prepared::{OpenItem, PreparedItem};
use super::progress::UploadProgress;

/// How many chunks are read, and how many encrypted, ahead of the connection.
const AHEAD: usize = 2;

/// An item that is read, and encrypted if it has an encryptor, while it is sent.
pub(crate) struct ItemBody {
    item: OpenItem,
    encryptor: Option<Encryptor>,
    sent: Sent,
}

/// What is known of the parts that were sent.
struct Sent {
    item: Arc<PreparedItem>,
    progress: UploadProgress,
    signals: BodySignals,
}

/// A part of the body.
struct Part {
    bytes: Bytes,
    /// How many bytes of the item it contains.
    contains: u64,
    /// The last part is marked explicitly, so that a task that ends early is never taken for the end of the item.
    is_last: bool,
}

impl ItemBody {
    pub(super) fn new(item: OpenItem, encryptor: Option<Encryptor>) -> (Self, BodyMonitor) {
        let (signals, monitor) = body_monitor();
        let sent = Sent {
            item: item.item.clone(),
            progress: item.progress(),
            signals,
        };
        let body = Self {
            item,
            encryptor,
            sent,
        };
        (body, monitor)
    }

    /// The parts of the body. Nothing is read before the first one is asked for, and dropping the stream ends the tasks.
    pub(crate) fn into_stream(
        self,
    ) -> impl Stream<Item = Result<Bytes, EncryptionError>> + Send + 'static {
        stream::try_unfold(State::Waiting(Box::new(self)), |state| async {
            let mut running = match state {
                State::Waiting(body) => body.start(),
                State::Running(running) => running,
                State::Done(mut sent) => {
                    sent.report();
                    return Ok(None);
                }
            };
            running.sent.report();
            let part = running.next_part().await?;
            let next = if part.is_last {
                if part.contains > 0 {
                    // A connection that knows the length does not ask for the end.
                    running.sent.report();
                }
                State::Done(running.sent)
            } else {
                State::Running(running)
            };
            Ok(Some((part.bytes, next)))
        })
    }

    fn start(self) -> Running {
        let (to_encryption, chunks) = mpsc::channel(AHEAD);
        let (to_body, parts) = mpsc::channel(AHEAD);
        let activity = self.sent.signals.activity.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(read(self.item, activity, to_encryption));
        tasks.spawn(encrypt(self.encryptor, chunks, to_body));
        Running {
            parts,
            sent: self.sent,
            _tasks: tasks,
        }
    }
}

enum State {
    Waiting(Box<ItemBody>),
    Running(Running),
    Done(Sent),
}

struct Running {
    parts: mpsc::Receiver<Result<Part, EncryptionError>>,
    sent: Sent,
    /// They end with the body.
    _tasks: JoinSet<()>,
}

impl Running {
    async fn next_part(&mut self) -> Result<Part, EncryptionError> {
        let activity = &self.sent.signals.activity;
        activity.set_part_wanted(true);
        let part = self.parts.recv().await;
        activity.set_part_wanted(false);
        let part = part.unwrap_or_else(|| Err(self.sent.reader_panicked().into()))?;
        self.sent.progress.advance(part.contains);
        Ok(part)
    }
}

impl Sent {
    /// Reports that the part before this one was sent.
    fn report(&mut self) {
        self.signals.part_taken();
        self.progress.report();
    }

    /// The error of tasks that end before the item does, which happens only if its reader panics.
    fn reader_panicked(&self) -> ItemError {
        self.item
            .unreadable(io::Error::other("its reader panicked"))
    }
}

/// Reads chunks ahead. The last one is empty or an error. Stops when the receiver is dropped.
async fn read(
    mut item: OpenItem,
    activity: Arc<Activity>,
    chunks: mpsc::Sender<Result<BytesMut, ItemError>>,
) {
    loop {
        activity.set_reading(true);
        let chunk = item.chunk().await;
        activity.set_reading(false);
        let is_last = chunk.as_ref().map_or(true, BytesMut::is_empty);
        if chunks.send(chunk).await.is_err() || is_last {
            return;
        }
    }
}

/// Encrypts chunks as they come, until an empty one. Stops when the receiver is dropped.
async fn encrypt(
    mut encryptor: Option<Encryptor>,
    mut chunks: mpsc::Receiver<Result<BytesMut, ItemError>>,
    parts: mpsc::Sender<Result<Part, EncryptionError>>,
) {
    // An item that is sent as it is has no padding behind its last chunk. So that chunk is held back until it is known that the
    // item ends there: a file that has grown must not look complete.
    let mut held = None;
    while let Some(chunk) = chunks.recv().await {
        let is_end = chunk.as_ref().is_ok_and(BytesMut::is_empty);
        let next = match chunk {
            Ok(_) if is_end => last_part(encryptor.take(), held.take()),
            Ok(chunk) => part(encryptor.as_mut(), chunk),
            Err(error) => Err(error.into()),
        };
        let ready = match next {
            Ok(part) if encryptor.is_none() && !is_end => held.replace(part).map(Ok),
            next => Some(next),
        };
        if let Some(part) = ready
            && parts.send(part).await.is_err()
        {
            return;
        }
        if is_end {
            return;
        }
    }
}

fn part(encryptor: Option<&mut Encryptor>, chunk: BytesMut) -> Result<Part, EncryptionError> {
    let contains = chunk.len() as u64;
    let bytes = match encryptor {
        Some(encryptor) => encryptor.update(&chunk)?,
        None => chunk.freeze(),
    };
    Ok(Part {
        bytes,
        contains,
        is_last: false,
    })
}

/// The last part: the padding of an item that is encrypted, or the chunk that was held back.
fn last_part(encryptor: Option<Encryptor>, held: Option<Part>) -> Result<Part, EncryptionError> {
    let end = encryptor.map(Encryptor::finish).transpose()?;
    Ok(match (end, held) {
        (None, Some(held)) => Part {
            is_last: true,
            ..held
        },
        (end, _) => Part {
            bytes: end.unwrap_or_default(),
            contains: 0,
            is_last: true,
        },
    })
}
