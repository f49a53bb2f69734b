use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{KeyPair, RSA_PSS_SHA512, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use zeroize::Zeroizing;

use super::signer::{Signer, SignerError};
use crate::internal::InternalError;

/// The RSA private key of a contract, which signs every request token: the [`Signer`] for a key in memory.
///
/// It is read from PEM, PKCS#1 (`BEGIN RSA PRIVATE KEY`) or PKCS#8 (`BEGIN PRIVATE KEY`), by [`PrivateKey::from_pem`],
/// [`PrivateKey::from_pem_file`] or serde. It can't be printed or written out again. Clones share the key, which is wiped
/// when the last one is dropped.
///
/// ```
/// # use digime::PrivateKey;
/// let refused = PrivateKey::from_pem("not a key").unwrap_err();
/// assert!(refused.to_string().starts_with("the private key is not PEM"));
/// ```
#[derive(Clone)]
pub struct PrivateKey(Arc<Key>);

/// It is a signer itself, so that flows share it without another allocation.
struct Key {
    pair: RsaKeyPair,
    id: String,
}

/// Why a string is not the private key of a contract. The error never contains the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// It is not one PEM block.
    #[error(
        "the private key is not PEM: pass the whole file, from `-----BEGIN` to the end of the last line, with its line breaks"
    )]
    NotPem,
    /// It is encrypted with a passphrase.
    #[error(
        "the private key is encrypted: decrypt it first, as with `openssl pkey -in encrypted.pem -out key.pem`"
    )]
    Encrypted,
    /// It is a public key, a certificate or something else.
    #[error(
        "the PEM is not an RSA private key: it begins with `BEGIN RSA PRIVATE KEY` or `BEGIN PRIVATE KEY`"
    )]
    NotPrivate,
    /// It is damaged, not RSA, or not of 2048 to 8192 bits.
    #[error(
        "the private key is damaged, or not RSA of 2048 to 8192 bits: use the one that digi.me issued for the contract"
    )]
    NotRsa,
}

/// Why [`PrivateKey::from_pem_file`] can't read a key. The error never contains what is in the file.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PrivateKeyFileError {
    /// The file can't be read.
    #[error(
        "the private key file `{}` can't be read: check that it exists and that this program may read it",
        path.display()
    )]
    Unreadable {
        /// The file, as it was passed in.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The file does not hold the private key of a contract.
    #[error("the private key file `{}` holds no private key of a contract", path.display())]
    NotAKey {
        /// The file, as it was passed in.
        path: PathBuf,
        /// What is wrong with its content.
        source: PrivateKeyError,
    },
}

/// As much of a file as is read. The PEM of the largest key is a tenth of that.
const LARGEST_FILE: u16 = u16::MAX;

