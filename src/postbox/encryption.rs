//! How an item is encrypted: AES-256-CBC with PKCS#7 padding, under a key that only the postbox's owner can decrypt.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::OAEP_SHA1_MGF1SHA1;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

use super::PostboxKey;
use crate::internal::InternalError;

/// The length of an AES block, in bytes.
const BLOCK: usize = 16;

const FAILED: InternalError = InternalError("encrypting an item");

/// The key and IV of one request. They are made for it and sent with it, and nothing else is ever encrypted with them.
pub(crate) struct ContentKey {
    key: Zeroizing<[u8; 32]>,
    iv: [u8; BLOCK],
}

impl ContentKey {
    pub(crate) fn new() -> Self {
        Self {
            key: Zeroizing::new(rand::random()),
            iv: rand::random(),
        }
    }

    /// The IV as the request token carries it: lower-case hex.
    pub(super) fn iv(&self) -> String {
        hex::encode(self.iv)
    }

    /// The key as the request token carries it: base64 of its RSA-OAEP (SHA-1) encryption to the postbox.
    pub(super) fn symmetrical_key(&self, postbox: &PostboxKey) -> Result<String, InternalError> {
        let mut encrypted = vec![0; postbox.0.ciphertext_size()];
        let encrypted = postbox
            .0
            .encrypt(&OAEP_SHA1_MGF1SHA1, &*self.key, &mut encrypted, None)
            .map_err(|_| InternalError("encrypting a key to the postbox"))?;
        Ok(BASE64_STANDARD.encode(encrypted))
    }

    /// The descriptor as the request token carries it: base64 of its JSON, encrypted with the same key and IV.
    pub(super) fn metadata(&self, descriptor: &impl Serialize) -> Result<String, InternalError> {
        let json =
            serde_json::to_vec(descriptor).map_err(|_| InternalError("writing a descriptor"))?;
        let mut encryptor = self.encryptor()?;
        let mut encrypted = Vec::from(encryptor.update(&json)?);
        encrypted.extend(encryptor.finish()?);
        Ok(BASE64_STANDARD.encode(encrypted))
    }

    /// Encrypts the file chunk by chunk.
    pub(crate) fn encryptor(&self) -> Result<Encryptor, InternalError> {
        let key = UnboundCipherKey::new(&AES_256, &*self.key).map_err(|_| FAILED)?;
        let context = EncryptionContext::Iv128(FixedLength::from(self.iv));
        StreamingEncryptingKey::less_safe_cbc_pkcs7(key, context)
            .map(Encryptor)
            .map_err(|_| FAILED)
    }

    /// The length of the ciphertext: padding fills the last block or adds one. Saturates, which no item is long enough to
    /// cause.
    pub(super) fn encrypted_length(length: u64) -> u64 {
        (length / BLOCK as u64 + 1).saturating_mul(BLOCK as u64)
    }
}

/// Encrypts a file that arrives in chunks.
pub(crate) struct Encryptor(StreamingEncryptingKey);

impl Encryptor {
    pub(crate) fn update(&mut self, chunk: &[u8]) -> Result<Bytes, InternalError> {
        let mut encrypted = vec![0; chunk.len() + BLOCK];
        let written = self
            .0
            .update(chunk, &mut encrypted)
            .map_err(|_| FAILED)?
            .written()
            .len();
        encrypted.truncate(written);
        Ok(encrypted.into())
    }

