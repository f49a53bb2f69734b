//! The sandbox's RSA keys. Generating one takes long, so keys that need not differ between sandboxes are generated once.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey, PublicKey};
use aws_lc_rs::signature::KeyPair as _;
use pem::Pem;

/// Signs for the one-off contract that every sandbox has.
pub(crate) static ONCE: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
/// Signs for the ongoing contract that every sandbox has.
pub(crate) static ONGOING: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
/// Signs for the contract for imports that every sandbox has.
pub(crate) static IMPORT: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
/// Signs platform tokens.
pub(crate) static PLATFORM: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
/// Signs platform tokens after [`crate::Sandbox::rotate_key`].
pub(crate) static ROTATED: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
/// Signs forged platform tokens; it is in no key set.
pub(crate) static FORGER: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);

/// A key pair, each half as PKCS#1 DER.
pub(crate) struct SigningKey {
    pub private_der: Vec<u8>,
    pub public_der: Vec<u8>,
}

impl SigningKey {
    pub(crate) fn generate() -> Self {
        let (key, public_der) = generate();
        let pkcs8: Pkcs8V1Der<'_> = key.as_der().expect("a fresh key has a DER form");
        Self {
            private_der: pkcs1_of(pkcs8.as_ref()).expect("a fresh key is PKCS#8"),
            public_der,
        }
    }

    /// Reads a private key, PKCS#1 or PKCS#8. The error continues the sentence "the private key …".
    pub(crate) fn from_pem(pem: &str) -> Result<Self, &'static str> {
        let pem = pem::parse(pem).map_err(|_| "is not PEM")?;
        let private_der = match pem.tag() {
            "RSA PRIVATE KEY" => pem.into_contents(),
            "PRIVATE KEY" => pkcs1_of(pem.contents()).ok_or("is not an RSA key")?,
            "ENCRYPTED PRIVATE KEY" => return Err("is encrypted: decrypt it first"),
            _ => return Err("is not a private RSA key: its PEM has another label"),
        };
        let pair = KeyPair::from_der(&private_der)
            .map_err(|_| "is not an RSA key with 2048 to 8192 bits")?;
        let public_der = pair.public_key().as_ref().to_vec();
        Ok(Self {
            private_der,
            public_der,
        })
    }

    pub(crate) fn private_pem(&self) -> String {
        pem::encode(&Pem::new("RSA PRIVATE KEY", self.private_der.clone()))
    }

    pub(crate) fn public_pem(&self) -> String {
        public_pem(&self.public_der)
    }
}

/// The PKCS#1 key within a PKCS#8 one.
fn pkcs1_of(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let inner = pkcs8::PrivateKeyInfoRef::try_from(pkcs8).ok()?;
    Some(inner.private_key.as_bytes().to_vec())
}

/// The key of a new postbox, and its public half as in the callback: PKCS#1 PEM.
pub(crate) fn postbox() -> (OaepPrivateDecryptingKey, String) {
    let (key, public_der) = generate();
    (
        OaepPrivateDecryptingKey::new(key).expect("a fresh key decrypts"),
        public_pem(&public_der),
    )
}

fn generate() -> (PrivateDecryptingKey, Vec<u8>) {
    let key =
        PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("the system gives random bytes");
    let spki: PublicKeyX509Der<'_> = key
        .public_key()
        .as_der()
        .expect("a fresh key has a DER form");
    let public = PublicKey::from_der(spki.as_ref()).expect("a fresh key is RSA");
    (key, public.as_ref().to_vec())
}

/// A public key as PKCS#1 PEM.
pub(crate) fn public_pem(der: &[u8]) -> String {
    pem::encode(&Pem::new("RSA PUBLIC KEY", der))
}
