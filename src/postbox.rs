//! The postbox: its id and key, the items that are pushed to it, their encryption, and their delivery.
//!
//! An item passes through four types. A [`PostboxItem`] is what the application describes. It is prepared once, as a
//! [`PreparedItem`] that has a name and was checked. Each attempt opens it, as an [`OpenItem`](prepared::OpenItem), and
//! encrypts it, as an [`EncryptedItem`](encrypted_item::EncryptedItem) whose parts a request carries.

mod body_monitor;
mod delivery;
mod descriptor;
mod encrypted_item;
mod encryption;
mod error;
mod item;
mod item_body;
mod prepared;
mod progress;
mod source;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey, PublicKey};

pub(crate) use body_monitor::BodyMonitor;
pub(crate) use delivery::DeliveryAnswer;
pub use delivery::{Delivery, DeliveryStatus};
pub use descriptor::Descriptor;
#[cfg(digime_bench)]
pub(crate) use encryption::ContentKey;
pub(crate) use error::EncryptionError;
pub use error::ItemError;
pub use item::PostboxItem;
pub(crate) use prepared::PreparedItem;
pub use progress::Progress;
use serde::{Deserialize, Serialize};

/// The longest id in bytes. digi.me's ids have about 30 characters. A longer id than this would make a URL that servers and
/// proxies refuse, which would look like a network fault.
const LONGEST_ID: usize = 256;

/// The longest PEM of a key in bytes. A key of 8192 bits has about 1500.
const LONGEST_KEY: usize = 16 * 1024;

/// Which part of a postbox is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostboxError {
    Id,
    PublicKey,
}

/// A postbox: its id, and the public key that everything in it is encrypted to.
#[derive(Debug)]
pub(crate) struct Postbox {
    pub(crate) id: String,
    pub(crate) key: PostboxKey,
    /// The key as it was received.
    pem: String,
}

/// A postbox as serde data. It is checked again when it is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PostboxRecord {
    id: String,
    public_key: String,
}

impl PostboxRecord {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// The RSA public key of a postbox.
#[derive(Debug)]
pub(crate) struct PostboxKey(OaepPublicEncryptingKey);

impl Postbox {
    /// Checks an id and a PEM key that come from outside.
    pub(crate) fn new(id: String, public_key: &str) -> Result<Self, PostboxError> {
        // The id becomes one segment of a path, and these would name another place.
        let leaves_its_segment = matches!(id.as_str(), "" | "." | "..");
        if leaves_its_segment || id.len() > LONGEST_ID || id.chars().any(char::is_control) {
            return Err(PostboxError::Id);
        }
        if public_key.len() > LONGEST_KEY {
            return Err(PostboxError::PublicKey);
        }
        Ok(Self {
            id,
            key: PostboxKey::from_pem(public_key).ok_or(PostboxError::PublicKey)?,
            pem: public_key.to_owned(),
        })
    }

    pub(crate) fn record(&self) -> PostboxRecord {
        PostboxRecord {
            id: self.id.clone(),
            public_key: self.pem.clone(),
        }
    }

    pub(crate) fn from_record(record: PostboxRecord) -> Result<Self, PostboxError> {
        Self::new(record.id, &record.public_key)
    }
}

impl PostboxKey {
    /// Reads a key of 2048 to 8192 bits from PEM, PKCS#1 or SPKI.
    fn from_pem(pem: &str) -> Option<Self> {
        let block = pem::parse(pem).ok()?;
        if !matches!(block.tag(), "RSA PUBLIC KEY" | "PUBLIC KEY") {
            return None;
        }
        let key = PublicKey::from_der(block.contents()).ok()?;
        let spki: PublicKeyX509Der<'_> = key.as_der().ok()?;
        let key = PublicEncryptingKey::from_der(spki.as_ref()).ok()?;
        if !(2048..=8192).contains(&key.key_size_bits()) {
            return None;
        }
        OaepPublicEncryptingKey::new(key).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    #[test]
    fn a_key_is_accepted_as_pkcs1_and_as_spki() {
        for (tag, der) in [
            ("RSA PUBLIC KEY", "pkcs1_public_der_b64"),
            ("PUBLIC KEY", "spki_public_der_b64"),
        ] {
            assert!(
                PostboxKey::from_pem(&vectors::key_pem("postbox", tag, der)).is_some(),
                "{tag}"
            );
        }
    }

    #[test]
    fn a_key_of_8192_bits_is_accepted() {
        assert!(PostboxKey::from_pem(include_str!("../tests/keys/rsa-8192.pem")).is_some());
    }

    #[test]
    fn only_an_rsa_public_key_of_sufficient_length_is_accepted() {
        let private = vectors::key_pem("postbox", "RSA PUBLIC KEY", "pkcs1_private_der_b64");
        let labelled_private =
            vectors::key_pem("postbox", "RSA PRIVATE KEY", "pkcs1_private_der_b64");
        let short = include_str!("../tests/keys/rsa-1024.pem");
        let elliptic = include_str!("../tests/keys/p-256.pem");
        for pem in [
            "",
            "MIIBCgKCAQEA",
            &private,
            &labelled_private,
            short,
            elliptic,
        ] {
            assert!(PostboxKey::from_pem(pem).is_none(), "{pem}");
        }
    }

    #[test]
    fn an_id_that_would_leave_its_path_is_refused() {
        let key = vectors::key_pem("postbox", "PUBLIC KEY", "spki_public_der_b64");
        for id in [".", "..", "a\nb"] {
            assert_eq!(
                Postbox::new(id.into(), &key).unwrap_err(),
                PostboxError::Id,
                "{id:?}"
            );
        }
        assert!(Postbox::new("a/../b?c".into(), &key).is_ok());
    }

    #[test]
    fn an_id_that_is_empty_or_too_long_is_refused_from_a_callback_and_from_a_record() {
        let key = vectors::key_pem("postbox", "PUBLIC KEY", "spki_public_der_b64");
        let longest = "a".repeat(256);
        assert!(Postbox::new(longest.clone(), &key).is_ok());
        for id in [longest + "a", "a".repeat(70_000), String::new()] {
            let record = PostboxRecord {
                id: id.clone(),
                public_key: key.clone(),
            };
            for postbox in [Postbox::new(id, &key), Postbox::from_record(record)] {
                assert_eq!(postbox.err(), Some(PostboxError::Id));
            }
        }
    }

    #[test]
    fn a_key_that_is_too_long_is_refused() {
        let key = vectors::key_pem("postbox", "PUBLIC KEY", "spki_public_der_b64");
        let padded = |length: usize| format!("{key}{}", "\n".repeat(length - key.len()));
        assert!(Postbox::new("a".into(), &padded(16 * 1024)).is_ok());
        assert_eq!(
            Postbox::new("a".into(), &padded(16 * 1024 + 1)).err(),
            Some(PostboxError::PublicKey)
        );
    }
}
