use super::PostboxKey;
use super::body_monitor::BodyMonitor;
use super::encryption::ContentKey;
use super::item_body::ItemBody;
use super::prepared::OpenItem;
use crate::internal::InternalError;

/// An item as one request carries it, encrypted under a key of its own.
pub(crate) struct EncryptedItem {
    pub(crate) name: String,
    /// The IV, in lower-case hex.
    pub(crate) iv: String,
    /// The key, encrypted to the postbox, in base64.
    pub(crate) symmetrical_key: String,
    /// The encrypted descriptor, in base64.
    pub(crate) metadata: String,
    pub(crate) body: ItemBody,
    /// The length of the body, if it is known.
    pub(crate) length: Option<u64>,
    pub(crate) monitor: BodyMonitor,
}

impl OpenItem {
    /// The item as it is, and its length, if that is known.
    pub(crate) fn plain(self) -> (ItemBody, BodyMonitor, Option<u64>) {
        let length = self.length;
        let (body, monitor) = ItemBody::new(self, None);
        (body, monitor, length)
    }

    /// Encrypts the item to a postbox. Its bytes are read and encrypted when the body is asked for them.
    pub(crate) fn encrypt(self, postbox: &PostboxKey) -> Result<EncryptedItem, InternalError> {
        let key = ContentKey::new();
        let (name, length) = (self.item.name.clone(), self.length);
        let metadata = key.metadata(&self.item.descriptor)?;
        let (body, monitor) = ItemBody::new(self, Some(key.encryptor()?));
        Ok(EncryptedItem {
            name,
            iv: key.iv(),
            symmetrical_key: key.symmetrical_key(postbox)?,
            metadata,
            body,
            length: length.map(ContentKey::encrypted_length),
            monitor,
        })
    }
}