impl PrivateKey {
    /// Reads the key from PEM, PKCS#1 or PKCS#8.
    ///
    /// The PEM may have the forms that environment variables and `.env` files give it: each line break may be the two
    /// characters `\n`, or the four characters `\r\n`, or a space. What is before and after the PEM, such as quotes, is
    /// ignored.
    ///
    /// The key, and the bytes that the PEM's base64 decodes to, are wiped when they are no longer needed. The string that
    /// is passed in is not: it belongs to the caller, who can keep it in a `Zeroizing<String>`. Nor is the copy of the
    /// base64 that the PEM parser makes, which remains in freed memory until something overwrites it. When the key is read
    /// through serde, the string that serde returns is wiped, but not the buffer from which serde read it. So anyone who
    /// can read the memory of the process soon afterwards may find the key.
    ///
    /// ```no_run
    /// use digime::PrivateKey;
    ///
    /// let key = PrivateKey::from_pem(std::fs::read("contract.pem")?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`PrivateKeyError::NotPem`] if it is not one PEM block.
    /// - [`PrivateKeyError::Encrypted`] if it is encrypted with a passphrase.
    /// - [`PrivateKeyError::NotPrivate`] if it is a public key, a certificate or something else.
    /// - [`PrivateKeyError::NotRsa`] if it is damaged, or not RSA of 2048 to 8192 bits.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, PrivateKeyError> {
        let pem = pem.as_ref();
        if pem.contains(&b'\\') {
            return Self::from_lines(&unescaped(pem));
        }
        Self::from_lines(pem)
    }

    /// Reads the key from a PEM file, as [`from_pem`](Self::from_pem) does. What was read of the file is wiped.
    ///
    /// It blocks the thread while it reads, as is usual when a program starts. In a running server call it through
    /// `tokio::task::spawn_blocking`.
    ///
    /// ```
    /// use digime::PrivateKey;
    ///
    /// let error = PrivateKey::from_pem_file("no-such-folder/contract.pem").unwrap_err();
    /// assert!(error.to_string().contains("no-such-folder/contract.pem"));
    /// ```
    ///
    /// # Errors
    /// - [`PrivateKeyFileError::Unreadable`] if the file can't be read.
    /// - [`PrivateKeyFileError::NotAKey`] if it does not hold the key. Its source is what `from_pem` returns.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, PrivateKeyFileError> {
        let path = path.as_ref();
        let pem = read(path).map_err(|error| PrivateKeyFileError::Unreadable {
            path: path.into(),
            source: Arc::new(error),
        })?;
        Self::from_pem(&*pem).map_err(|source| PrivateKeyFileError::NotAKey {
            path: path.into(),
            source,
        })
    }

    fn from_lines(pem: &[u8]) -> Result<Self, PrivateKeyError> {
        let block = pem::parse(pem).map_err(|_| unparsed(pem))?;
        let encrypted = block
            .headers()
            .get("Proc-Type")
            .is_some_and(|kind| kind.contains("ENCRYPTED"));
        let tag = block.tag().to_owned();
        let der = Zeroizing::new(block.into_contents());
        let pair = match tag.as_str() {
            _ if encrypted => return Err(PrivateKeyError::Encrypted),
            "ENCRYPTED PRIVATE KEY" => return Err(PrivateKeyError::Encrypted),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            _ => return Err(PrivateKeyError::NotPrivate),
        };
        let pair = pair.map_err(|_| PrivateKeyError::NotRsa)?;
        let id = thumbprint(&pair);
        Ok(Self(Arc::new(Key { pair, id })))
    }
}

/// Replaces the escapes `\n` and `\r`, which occur in no PEM, by the line breaks that they mean.
fn unescaped(pem: &[u8]) -> Zeroizing<Vec<u8>> {
    // It is never longer than the original, so it is never moved, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(pem.len()));
    let mut rest = pem;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after.split_first()) {
            (b'\\', Some((b'n', after))) => (b'\n', after),
            (b'\\', Some((b'r', after))) => (b'\r', after),
            _ => (first, after),
        };
        text.push(byte);
        rest = after;
    }
    text
}

/// Why this is not PEM. If the lines of an encrypted key are joined, its header looks like damaged base64.
fn unparsed(pem: &[u8]) -> PrivateKeyError {
    let header = b"Proc-Type: 4,ENCRYPTED";
    if pem.windows(header.len()).any(|part| part == header) {
        PrivateKeyError::Encrypted
    } else {
        PrivateKeyError::NotPem
    }
}

/// Reads a small file into memory that is wiped.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Large enough that it is never moved, which would leave a copy behind.
    let mut content = Zeroizing::new(Vec::with_capacity(LARGEST_FILE.into()));
    let file = File::open(path)?;
    file.take(LARGEST_FILE.into()).read_to_end(&mut content)?;
    Ok(content)
}

/// The thumbprint of the public key as a JWK (RFC 7638, section 3).
fn thumbprint(pair: &RsaKeyPair) -> String {
    let base64 = |number: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(number);
    let public = pair.public_key();
    let e = base64(public.exponent().big_endian_without_leading_zero());
    let n = base64(public.modulus().big_endian_without_leading_zero());
    let jwk = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    base64(digest::digest(&digest::SHA256, jwk.as_bytes()).as_ref())
}

