use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use thiserror::Error;
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use crate::excerpt::excerpt;

/// Something to push: a file or bytes, with what the user's digi.me should know of it.
///
/// ```
/// use digime::PostboxItem;
///
/// let receipt = PostboxItem::file("receipts/2026-11.pdf").account("customer-42").tag("receipt");
/// let result = PostboxItem::bytes("result.json", r#"{"haemoglobin": 14.1}"#).account("patient-7");
/// ```
///
/// A file is opened when it is pushed, and read again where the push has to be tried again. Of whatever it is, a few
/// chunks are in memory at a time.
#[derive(Clone)]
#[must_use = "an item does nothing until it is pushed"]
pub struct PostboxItem {
    source: Source,
    name: Option<String>,
    /// Of a reader, where it was said.
    length: Option<u64>,
    mime_type: Option<String>,
    accounts: Vec<Account>,
    references: Vec<String>,
    tags: Vec<String>,
    progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

type Reader = Box<dyn AsyncRead + Send + Unpin>;

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Bytes(Bytes),
    Open(Arc<dyn Fn() -> BoxFuture<'static, io::Result<Reader>> + Send + Sync>),
    Once(Once),
}

/// A reader that is there until somebody begins to read it.
#[derive(Clone)]
struct Once(Arc<Mutex<Option<Reader>>>);

/// How far the push of an item is, in bytes of the item. It begins again at zero where the push is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many have been handed to the network.
    pub sent: u64,
    /// How many there are, where that is known.
    pub total: Option<u64>,
}

/// Why an item can't be pushed. The attempt that fails by it delivers nothing.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The path ends in no name, or in one that is not Unicode.
    #[error("`{}` has no name that can be sent: give the item one with `.name(\"…\")`", shown(.0))]
    NoName(PathBuf),
    /// The name is empty or has a control character in it, which would break the request.
    #[error(
        "the item's name is empty or has a control character in it: give it another with `.name(\"…\")`"
    )]
    Name,
    /// The path leads to a directory, a device or a pipe.
    #[error("`{}` is not a regular file: push files one by one", shown(.0))]
    NotAFile(PathBuf),
    /// The file can't be opened or read.
    #[error("can't read `{}`: check the path and that the file may be read", shown(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// It can be read only once, and was read.
    #[error(
        "`{}` can be read only once, and was read: push what can be read again, `PostboxItem::open_with`, or make a new item",
        excerpt(.name, LONGEST_SHOWN)
    )]
    ReadOnce {
        /// The item's name.
        name: String,
    },
    /// The file became longer or shorter while it was sent, or is not as long as was said. What was sent is not taken.
    #[error(
        "`{}` changed while it was sent or is not as long as was said, so what was sent of it is not taken: push it again when nobody writes to it",
        excerpt(.name, LONGEST_SHOWN)
    )]
    Changed {
        /// The item's name.
        name: String,
    },
    /// It is longer, or was said to be longer, than a request can say. Nothing was sent.
    #[error(
        "`{}` would be {length} bytes long, and {LONGEST} is the most that a request can carry, so it was not sent: give `.length(…)` the number of bytes that the reader gives",
        excerpt(.name, LONGEST_SHOWN)
    )]
    TooLong {
        /// The item's name.
        name: String,
        /// How many bytes it has, or was said to have.
        length: u64,
    },
}

/// The longest item in bytes. Servers and proxies count the bytes of a body as a signed 64-bit number; this is half of
/// what that holds, so that there is room for the padding and for what surrounds the item in the body.
const LONGEST: u64 = 1 << 62;

/// How much of a name or path an error shows.
const LONGEST_SHOWN: usize = 256;

fn shown(path: &Path) -> String {
    excerpt(&path.display().to_string(), LONGEST_SHOWN)
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    account_id: String,
}

/// What the user's digi.me is told of an item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor<'a> {
    mime_type: String,
    accounts: &'a [Account],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reference: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
}

/// An item that is open for reading.
pub struct Opened {
    pub reader: Reader,
    pub length: Option<u64>,
}

