//! An item on its way: read, sealed and sent, each by a task of its own, so that none waits for another.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Encryptor, ItemError, Opened, PostboxItem, Progress};
use crate::internal::InternalError;

/// How much of an item is read, sealed and sent at a time.
const CHUNK: usize = 256 * 1024;

/// How many chunks are read, and how many sealed, ahead of those that want them.
const AHEAD: usize = 2;

/// Why an item could not be sealed.
#[derive(Clone, Debug, Error)]
pub enum SealError {
    #[error(transparent)]
    Item(#[from] ItemError),
    #[error(transparent)]
    Internal(#[from] InternalError),
}

/// What is sealed while it is sent.
pub struct Sealing {
    source: Source,
    encryptor: Encryptor,
    handed_over: HandedOver,
}

/// Who waits for whom while an item is on its way.
#[derive(Debug, Default)]
pub struct Waits {
    /// The item is being read.
    reads: AtomicBool,
    /// The connection has asked for a part.
    wants: AtomicBool,
}

impl Waits {
    /// Whether the connection could take more, and the item does not give it.
    pub fn are_for_source(&self) -> bool {
        self.reads.load(Relaxed) && self.wants.load(Relaxed)
    }
}

/// Where it comes from.
struct Source {
    item: PostboxItem,
    name: String,
    opened: Opened,
    read: u64,
    waits: Arc<Waits>,
}

/// Who is told how far it is.
struct HandedOver {
    item: PostboxItem,
    progress: Progress,
    /// Says that a chunk was asked for, that is, that the one before was handed to the connection.
    moved: watch::Sender<()>,
    waits: Arc<Waits>,
    has_panicked: bool,
}

/// A part of the body.
struct Part {
    sealed: Bytes,
    /// How many of the item's bytes it holds.
    holds: u64,
    /// That there is no other is said, so that a task that ends early is never taken for the end of the item.
    is_last: bool,
}

impl Sealing {
    pub fn new(
        item: PostboxItem,
        name: &str,
        opened: Opened,
        encryptor: Encryptor,
        moved: watch::Sender<()>,
        waits: Arc<Waits>,
    ) -> Self {
        let progress = Progress {
            sent: 0,
            total: opened.length,
        };
        Self {
            handed_over: HandedOver {
                item: item.clone(),
                progress,
                moved,
                waits: waits.clone(),
                has_panicked: false,
            },
            source: Source {
                item,
                name: name.to_owned(),
                opened,
                read: 0,
                waits,
            },
            encryptor,
        }
    }

    /// The body. Nothing is read before its first part is asked for, and nothing goes on when it is dropped.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, SealError>> + Send + 'static {
        stream::try_unfold(State::Waiting(Box::new(self)), |state| async {
            let mut running = match state {
                State::Waiting(sealing) => sealing.start(),
                State::Running(running) => running,
                State::Done(mut handed_over) => {
                    handed_over.report();
                    return Ok(None);
                }
            };
            running.handed_over.report();
            running.handed_over.waits.wants.store(true, Relaxed);
            let part = running.parts.recv().await;
            running.handed_over.waits.wants.store(false, Relaxed);
            let part = part.unwrap_or_else(|| Err(running.handed_over.panicked().into()))?;
            running.handed_over.progress.sent += part.holds;
            let next = if part.is_last {
                State::Done(running.handed_over)
            } else {
                State::Running(running)
            };
            Ok(Some((part.sealed, next)))
        })
    }

    fn start(self) -> Running {
        let (to_sealer, chunks) = mpsc::channel(AHEAD);
        let (to_body, parts) = mpsc::channel(AHEAD);
        let mut tasks = JoinSet::new();
        tasks.spawn(self.source.read_into(to_sealer));
        tasks.spawn(seal(self.encryptor, chunks, to_body));
        Running {
            parts,
            handed_over: self.handed_over,
            _tasks: tasks,
        }
    }
}

enum State {
    Waiting(Box<Sealing>),
    Running(Running),
    Done(HandedOver),
}

struct Running {
    parts: mpsc::Receiver<Result<Part, SealError>>,
    handed_over: HandedOver,
    /// They end with the body.
    _tasks: JoinSet<()>,
}

impl HandedOver {
    /// Reports the progress. A panic of the application's code ends its reports and not the upload, which would look
    /// like a lost answer and be tried again.
    fn report(&mut self) {
        self.moved.send_replace(());
        if self.has_panicked {
            return;
        }
        let report = || self.item.report(self.progress);
        self.has_panicked = catch_unwind(AssertUnwindSafe(report)).is_err();
        if self.has_panicked {
            tracing::error!("`on_progress` panicked: it is not called again for this upload");
        }
    }

    /// What to say where a task ended before the item did, which only a reader that panics makes it do.
    fn panicked(&self) -> ItemError {
        let name = self.item.sent_name().unwrap_or_default();
        self.item
            .unreadable(&name, io::Error::other("its reader panicked"))
    }
}

/// Seals chunks as they come, until an empty one. Where nobody wants them any more, neither does it.
async fn seal(
    mut encryptor: Encryptor,
    mut chunks: mpsc::Receiver<Result<BytesMut, ItemError>>,
    parts: mpsc::Sender<Result<Part, SealError>>,
) {
    while let Some(chunk) = chunks.recv().await {
        let part = match chunk {
            Ok(chunk) if chunk.is_empty() => {
                let _ = parts.send(last_part(encryptor)).await;
                return;
            }
            Ok(chunk) => part(&mut encryptor, &chunk),
            Err(error) => Err(error.into()),
        };
        if parts.send(part).await.is_err() {
            return;
        }
    }
}

fn part(encryptor: &mut Encryptor, chunk: &[u8]) -> Result<Part, SealError> {
    Ok(Part {
        sealed: encryptor.update(chunk)?,
        holds: chunk.len() as u64,
        is_last: false,
    })
}

fn last_part(encryptor: Encryptor) -> Result<Part, SealError> {
    Ok(Part {
        sealed: encryptor.finish()?,
        holds: 0,
        is_last: true,
    })
}

impl Source {
    /// Reads chunks ahead: an empty one or a fault is the last.
    async fn read_into(mut self, chunks: mpsc::Sender<Result<BytesMut, ItemError>>) {
        loop {
            self.waits.reads.store(true, Relaxed);
            let chunk = self.chunk().await;
            self.waits.reads.store(false, Relaxed);
            let is_last = chunk.as_ref().map_or(true, BytesMut::is_empty);
            if chunks.send(chunk).await.is_err() || is_last {
                return;
            }
        }
    }

    /// A chunk of the item, full unless it is the last; an empty one at the end.
    async fn chunk(&mut self) -> Result<BytesMut, ItemError> {
        let unread = self.opened.length.map(|length| length - self.read);
        let wanted = unread.map_or(CHUNK, |unread| {
            usize::try_from(unread).unwrap_or(CHUNK).min(CHUNK)
        });
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
        if unread.is_some() && chunk.len() != wanted {
            return Err(ItemError::Changed {
                name: self.name.clone(),
            });
        }
        self.read += chunk.len() as u64;
        Ok(chunk)
    }
}
