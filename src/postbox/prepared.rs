//! An item that is ready to be pushed, and an item that is open for one attempt.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use super::descriptor::Descriptor;
use super::error::{ItemError, check_length};
use super::progress::{OnProgress, UploadProgress};
use super::source::{Reader, Source, open_file};

/// How many bytes of an item are read and encrypted at a time.
const CHUNK: usize = 256 * 1024;

/// An item as it is pushed: named, described and checked once, and opened for each attempt.
pub(crate) struct PreparedItem {
    pub(super) name: String,
    pub(super) descriptor: Descriptor,
    /// The length, if it is known before the item is opened.
    pub(super) length: Option<u64>,
    pub(super) source: Source,
    pub(super) on_progress: Option<OnProgress>,
}

impl PreparedItem {
    /// Opens the item for one attempt.
    ///
    /// # Errors
    /// [`ItemError`] if it can't be opened, or not within `timeout`.
    pub(crate) async fn open(self: &Arc<Self>, timeout: Duration) -> Result<OpenItem, ItemError> {
        let opening = tokio::time::timeout(timeout, self.reader());
        let (reader, length) = opening
            .await
            .unwrap_or_else(|_| Err(self.unreadable(io::ErrorKind::TimedOut.into())))?;
        Ok(OpenItem {
            item: self.clone(),
            reader,
            length,
            read: 0,
        })
    }

    async fn reader(&self) -> Result<(Reader, Option<u64>), ItemError> {
        let reader: Reader = match &self.source {
            Source::File(path) => {
                let opened = open_file(path).await.map_err(|e| self.unreadable(e))?;
                let (file, length) = opened.ok_or_else(|| ItemError::NotAFile(path.clone()))?;
                check_length(&self.name, Some(length))?;
                return Ok((Box::new(file), Some(length)));
            }
            Source::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Source::Open(open) => open().await.map_err(|error| self.unreadable(error))?,
            Source::SingleUse(reader) => {
                self.check_readable()?;
                Box::new(reader.take_on_read())
            }
        };
        Ok((reader, self.length))
    }

    /// Whether it can be read from its beginning.
    pub(crate) fn is_readable(&self) -> bool {
        match &self.source {
            Source::SingleUse(reader) => reader.is_available(),
            _ => true,
        }
    }

    /// # Errors
    /// [`ItemError::ReadOnce`] if it can no longer be read from its beginning.
    pub(crate) fn check_readable(&self) -> Result<(), ItemError> {
        if self.is_readable() {
            return Ok(());
        }
        Err(ItemError::ReadOnce {
            name: self.name.clone(),
        })
    }

    /// The error of an item that gave nothing, or too little to send, for `patience`.
    pub(crate) fn silent(&self, patience: Duration) -> ItemError {
        self.unreadable(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("it gave nothing, or too little to send, for {patience:?}"),
        ))
    }

    pub(super) fn unreadable(&self, error: io::Error) -> ItemError {
        let path = match &self.source {
            Source::File(path) => path.clone(),
            _ => PathBuf::from(&self.name),
        };
        ItemError::Unreadable {
            path,
            source: Arc::new(error),
        }
    }
}

/// An item that is open for reading.
pub(crate) struct OpenItem {
    pub(super) item: Arc<PreparedItem>,
    reader: Reader,
    pub(super) length: Option<u64>,
    read: u64,
}

impl OpenItem {
    pub(super) fn progress(&self) -> UploadProgress {
        UploadProgress::new(self.length, self.item.on_progress.clone())
    }

    /// The next chunk, full unless it is the last. An empty one marks the end.
    pub(super) async fn chunk(&mut self) -> Result<BytesMut, ItemError> {
        let unread = self.length.map(|length| length - self.read);
        let wanted = unread.map_or(CHUNK, |unread| {
            usize::try_from(unread).unwrap_or(CHUNK).min(CHUNK)
        });
        // At the end, one byte is asked for all the same: it shows whether the file has grown.
        let room = wanted.max(1);
        let mut chunk = BytesMut::with_capacity(room);
        let mut reader = (&mut self.reader).take(room as u64);
        while reader.limit() > 0 {
            match reader.read_buf(&mut chunk).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(self.item.unreadable(error)),
            }
        }
        if unread.is_some() && chunk.len() != wanted {
            return Err(ItemError::Changed {
                name: self.item.name.clone(),
            });
        }
        self.read += chunk.len() as u64;
        Ok(chunk)
    }
}

impl fmt::Debug for PreparedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is pushed is somebody's private data.
        f.debug_struct("PreparedItem")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