impl PostboxItem {
    /// A file. Its name is the path's last part.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::new(Source::File(path.as_ref().to_owned()), None)
    }

    /// Bytes, under a name.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(Source::Bytes(bytes.into()), Some(name.into()))
    }

    /// What a reader gives, under a name. It can be read only once: a push that has sent some of it is not tried again
    /// by itself, and fails where it would have to be.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// # fn example(upload: tokio::io::DuplexStream) {
    /// let upload = PostboxItem::reader("scan.png", upload).length(48_213);
    /// # }
    /// ```
    pub fn reader(
        name: impl Into<String>,
        reader: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        let once = Once(Arc::new(Mutex::new(Some(Box::new(reader)))));
        Self::new(Source::Once(once), Some(name.into()))
    }

    /// What readers give that `open` makes, one for each attempt, under a name.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let report = PostboxItem::open_with("report.csv", || tokio::fs::File::open("/var/reports/latest"));
    /// ```
    pub fn open_with<R, F>(
        name: impl Into<String>,
        open: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        F: Future<Output = io::Result<R>> + Send + 'static,
    {
        let open = move || {
            let opening = open();
            async move { opening.await.map(|reader| Box::new(reader) as Reader) }.boxed()
        };
        Self::new(Source::Open(Arc::new(open)), Some(name.into()))
    }

    fn new(source: Source, name: Option<String>) -> Self {
        Self {
            source,
            name,
            length: None,
            mime_type: None,
            accounts: Vec::new(),
            references: Vec::new(),
            tags: Vec::new(),
            progress: None,
        }
    }

    /// The name under which it arrives.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many bytes a reader gives, so that the platform is told before: at most 2<sup>62</sup>. Files and bytes know
    /// it themselves.
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Its media type; without one, it is guessed from the name.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// The account of the user's, with the application, that it belongs to. Each call adds one.
    pub fn account(mut self, account_id: impl Into<String>) -> Self {
        self.accounts.push(Account {
            account_id: account_id.into(),
        });
        self
    }

    /// A reference of the application's own. Each call adds one.
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.references.push(reference.into());
        self
    }

    /// A tag, by which the user's digi.me sorts it. Each call adds one.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Calls `progress` whenever a part of it has been handed to the network.
    pub fn on_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Calls `progress` too.
    pub(crate) fn also_on_progress(
        self,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Self {
        match self.progress.clone() {
            None => self.on_progress(progress),
            Some(first) => self.on_progress(move |now| {
                first(now);
                progress(now);
            }),
        }
    }

    /// The name to send.
    pub(crate) fn sent_name(&self) -> Result<String, ItemError> {
        let name = match (&self.name, &self.source) {
            (Some(name), _) => name.clone(),
            (None, Source::File(path)) => {
                let name = path.file_name().and_then(|name| name.to_str());
                name.ok_or_else(|| ItemError::NoName(path.clone()))?
                    .to_owned()
            }
            (None, _) => return Err(ItemError::Name),
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(ItemError::Name);
        }
        Ok(name)
    }

    pub(crate) fn descriptor(&self, name: &str) -> Descriptor<'_> {
        let guessed = || {
            mime_guess::from_path(name)
                .first_or_octet_stream()
                .to_string()
        };
        Descriptor {
            mime_type: self.mime_type.clone().unwrap_or_else(guessed),
            accounts: &self.accounts,
            reference: &self.references,
            tags: &self.tags,
        }
    }

    pub(crate) async fn open(&self, name: &str) -> Result<Opened, ItemError> {
        let (reader, length): (Reader, _) = match &self.source {
            Source::File(path) => {
                let opened = open_file(path).await?;
                check_length(name, opened.length)?;
                return Ok(opened);
            }
            Source::Bytes(bytes) => (
                Box::new(io::Cursor::new(bytes.clone())),
                Some(bytes.len() as u64),
            ),
            Source::Open(open) => {
                check_length(name, self.length)?;
                let reader = open().await.map_err(|error| self.unreadable(name, error))?;
                (reader, self.length)
            }
            Source::Once(once) => {
                check_length(name, self.length)?;
                self.check_readable(name)?;
                let begun = None;
                let once = once.clone();
                (Box::new(TakenWhenRead { once, begun }), self.length)
            }
        };
        Ok(Opened { reader, length })
    }

    /// Whether it can be read from its beginning.
    pub(crate) fn is_readable(&self) -> bool {
        match &self.source {
            Source::Once(once) => once.lock().is_some(),
            _ => true,
        }
    }

    /// # Errors
    /// [`ItemError::ReadOnce`] where it can't be read from its beginning any more.
    pub(crate) fn check_readable(&self, name: &str) -> Result<(), ItemError> {
        if self.is_readable() {
            return Ok(());
        }
        Err(ItemError::ReadOnce {
            name: name.to_owned(),
        })
    }

    pub(crate) fn report(&self, progress: Progress) {
        if let Some(report) = &self.progress {
            report(progress);
        }
    }

    /// What to say where reading fails behind [`Self::open`].
    pub(crate) fn unreadable(&self, name: &str, error: io::Error) -> ItemError {
        let path = match &self.source {
            Source::File(path) => path.clone(),
            _ => PathBuf::from(name),
        };
        ItemError::Unreadable {
            path,
            source: Arc::new(error),
        }
    }
}

