//! Where the bytes of an item come from.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;

#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Bytes(Bytes),
    Open(Arc<dyn Fn() -> BoxFuture<'static, io::Result<Reader>> + Send + Sync>),
    SingleUse(SingleUse),
}

/// Opens a regular file, and gives its length too. Gives nothing for anything else.
pub(super) async fn open_file(path: &Path) -> io::Result<Option<(File, u64)>> {
    // Checked before it is opened: opening a pipe waits for its other end.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Ok(None);
    }
    let file = File::open(path).await?;
    let length = file.metadata().await?.len();
    Ok(Some((file, length)))
}

/// A reader that is available until its first read.
#[derive(Clone)]
pub(super) struct SingleUse(Arc<Mutex<Option<Reader>>>);

impl SingleUse {
    pub(super) fn new(reader: Reader) -> Self {
        Self(Arc::new(Mutex::new(Some(reader))))
    }

    pub(super) fn is_available(&self) -> bool {
        self.lock().is_some()
    }

    /// Takes the reader when the first byte is wanted, so an attempt that fails before reading leaves it usable.
    pub(super) fn take_on_read(&self) -> impl AsyncRead + Send + Unpin + 'static {
        TakeOnRead {
            shared: self.clone(),
            taken: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reader>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct TakeOnRead {
    shared: SingleUse,
    taken: Option<Reader>,
}

impl AsyncRead for TakeOnRead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken.is_none() {
            let reader = self.shared.lock().take();
            self.taken = reader;
        }
        match &mut self.taken {
            Some(reader) => Pin::new(reader).poll_read(context, buffer),
            None => Poll::Ready(Err(io::Error::other("another push reads it"))),
        }
    }
}
