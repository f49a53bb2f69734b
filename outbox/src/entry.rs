use std::fmt;

use bytes::Bytes;
use digime::PostboxItem;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The longest user, contract id or reference in bytes. They are columns of an index.
const LONGEST_KEY: usize = 512;

/// The longest file name or media type, and the longest JSON of accounts or tags, in bytes.
const LONGEST_LABEL: usize = 4096;

/// An item and the person it is for.
///
/// ```
/// use digime_outbox::{Entry, Item};
///
/// let receipt = Item::bytes("receipt-1001.pdf", "%PDF-…").tag("receipt");
/// let entry = Entry::new("customer-42", "corner-shop-receipts", receipt).reference("receipt-1001");
/// ```
#[derive(Clone)]
#[must_use = "an entry does nothing until it is enqueued"]
pub struct Entry {
    pub(crate) recipient: Recipient,
    pub(crate) reference: String,
    pub(crate) item: Item,
}

/// Who an item is for: a user of the application under a contract.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Recipient {
    /// The application's own name for the user, under which [`SharedTokens`](digime::store::SharedTokens) keeps the tokens.
    pub user: String,
    /// The contract's id.
    pub contract: String,
}

impl Entry {
    /// An item for a user under a contract, which is named by its id.
    pub fn new(user: impl Into<String>, contract: impl fmt::Display, item: Item) -> Self {
        let recipient = Recipient {
            user: user.into(),
            contract: contract.to_string(),
        };
        let reference = format!("{:032x}", rand::random::<u128>());
        Self {
            recipient,
            reference,
            item,
        }
    }

    /// Sets what identifies the entry among those of its user and contract, such as the number of the receipt. An entry whose
    /// reference the outbox knows is not added again, so an application that does not know whether it has enqueued an entry
    /// enqueues it again. The item arrives with this reference, each time that it arrives.
    ///
    /// Without one, it is a random number.
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    pub(crate) fn labels(&self) -> String {
        // A struct of strings is always JSON.
        serde_json::to_string(&self.item.labels).unwrap_or_default()
    }

    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Invalid`].
    pub(crate) fn check(&self, max_content: usize) -> Result<(), Error> {
        let bytes = self.item.content.len();
        if bytes > max_content {
            let limit = max_content;
            return Err(Error::TooLarge { bytes, limit });
        }
        let keys = [
            ("user", &self.recipient.user),
            ("contract id", &self.recipient.contract),
            ("reference", &self.reference),
        ];
        for (what, key) in keys {
            if key.is_empty() || key.len() > LONGEST_KEY || key.contains('\0') {
                return Err(Error::Invalid(what));
            }
        }
        let Labels { accounts, tags, .. } = &self.item.labels;
        for (what, texts) in [("account", accounts), ("tag", tags)] {
            // With the quotes and the comma, as they are stored.
            let bytes: usize = texts.iter().map(|text| text.len() + 3).sum();
            if bytes > LONGEST_LABEL {
                return Err(Error::Invalid(what));
            }
        }
        let name = &self.item.name;
        if name.is_empty() || name.len() > LONGEST_LABEL || name.chars().any(char::is_control) {
            return Err(Error::Invalid("file name"));
        }
        let mime_type = self.item.labels.mime_type.as_deref().unwrap_or_default();
        if mime_type.len() > LONGEST_LABEL || mime_type.chars().any(char::is_control) {
            return Err(Error::Invalid("media type"));
        }
        Ok(())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("contract", &self.recipient.contract)
            .field("reference", &self.reference)
            .field("item", &self.item)
            .finish_non_exhaustive()
    }
}

/// Bytes with a name, and what the user's digi.me should know about them.
///
/// ```
/// use digime_outbox::Item;
///
/// let receipt = Item::bytes("receipt-1001.pdf", "%PDF-…").account("customer-42").tag("receipt");
/// ```
#[derive(Clone)]
#[must_use = "an item does nothing until it is in an entry"]
pub struct Item {
    pub(crate) name: String,
    pub(crate) content: Bytes,
    pub(crate) labels: Labels,
}

/// What the user's digi.me should know about an item, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Labels {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mime_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) accounts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
}

impl Item {
    /// Bytes, with a file name.
    pub fn bytes(name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
            labels: Labels::default(),
        }
    }

    /// Sets the media type. Without one, it is guessed from the name.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.labels.mime_type = Some(mime_type.into());
        self
    }

    /// Adds the account that the user has with the application and that the item belongs to.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.labels.accounts.push(account.into());
        self
    }

    /// Adds a tag, by which the user's digi.me sorts the item.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.labels.tags.push(tag.into());
        self
    }

    pub(crate) fn into_postbox_item(self, reference: &str) -> PostboxItem {
        let Labels {
            mime_type,
            accounts,
            tags,
        } = self.labels;
        let item = PostboxItem::bytes(self.name, self.content).reference(reference);
        let item = accounts.into_iter().fold(item, PostboxItem::account);
        let item = tags.into_iter().fold(item, PostboxItem::tag);
        match mime_type {
            Some(mime_type) => item.mime_type(mime_type),
            None => item,
        }
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is pushed is somebody's private data.
        f.debug_struct("Item")
            .field("bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        Entry::new("customer-42", "receipts", Item::bytes(name, "1 coffee"))
    }

    #[test]
    fn what_the_database_or_the_platform_can_not_take_is_refused_and_named() {
        let long = "x".repeat(5000);
        let many_tags = (0..5000).fold(Item::bytes("a", "x"), |item, _| item.tag(""));
        let many_tags = Entry::new("u", "r", many_tags);
        let refused = [
            (entry("a.txt").reference(""), "reference"),
            (entry("a.txt").reference("a\0b"), "reference"),
            (entry("a.txt").reference(&*long), "reference"),
            (entry(""), "file name"),
            (entry("a\nb"), "file name"),
            (Entry::new("", "receipts", Item::bytes("a", "x")), "user"),
            (
                Entry::new("u", "r", Item::bytes("a", "x").tag(&*long)),
                "tag",
            ),
            (
                Entry::new("u", "r", Item::bytes("a", "x").mime_type(&*long)),
                "media type",
            ),
            (
                Entry::new("u", "r", Item::bytes("a", "x").mime_type("text/plain\r\n")),
                "media type",
            ),
            (many_tags, "tag"),
        ];
        for (entry, what) in refused {
            let error = entry.check(100).expect_err(what);
            assert!(matches!(error, Error::Invalid(it) if it == what), "{error}");
        }
        let error = entry("a.txt").check(7).expect_err("too large");
        assert!(
            matches!(error, Error::TooLarge { bytes: 8, limit: 7 }),
            "{error}"
        );
        assert!(entry("a.txt").check(8).is_ok());
    }

    #[test]
    fn no_content_and_no_user_is_printed() {
        // A random reference has any two digits by chance.
        let entry = entry("a.txt").reference("receipt-1001");
        let printed = format!("{entry:?}");
        assert!(
            !printed.contains("coffee") && !printed.contains("customer-42"),
            "{printed}"
        );
    }

    #[test]
    fn an_entry_without_a_reference_has_one_of_its_own() {
        assert_ne!(entry("a.txt").reference, entry("a.txt").reference);
    }
}