/// # Errors
/// [`ItemError::TooLong`] where no request can carry so many bytes.
fn check_length(name: &str, length: Option<u64>) -> Result<(), ItemError> {
    match length {
        Some(length) if length > LONGEST => Err(ItemError::TooLong {
            name: name.to_owned(),
            length,
        }),
        _ => Ok(()),
    }
}

async fn open_file(path: &Path) -> Result<Opened, ItemError> {
    let unreadable = |error| ItemError::Unreadable {
        path: path.to_owned(),
        source: Arc::new(error),
    };
    // Asked before it is opened: opening a pipe waits for its other end.
    let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ItemError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    Ok(Opened {
        reader: Box::new(file),
        length: Some(length),
    })
}

impl Once {
    fn lock(&self) -> MutexGuard<'_, Option<Reader>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that is taken when the first byte is asked for, so that what was never read can be read yet.
struct TakenWhenRead {
    once: Once,
    begun: Option<Reader>,
}

impl AsyncRead for TakenWhenRead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begun.is_none() {
            let reader = self.once.lock().take();
            self.begun = reader;
        }
        match &mut self.begun {
            Some(reader) => Pin::new(reader).poll_read(context, buffer),
            None => Poll::Ready(Err(io::Error::other("somebody else reads it"))),
        }
    }
}

impl fmt::Debug for PostboxItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PostboxItem");
        match &self.source {
            Source::File(path) => debug.field("file", path),
            // What is pushed is somebody's private data.
            Source::Bytes(bytes) => debug.field("bytes", &bytes.len()),
            Source::Open(_) | Source::Once(_) => debug.field("length", &self.length),
        };
        debug.field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_descriptor_says_what_the_item_was_given() {
        let item = PostboxItem::file("a/receipt.pdf")
            .account("c-42")
            .tag("receipt")
            .reference("r");
        let name = item.sent_name().expect("a name");
        assert_eq!(name, "receipt.pdf");
        let descriptor = serde_json::to_value(item.descriptor(&name)).expect("JSON");
        assert_eq!(
            descriptor,
            json!({"mimeType": "application/pdf", "accounts": [{"accountId": "c-42"}], "reference": ["r"], "tags": ["receipt"]})
        );
    }

    #[test]
    fn what_is_not_given_is_guessed_or_left_out() {
        let item = PostboxItem::bytes("noext", "");
        let descriptor = serde_json::to_value(item.descriptor("noext")).expect("JSON");
        assert_eq!(
            descriptor,
            json!({"mimeType": "application/octet-stream", "accounts": []})
        );
        let item = item.mime_type("text/plain");
        assert_eq!(
            serde_json::to_value(item.descriptor("noext")).expect("JSON")["mimeType"],
            "text/plain"
        );
    }

    #[test]
    fn a_name_that_breaks_the_request_is_refused() {
        for name in ["", "a\r\nb", "a\u{0}"] {
            assert!(
                matches!(
                    PostboxItem::bytes(name, "x").sent_name(),
                    Err(ItemError::Name)
                ),
                "{name:?}"
            );
        }
        assert!(matches!(
            PostboxItem::file("..").sent_name(),
            Err(ItemError::NoName(_))
        ));
        assert_eq!(
            PostboxItem::file("..")
                .name("a")
                .sent_name()
                .expect("a name"),
            "a"
        );
    }

    #[test]
    fn an_error_about_an_item_is_one_line_however_it_is_called() {
        let name = "a\n\u{202e}".repeat(100_000);
        let path = PathBuf::from(&name);
        let source = Arc::new(io::Error::other(name.clone()));
        for error in [
            ItemError::NoName(path.clone()),
            ItemError::NotAFile(path.clone()),
            ItemError::Unreadable { path, source },
            ItemError::ReadOnce { name: name.clone() },
            ItemError::Changed { name: name.clone() },
            ItemError::TooLong { name, length: 1 },
        ] {
            let text = error.to_string();
            assert!(text.len() < 6000, "{} bytes", text.len());
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