    /// The last block, with the padding.
    pub(crate) fn finish(self) -> Result<Bytes, InternalError> {
        let mut encrypted = vec![0; BLOCK];
        let (_, update) = self.0.finish(&mut encrypted).map_err(|_| FAILED)?;
        let written = update.written().len();
        encrypted.truncate(written);
        Ok(encrypted.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{self, wycheproof};
    use proptest::prelude::*;

    fn encrypt(key: &ContentKey, chunks: &[&[u8]]) -> Vec<u8> {
        let mut encryptor = key.encryptor().expect("an encryptor");
        let mut encrypted: Vec<u8> = chunks
            .iter()
            .flat_map(|chunk| encryptor.update(chunk).expect("ciphertext"))
            .collect();
        encrypted.extend(encryptor.finish().expect("ciphertext"));
        encrypted
    }

    #[test]
    fn ciphertexts_equal_those_of_the_node_sdk() {
        for vector in vectors::envelopes() {
            let key = ContentKey {
                key: Zeroizing::new(vector.key()),
                iv: vector.iv(),
            };
            let plaintext = vector.plaintext();
            assert_eq!(encrypt(&key, &[&plaintext]), vector.file());
            assert_eq!(
                ContentKey::encrypted_length(plaintext.len() as u64),
                vector.file().len() as u64
            );
            assert_eq!(key.iv(), vector.iv_hex);
            assert_eq!(
                key.metadata(&vector.metadata).expect("metadata"),
                vector.metadata_b64
            );
        }
    }

    #[test]
    fn the_owner_of_the_postbox_decrypts_the_key() {
        for vector in vectors::envelopes() {
            assert_eq!(
                vectors::open_with_postbox_key(&vector.symmetrical_key_b64),
                vector.key()
            );
        }
        let pem = vectors::key_pem("postbox", "RSA PUBLIC KEY", "pkcs1_public_der_b64");
        let postbox = PostboxKey::from_pem(&pem).expect("a key");
        let key = ContentKey::new();
        let encrypted = key.symmetrical_key(&postbox).expect("an encrypted key");
        assert_eq!(vectors::open_with_postbox_key(&encrypted), *key.key);
    }

    #[test]
    fn the_encrypted_length_never_wraps_around() {
        for length in [u64::MAX, u64::MAX - 15, u64::MAX - 16, 1 << 62] {
            assert!(ContentKey::encrypted_length(length) >= length);
        }
    }

    #[test]
    fn ciphertexts_equal_those_of_wycheproof() {
        let mut valid = 0;
        for vector in wycheproof::sealed().into_iter().filter(|it| it.is_valid) {
            let key = ContentKey {
                key: Zeroizing::new(vector.key),
                iv: vector.iv,
            };
            assert_eq!(
                encrypt(&key, &[&vector.plaintext]),
                vector.ciphertext,
                "{}",
                vector.id
            );
            assert_eq!(
                ContentKey::encrypted_length(vector.plaintext.len() as u64),
                vector.ciphertext.len() as u64
            );
            valid += 1;
        }
        assert_eq!(valid, 24);
    }

    #[test]
    fn the_private_keys_of_wycheproof_decrypt_what_is_encrypted_to_their_public_keys() {
        let mut decrypted_keys = 0;
        for vector in wycheproof::encrypted() {
            let Some((private_key, pem)) = wycheproof::key_pair(&vector.pkcs8) else {
                assert!(vector.bits < 2048, "{}", vector.name);
                continue;
            };
            let postbox = PostboxKey::from_pem(&pem).expect(&vector.name);
            let key = ContentKey::new();
            let encrypted = key.symmetrical_key(&postbox).expect("an encrypted key");
            let encrypted = BASE64_STANDARD.decode(encrypted).expect("base64");
            let decrypted = wycheproof::open(&private_key, &encrypted, &[]);
            assert_eq!(decrypted.as_deref(), Some(&key.key[..]), "{}", vector.name);
            decrypted_keys += 1;
        }
        assert_eq!(decrypted_keys, 4);
    }

    #[test]
    fn no_two_requests_share_a_key_or_an_iv() {
        let (one, other) = (ContentKey::new(), ContentKey::new());
        assert!(one.key != other.key && one.iv != other.iv);
    }

    proptest! {
        #[test]
        fn a_ciphertext_does_not_depend_on_its_chunks(plaintext in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..200usize) {
            let key = ContentKey::new();
            let (one, other) = plaintext.split_at(cut.min(plaintext.len()));
            let encrypted = encrypt(&key, &[one, other]);
            prop_assert_eq!(&encrypted, &encrypt(&key, &[&plaintext]));
            prop_assert_eq!(encrypted.len() as u64, ContentKey::encrypted_length(plaintext.len() as u64));
        }
    }
}
