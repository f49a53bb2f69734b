use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::AsyncRead;

use super::descriptor::{Account, Descriptor, check_name, file_name, guess_mime_type};
use super::error::{ItemError, check_length};
use super::prepared::PreparedItem;
use super::progress::{OnProgress, Progress};
use super::source::{Reader, SingleUse, Source};

/// Something to push: a file, bytes or a reader, with what the user's digi.me should know about it.
///
/// ```
/// use digime::PostboxItem;
///
/// let receipt = PostboxItem::file("receipts/2026-11.pdf").account("customer-42").tag("receipt");
/// let result = PostboxItem::bytes("result.json", r#"{"haemoglobin": 14.1}"#).account("patient-7");
/// ```
///
/// A file is opened when it is pushed, and read again when the push is retried. Whatever the source, only a few chunks
/// are in memory at once.
#[derive(Clone)]
#[must_use = "an item does nothing until it is pushed"]
pub struct PostboxItem {
    source: Source,
    name: Option<String>,
    /// The length of a reader, if it was given.
    length: Option<u64>,
    mime_type: Option<String>,
    accounts: Vec<Account>,
    references: Vec<String>,
    tags: Vec<String>,
    on_progress: Option<OnProgress>,
}

impl PostboxItem {
    /// A file. Its name is the last component of the path.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let receipt = PostboxItem::file("receipts/2026-11.pdf"); // arrives as `2026-11.pdf`
    /// ```
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::new(Source::File(path.as_ref().to_owned()), None)
    }

    /// Bytes, with a name.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let result = PostboxItem::bytes("result.json", r#"{"haemoglobin": 14.1}"#);
    /// let scan = PostboxItem::bytes("scan.png", vec![0x89, b'P', b'N', b'G']);
    /// ```
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(Source::Bytes(bytes.into()), Some(name.into()))
    }

    /// The bytes of a reader, with a name. A reader can be read only once: a push that has read some of it is not retried,
    /// and fails with [`ItemError::ReadOnce`] if it has to be repeated. [`open_with`](Self::open_with) has no such limit.
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
        let reader = SingleUse::new(Box::new(reader));
        Self::new(Source::SingleUse(reader), Some(name.into()))
    }

    /// The bytes of a reader that `open` makes anew for each attempt, with a name.
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
            on_progress: None,
        }
    }

    /// Sets the name under which the item arrives.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let receipt = PostboxItem::file("/tmp/render-8131.pdf").name("receipt.pdf");
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets how many bytes a reader gives, at most 2<sup>62</sup>, so that the request can carry its length. Has no effect
    /// on files and bytes, whose length is known.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// # fn example(upload: tokio::io::DuplexStream, content_length: u64) {
    /// let upload = PostboxItem::reader("scan.png", upload).length(content_length);
    /// # }
    /// ```
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Sets the media type. Without one, it is guessed from the name.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let note = PostboxItem::bytes("note", "Dear patient, …").mime_type("text/plain");
    /// ```
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// Adds the account that the user has with the application and that the item belongs to.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let receipt = PostboxItem::file("receipt.pdf").account("customer-42");
    /// ```
    pub fn account(mut self, account_id: impl Into<String>) -> Self {
        let account_id = account_id.into();
        self.accounts.push(Account { account_id });
        self
    }

    /// Adds a reference, which means something to the application.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let receipt = PostboxItem::file("receipt.pdf").reference("order-2026-1107");
    /// ```
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.references.push(reference.into());
        self
    }

    /// Adds a tag, by which the user's digi.me sorts the item.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let receipt = PostboxItem::file("receipt.pdf").tag("receipt").tag("groceries");
    /// ```
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Calls `progress` whenever a part of the item has been handed to the network.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let film = PostboxItem::file("scan.mp4").on_progress(|progress| match progress.total {
    ///     Some(total) => println!("{} of {total} bytes", progress.sent),
    ///     None => println!("{} bytes", progress.sent),
    /// });
    /// ```
    pub fn on_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(progress));
        self
    }

    /// What is said of the item when it is pushed, for the pushes of libraries.
    ///
    /// ```
    /// use digime::PostboxItem;
    ///
    /// let receipt = PostboxItem::file("receipt.pdf").account("customer-42").tag("receipt");
    /// let descriptor = serde_json::to_value(receipt.descriptor()?)?;
    /// assert_eq!(descriptor["mimeType"], "application/pdf");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ItemError`] if the item can't be pushed: it has no name that can be sent, or is too long.
    pub fn descriptor(&self) -> Result<Descriptor, ItemError> {
        Ok(self.clone().prepare()?.descriptor.clone())
    }

    /// Calls `progress` in addition to the callback that the item has.
    pub(crate) fn also_on_progress(
        self,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Self {
        match self.on_progress.clone() {
            None => self.on_progress(progress),
            Some(first) => self.on_progress(move |now| {
                first(now);
                progress(now);
            }),
        }
    }

    /// Names, describes and checks the item, so that it can be pushed.
    pub(crate) fn prepare(self) -> Result<Arc<PreparedItem>, ItemError> {
        let name = match (self.name, &self.source) {
            (Some(name), _) => name,
            (None, Source::File(path)) => file_name(path)?,
            (None, _) => return Err(ItemError::Name),
        };
        check_name(&name)?;
        let length = match &self.source {
            Source::File(_) => None,
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Open(_) | Source::SingleUse(_) => self.length,
        };
        check_length(&name, length)?;
        let descriptor = Descriptor {
            mime_type: self.mime_type.unwrap_or_else(|| guess_mime_type(&name)),
            accounts: self.accounts,
            reference: self.references,
            tags: self.tags,
        };
        Ok(Arc::new(PreparedItem {
            name,
            descriptor,
            length,
            source: self.source,
            on_progress: self.on_progress,
        }))
    }
}

