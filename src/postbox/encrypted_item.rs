use super::PostboxKey;
use super::body_monitor::BodyMonitor;
use super::encrypted_body::EncryptedBody;
use super::encryption::ContentKey;
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
    pub(crate) body: EncryptedBody,
    /// The length of the body, if it is known.
    pub(crate) length: Option<u64>,
    pub(crate) monitor: BodyMonitor,
}

impl OpenItem {
    /// Encrypts the item to a postbox. Its bytes are read and encrypted when the body is asked for them.
    pub(crate) fn encrypt(self, postbox: &PostboxKey) -> Result<EncryptedItem, InternalError> {
        let key = ContentKey::new();
        let (name, length) = (self.item.name.clone(), self.length);
        let metadata = key.metadata(&self.item.descriptor)?;
        let (body, monitor) = EncryptedBody::new(self, key.encryptor()?);
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