#[async_trait]
impl Signer for Key {
    fn key_id(&self) -> &str {
        &self.id
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(&RSA_PSS_SHA512, &random, message, &mut signature)
            .map_err(|_| SignerError::refused(InternalError("signing a request token")))?;
        Ok(signature)
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SignerError> {
        let failed = |_| SignerError::refused(NotDecrypted);
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(failed)?;
        let key = PrivateDecryptingKey::from_pkcs8(der.as_ref())
            .map_err(Unspecified::from)
            .and_then(OaepPrivateDecryptingKey::new)
            .map_err(failed)?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(&OAEP_SHA1_MGF1SHA1, ciphertext, &mut plaintext, None)
            .map_err(failed)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

#[derive(Debug, Error)]
#[error("it was not encrypted to this key by RSA-OAEP with SHA-1, or it is damaged")]
struct NotDecrypted;

/// The id is the thumbprint of the public key as a JWK (RFC 7638).
#[async_trait]
impl Signer for PrivateKey {
    fn key_id(&self) -> &str {
        self.0.key_id()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.0.sign(message).await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SignerError> {
        self.0.decrypt(ciphertext).await
    }

    fn shared(&self) -> Arc<dyn Signer> {
        self.0.clone()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}

impl FromStr for PrivateKey {
    type Err = PrivateKeyError;

    fn from_str(pem: &str) -> Result<Self, PrivateKeyError> {
        Self::from_pem(pem)
    }
}

impl<'de> Deserialize<'de> for PrivateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pem = Zeroizing::new(String::deserialize(deserializer)?);
        Self::from_pem(pem.as_bytes()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    #[tokio::test]
    async fn pkcs1_and_pkcs8_are_the_same_key() {
        let mut ids = Vec::new();
        for (tag, der) in [
            ("RSA PRIVATE KEY", "pkcs1_private_der_b64"),
            ("PRIVATE KEY", "pkcs8_private_der_b64"),
        ] {
            let key = PrivateKey::from_pem(vectors::key_pem("contract", tag, der)).expect("a key");
            let signature = key.sign(b"message").await.expect("a signature");
            vectors::assert_ps512(&signature, b"message", "contract");
            ids.push(key.key_id().to_owned());
        }
        assert_eq!(ids[0], ids[1]);
    }

    #[test]
    fn the_id_is_the_thumbprint_that_openssl_computes() {
        let key = PrivateKey::from_pem(include_str!("../../tests/keys/contract.pem"));
        assert_eq!(
            key.expect("a key").key_id(),
            "oXaN9Pu9lJ5mpMhbI-pJGQfWDfOJAZTQXgmwdx_0Zjc"
        );
    }

    #[tokio::test]
    async fn what_is_encrypted_to_the_key_is_decrypted() {
        let pem = vectors::key_pem("contract", "PRIVATE KEY", "pkcs8_private_der_b64");
        let key = PrivateKey::from_pem(&pem).expect("a key");
        for length in [0, 1, 32, 214] {
            let sealed = vectors::encrypt(&vec![7; length], "contract");
            let opened = key.decrypt(&sealed).await.expect("a plaintext");
            assert_eq!(*opened, vec![7; length]);
        }
        for rubbish in [vec![], vec![1; 255], vec![1; 256], vec![1; 257]] {
            let error = key.decrypt(&rubbish).await.unwrap_err();
            assert!(matches!(error, SignerError::Refused(_)), "{error}");
        }
    }

    #[test]
    fn every_form_that_a_configuration_gives_a_pem_is_the_same_key() {
        let pkcs1 = vectors::key_pem("contract", "RSA PRIVATE KEY", "pkcs1_private_der_b64");
        let pkcs8 = vectors::key_pem("contract", "PRIVATE KEY", "pkcs8_private_der_b64");
        let id = |pem: &str| {
            let key = PrivateKey::from_pem(pem).map(|key| key.key_id().to_owned());
            let json = serde_json::from_value::<PrivateKey>(pem.into());
            assert_eq!(
                json.ok().map(|key| key.key_id().to_owned()),
                key.clone().ok()
            );
            key
        };
        let wanted = id(&pkcs1).expect("a key");
        for pem in [pkcs1, pkcs8] {
            let lines = pem.replace("\r\n", "\n");
            for line_break in ["\n", "\r\n", "\r", "\\n", "\\r\\n", " ", "  ", "\t", ""] {
                let joined = lines.replace('\n', line_break);
                for (before, after) in [
                    ("", ""),
                    ("\"", "\""),
                    ("'", "'"),
                    (" \n", "\n "),
                    ("key=", ";"),
                ] {
                    let pem = format!("{before}{joined}{after}");
                    assert_eq!(id(&pem), Ok(wanted.clone()), "{line_break:?} {before:?}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_lines_are_joined_by_it_is_the_same_key(
            breaks in proptest::collection::vec(0..6_usize, 64),
        ) {
            let pem = include_str!("../../tests/keys/contract.pem");
            let breaks = breaks.into_iter().map(|one| ["\n", "\r\n", "\\n", "\\r\\n", " ", ""][one]);
            let mixed: String = pem.lines().zip(breaks).flat_map(<[_; 2]>::from).collect();
            let key = PrivateKey::from_pem(mixed).expect("a key");
            assert_eq!(key.key_id(), "oXaN9Pu9lJ5mpMhbI-pJGQfWDfOJAZTQXgmwdx_0Zjc");
        }
    }

    #[test]
    fn a_key_file_that_is_missing_or_holds_something_else_is_named() {
        let key = PrivateKey::from_pem_file("tests/keys/contract.pem").expect("a key");
        assert_eq!(key.key_id(), "oXaN9Pu9lJ5mpMhbI-pJGQfWDfOJAZTQXgmwdx_0Zjc");

        let missing = PrivateKey::from_pem_file("tests/keys/missing.pem").unwrap_err();
        assert_eq!(
            crate::Error::from(missing)
                .report()
                .to_string()
                .split(" (")
                .next(),
            Some(
                "the private key file `tests/keys/missing.pem` can't be read: check that it exists and that this program may read it: No such file or directory"
            )
        );
        for (file, why) in [
            ("Cargo.toml", PrivateKeyError::NotPem),
            ("tests/keys/p-256.pem", PrivateKeyError::NotPrivate),
        ] {
            let error = PrivateKey::from_pem_file(file).unwrap_err();
            assert!(error.to_string().contains(file), "{error}");
            assert!(
                matches!(error, PrivateKeyFileError::NotAKey { source, .. } if source == why),
                "{file}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = PrivateKey::from_pem_file("/dev/zero").unwrap_err();
        assert!(
            matches!(error, PrivateKeyFileError::NotAKey { .. }),
            "{error}"
        );
    }

    #[test]
    fn the_error_says_what_the_pem_is_instead() {
        let public = vectors::key_pem("contract", "RSA PUBLIC KEY", "pkcs1_public_der_b64");
        let mislabelled = vectors::key_pem("contract", "RSA PRIVATE KEY", "pkcs1_public_der_b64");
        let encrypted =
            vectors::key_pem("contract", "ENCRYPTED PRIVATE KEY", "pkcs8_private_der_b64");
        for (pem, why) in [
            ("", PrivateKeyError::NotPem),
            ("MIIEowIBAAKCAQEA", PrivateKeyError::NotPem),
            (&public, PrivateKeyError::NotPrivate),
            (&mislabelled, PrivateKeyError::NotRsa),
            (&encrypted, PrivateKeyError::Encrypted),
            (&encrypted.replace('\n', "\\n"), PrivateKeyError::Encrypted),
            (
                "-----BEGIN RSA PRIVATE KEY----- Proc-Type: 4,ENCRYPTED DEK-Info: AES-128-CBC,00 AA== -----END RSA PRIVATE KEY-----",
                PrivateKeyError::Encrypted,
            ),
            ("-----BEGIN PRIVATE KEY-----\\", PrivateKeyError::NotPem),
        ] {
            assert_eq!(PrivateKey::from_pem(pem).unwrap_err(), why);
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let pem = vectors::key_pem("contract", "PRIVATE KEY", "pkcs8_private_der_b64");
        let key = PrivateKey::from_pem(&pem).expect("a key");
        assert_eq!(format!("{key:?}"), "PrivateKey([redacted])");
    }
}
