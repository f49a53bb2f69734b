use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::excerpt::excerpt;
use crate::internal::InternalError;

/// The longest item in bytes. Servers and proxies count the bytes of a body as a signed 64-bit number. This is half of
/// its range, which leaves room for the padding and for the rest of the body.
const LONGEST: u64 = 1 << 62;

/// How many characters of a name or path an error shows.
const LONGEST_SHOWN: usize = 256;

/// Why an item can't be pushed. An attempt that fails with this error delivers nothing.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The path has no file name, or its file name is not Unicode.
    #[error("`{}` has no name that can be sent: give the item one with `.name(\"…\")`", shown(.0))]
    NoName(PathBuf),
    /// The name is empty or contains a control character, which would break the request.
    #[error(
        "the item's name is empty or contains a control character: give it another with `.name(\"…\")`"
    )]
    Name,
    /// The path leads to a directory, a device or a pipe.
    #[error("`{}` is not a regular file: push files one by one", shown(.0))]
    NotAFile(PathBuf),
    /// The file or reader can't be opened or read.
    #[error("can't read `{}`: check the path and that the file may be read", shown(.path))]
    Unreadable {
        /// The file, or the item's name.
        path: PathBuf,
        /// What the system or the reader reported.
        source: Arc<io::Error>,
    },
    /// The item can be read only once, and was already read.
    #[error(
        "`{}` can be read only once, and was already read: push an item that can be read again, `PostboxItem::open_with`, or make a new one",
        excerpt(.name, LONGEST_SHOWN)
    )]
    ReadOnce {
        /// The item's name.
        name: String,
    },
    /// The file grew or shrank while it was sent, or the reader did not give as many bytes as `length` promised. The
    /// platform discards what was sent.
    #[error(
        "`{}` changed while it was sent or does not have the length that it was given, so the platform discards what was sent: push it again when nothing writes to it",
        excerpt(.name, LONGEST_SHOWN)
    )]
    Changed {
        /// The item's name.
        name: String,
    },
    /// The item is longer, or its given length is larger, than a request can carry. Nothing was sent.
    #[error(
        "`{}` would be {length} bytes long, and a request can carry at most {LONGEST}, so it was not sent: give `.length(…)` the number of bytes that the reader gives",
        excerpt(.name, LONGEST_SHOWN)
    )]
    TooLong {
        /// The item's name.
        name: String,
        /// The item's length in bytes.
        length: u64,
    },
}

/// Why the encryption of an item ended early.
#[derive(Clone, Debug, Error)]
pub(crate) enum EncryptionError {
    #[error(transparent)]
    Item(#[from] ItemError),
    #[error(transparent)]
    Internal(#[from] InternalError),
}

/// # Errors
/// [`ItemError::TooLong`] if no request can carry that many bytes.
pub(super) fn check_length(name: &str, length: Option<u64>) -> Result<(), ItemError> {
    match length {
        Some(length) if length > LONGEST => Err(ItemError::TooLong {
            name: name.to_owned(),
            length,
        }),
        _ => Ok(()),
    }
}

fn shown(path: &Path) -> String {
    excerpt(&path.display().to_string(), LONGEST_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_error_is_one_short_line_whatever_the_name() {
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