impl fmt::Debug for PostboxItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PostboxItem");
        match &self.source {
            Source::File(path) => debug.field("file", path),
            // What is pushed is somebody's private data.
            Source::Bytes(bytes) => debug.field("bytes", &bytes.len()),
            Source::Open(_) | Source::SingleUse(_) => debug.field("length", &self.length),
        };
        debug.field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn prepared(item: PostboxItem) -> (String, Value) {
        let item = item.prepare().expect("an item");
        let descriptor = serde_json::to_value(&item.descriptor).expect("JSON");
        (item.name.clone(), descriptor)
    }

    #[test]
    fn the_descriptor_contains_what_the_item_was_given() {
        let item = PostboxItem::file("a/receipt.pdf")
            .account("c-42")
            .tag("receipt")
            .reference("r");
        let descriptor = json!({"mimeType": "application/pdf", "accounts": [{"accountId": "c-42"}], "reference": ["r"], "tags": ["receipt"]});
        assert_eq!(prepared(item), ("receipt.pdf".into(), descriptor));
    }

    #[test]
    fn what_an_item_was_not_given_is_guessed_or_left_out() {
        let item = PostboxItem::bytes("noext", "");
        let descriptor = json!({"mimeType": "application/octet-stream", "accounts": []});
        assert_eq!(prepared(item.clone()), ("noext".into(), descriptor));
        let (_, descriptor) = prepared(item.mime_type("text/plain"));
        assert_eq!(descriptor["mimeType"], "text/plain");
    }

    #[test]
    fn a_name_that_breaks_the_request_is_refused() {
        for name in ["", "a\r\nb", "a\u{0}"] {
            let prepared = PostboxItem::bytes(name, "x").prepare();
            assert!(matches!(prepared, Err(ItemError::Name)), "{name:?}");
        }
    }

    #[test]
    fn a_path_without_a_file_name_needs_another_name() {
        let prepared = PostboxItem::file("..").prepare();
        assert!(matches!(prepared, Err(ItemError::NoName(_))));
        assert!(PostboxItem::file("..").name("a").prepare().is_ok());
    }
}
