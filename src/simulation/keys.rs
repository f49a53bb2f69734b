//! The keys of the test vectors, which the simulated applications and the platform use.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use digime::{PrivateKey, Signer};
use futures_util::FutureExt;
use serde_json::Value;

const KEYS: &str = include_str!("../../tests/vectors/keys.json");

/// The private key of an owner.
pub(super) fn private_key(owner: &str) -> PrivateKey {
    let pem = pem(owner, "RSA PRIVATE KEY", "pkcs1_private_der_b64");
    PrivateKey::from_pem(pem).expect("a key of the vectors")
}

/// The public key of an owner, as PEM.
pub(super) fn public_pem(owner: &str) -> String {
    pem(owner, "RSA PUBLIC KEY", "pkcs1_public_der_b64")
}

fn pem(owner: &str, tag: &str, form: &str) -> String {
    let keys: Value = serde_json::from_str(KEYS).expect("the vectors");
    let der = keys[owner][form].as_str().expect("a key of the vectors");
    let der = BASE64_STANDARD.decode(der).expect("base64");
    pem::encode(&pem::Pem::new(tag, der))
}

/// Signs with a key in memory, which does so at once.
pub(super) fn sign(key: &PrivateKey, message: &[u8]) -> Vec<u8> {
    let signed = key.sign(message).now_or_never().expect("no wait");
    signed.expect("a signature")
}
