//! What the user's digi.me learns of an item besides its bytes: its name and its descriptor.

use std::path::Path;

use serde::Serialize;

use super::ItemError;

/// What the user's digi.me learns of an item besides its name and its bytes: its media type, its accounts, references and tags.
/// It is serialized as the platform takes it.
///
/// ```
/// use digime::PostboxItem;
///
/// let receipt = PostboxItem::file("receipt.pdf").account("customer-42");
/// let descriptor = receipt.descriptor()?;
/// assert!(descriptor.has_account());
/// # Ok::<(), digime::error::ItemError>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub(super) mime_type: String,
    pub(super) accounts: Vec<Account>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) reference: Vec<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) tags: Vec<String>,
}

impl Descriptor {
    /// The media type.
    #[must_use]
    pub fn mime_type(&self) -> &str {
        &self.mime_type
    }

    /// Whether it names an account, and no account is empty.
    #[must_use]
    pub fn has_account(&self) -> bool {
        let is_empty = |account: &Account| account.account_id.is_empty();
        !self.accounts.is_empty() && !self.accounts.iter().any(is_empty)
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    pub(super) account_id: String,
}

/// The media type that a file name suggests.
pub(super) fn guess_mime_type(name: &str) -> String {
    mime_guess::from_path(name)
        .first_or_octet_stream()
        .to_string()
}

/// The last component of a path.
pub(super) fn file_name(path: &Path) -> Result<String, ItemError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned)
        .ok_or_else(|| ItemError::NoName(path.to_owned()))
}

/// # Errors
/// [`ItemError::Name`] if the name would break the request.
pub(super) fn check_name(name: &str) -> Result<(), ItemError> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ItemError::Name);
    }
    Ok(())
}
