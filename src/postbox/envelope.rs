//! How an item is sealed: AES-256-CBC with PKCS#7 padding, under a key that only the postbox's owner can open.

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

/// The key and IV of one request. They are made for it and sent with it, and nothing else is ever sealed with them.
pub struct Envelope {
    key: Zeroizing<[u8; 32]>,
    iv: [u8; BLOCK],
}

impl Envelope {
    pub fn new() -> Self {
        Self {
            key: Zeroizing::new(rand::random()),
            iv: rand::random(),
        }
    }

    /// The IV as the request token carries it: lower-case hex.
    pub fn iv(&self) -> String {
        hex::encode(self.iv)
    }

    /// The key as the request token carries it: base64 of its RSA-OAEP (SHA-1) encryption to the postbox.
    pub fn symmetrical_key(&self, postbox: &PostboxKey) -> Result<String, InternalError> {
        let mut sealed = vec![0; postbox.0.ciphertext_size()];
        let sealed = postbox
            .0
            .encrypt(&OAEP_SHA1_MGF1SHA1, &*self.key, &mut sealed, None)
            .map_err(|_| InternalError("encrypting a key to the postbox"))?;
        Ok(BASE64_STANDARD.encode(sealed))
    }

    /// The descriptor as the request token carries it: base64 of its JSON, encrypted with the same key and IV.
    pub fn metadata(&self, descriptor: &impl Serialize) -> Result<String, InternalError> {
        let json =
            serde_json::to_vec(descriptor).map_err(|_| InternalError("writing a descriptor"))?;
        let mut encryptor = self.encryptor()?;
        let mut sealed = Vec::from(encryptor.update(&json)?);
        sealed.extend(encryptor.finish()?);
        Ok(BASE64_STANDARD.encode(sealed))
    }

    /// What encrypts the file, chunk by chunk.
    pub fn encryptor(&self) -> Result<Encryptor, InternalError> {
        let key = UnboundCipherKey::new(&AES_256, &*self.key).map_err(|_| FAILED)?;
        let context = EncryptionContext::Iv128(FixedLength::from(self.iv));
        StreamingEncryptingKey::less_safe_cbc_pkcs7(key, context)
            .map(Encryptor)
            .map_err(|_| FAILED)
    }

    /// How many bytes so many become: padding fills up the last block or adds one. An item is never so long that this
    /// reaches the largest number.
    pub fn sealed_length(length: u64) -> u64 {
        (length / BLOCK as u64 + 1).saturating_mul(BLOCK as u64)
    }
}

const FAILED: InternalError = InternalError("encrypting an item");

/// Encrypts a file that comes in chunks.
pub struct Encryptor(StreamingEncryptingKey);

impl Encryptor {
    pub fn update(&mut self, chunk: &[u8]) -> Result<Bytes, InternalError> {
        let mut sealed = vec![0; chunk.len() + BLOCK];
        let written = self
            .0
            .update(chunk, &mut sealed)
            .map_err(|_| FAILED)?
            .written()
            .len();
        sealed.truncate(written);
        Ok(sealed.into())
    }

    /// The last block, with the padding.
    pub fn finish(self) -> Result<Bytes, InternalError> {
        let mut sealed = vec![0; BLOCK];
        let (_, update) = self.0.finish(&mut sealed).map_err(|_| FAILED)?;
        let written = update.written().len();
        sealed.truncate(written);
        Ok(sealed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{self, wycheproof};
    use proptest::prelude::*;

    fn seal(envelope: &Envelope, chunks: &[&[u8]]) -> Vec<u8> {
        let mut encryptor = envelope.encryptor().expect("an encryptor");
        let mut sealed: Vec<u8> = chunks
            .iter()
            .flat_map(|chunk| encryptor.update(chunk).expect("ciphertext"))
            .collect();
        sealed.extend(encryptor.finish().expect("ciphertext"));
        sealed
    }

    #[test]
    fn envelopes_equal_those_of_the_node_sdk() {
        for vector in vectors::envelopes() {
            let envelope = Envelope {
                key: Zeroizing::new(vector.key()),
                iv: vector.iv(),
            };
            let plaintext = vector.plaintext();
            assert_eq!(seal(&envelope, &[&plaintext]), vector.file());
            assert_eq!(
                Envelope::sealed_length(plaintext.len() as u64),
                vector.file().len() as u64
            );
            assert_eq!(envelope.iv(), vector.iv_hex);
            assert_eq!(
                envelope.metadata(&vector.metadata).expect("metadata"),
                vector.metadata_b64
            );
        }
    }

    #[test]
    fn the_owner_of_the_postbox_opens_the_key() {
        for vector in vectors::envelopes() {
            assert_eq!(
                vectors::open_with_postbox_key(&vector.symmetrical_key_b64),
                vector.key()
            );
        }
        let pem = vectors::key_pem("postbox", "RSA PUBLIC KEY", "pkcs1_public_der_b64");
        let postbox = PostboxKey::from_pem(&pem).expect("a key");
        let envelope = Envelope::new();
        let sealed = envelope.symmetrical_key(&postbox).expect("a sealed key");
        assert_eq!(vectors::open_with_postbox_key(&sealed), *envelope.key);
    }

    #[test]
    fn the_sealed_length_of_no_number_wraps_around() {
        for length in [u64::MAX, u64::MAX - 15, u64::MAX - 16, 1 << 62] {
            assert!(Envelope::sealed_length(length) >= length);
        }
    }

    #[test]
    fn ciphertexts_equal_those_of_wycheproof() {
        let mut valid = 0;
        for vector in wycheproof::sealed().into_iter().filter(|it| it.is_valid) {
            let envelope = Envelope {
                key: Zeroizing::new(vector.key),
                iv: vector.iv,
            };
            assert_eq!(
                seal(&envelope, &[&vector.plaintext]),
                vector.ciphertext,
                "{}",
                vector.id
            );
            assert_eq!(
                Envelope::sealed_length(vector.plaintext.len() as u64),
                vector.ciphertext.len() as u64
            );
            valid += 1;
        }
        assert_eq!(valid, 24);
    }

    #[test]
    fn the_private_keys_of_wycheproof_open_what_is_sealed_to_their_public_keys() {
        let mut opened = 0;
        for vector in wycheproof::encrypted() {
            let Some((private_key, pem)) = wycheproof::key_pair(&vector.pkcs8) else {
                assert!(vector.bits < 2048, "{}", vector.name);
                continue;
            };
            let postbox = PostboxKey::from_pem(&pem).expect(&vector.name);
            let envelope = Envelope::new();
            let sealed = envelope.symmetrical_key(&postbox).expect("a sealed key");
            let sealed = BASE64_STANDARD.decode(sealed).expect("base64");
            let key = wycheproof::open(&private_key, &sealed, &[]);
            assert_eq!(key.as_deref(), Some(&envelope.key[..]), "{}", vector.name);
            opened += 1;
        }
        assert_eq!(opened, 4);
    }

    #[test]
    fn no_two_envelopes_share_a_key_or_an_iv() {
        let (one, other) = (Envelope::new(), Envelope::new());
        assert!(one.key != other.key && one.iv != other.iv);
    }

    proptest! {
        #[test]
        fn the_chunks_of_a_file_do_not_matter(plaintext in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..200usize) {
            let envelope = Envelope::new();
            let (one, other) = plaintext.split_at(cut.min(plaintext.len()));
            let sealed = seal(&envelope, &[one, other]);
            prop_assert_eq!(&sealed, &seal(&envelope, &[&plaintext]));
            prop_assert_eq!(sealed.len() as u64, Envelope::sealed_length(plaintext.len() as u64));
        }
    }
}
