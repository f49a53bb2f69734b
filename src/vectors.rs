//! Test vectors made by other implementations (digi.me's Node SDK, node-rsa, jsonwebtoken, OpenSSL), in `tests/vectors`.

pub(crate) mod wycheproof;

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA512, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::contract::{PrivateKey, Signer};

fn parse<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("the vectors")
}

fn decode(base64: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(base64).expect("base64")
}

fn key_der(owner: &str, form: &str) -> Vec<u8> {
    let keys: Value = parse(include_str!("../tests/vectors/keys.json"));
    decode(keys[owner][form].as_str().expect("a key of the vectors"))
}

/// A key of the vectors, as PEM.
pub(crate) fn key_pem(owner: &str, tag: &str, form: &str) -> String {
    pem::encode(&pem::Pem::new(tag, key_der(owner, form)))
}

pub(crate) fn assert_ps512(signature: &[u8], message: &[u8], owner: &str) {
    let key = UnparsedPublicKey::new(
        &RSA_PSS_2048_8192_SHA512,
        key_der(owner, "pkcs1_public_der_b64"),
    );
    key.verify(message, signature).expect("a PS512 signature");
}

/// Signs with a key in memory, which does so at once.
pub(crate) fn sign(key: &PrivateKey, message: &[u8]) -> Vec<u8> {
    let signed = key.sign(message).now_or_never().expect("no wait");
    signed.expect("a signature")
}

/// Encrypts to a key of the vectors by RSA-OAEP with SHA-1.
pub(crate) fn encrypt(plaintext: &[u8], owner: &str) -> Vec<u8> {
    let key = PublicEncryptingKey::from_der(&key_der(owner, "spki_public_der_b64")).expect("a key");
    let key = OaepPublicEncryptingKey::new(key).expect("a key");
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key.encrypt(&OAEP_SHA1_MGF1SHA1, plaintext, &mut sealed, None);
    sealed.expect("a ciphertext").to_vec()
}

/// Decrypts a sealed key with the key of the vectors' postbox.
pub(crate) fn open_with_postbox_key(sealed: &str) -> [u8; 32] {
    let key = PrivateDecryptingKey::from_pkcs8(&key_der("postbox", "pkcs8_private_der_b64"))
        .expect("a key");
    let key = OaepPrivateDecryptingKey::new(key).expect("a key");
    let mut opened = vec![0; key.min_output_size()];
    let opened = key
        .decrypt(&OAEP_SHA1_MGF1SHA1, &decode(sealed), &mut opened, None)
        .expect("a sealed key");
    (&*opened).try_into().expect("32 bytes")
}

#[derive(Deserialize)]
pub(crate) struct Pkce {
    pub code_verifier: String,
    pub code_challenge: String,
}

pub(crate) fn pkce() -> Vec<Pkce> {
    parse(include_str!("../tests/vectors/pkce.json"))
}

#[derive(Deserialize)]
pub(crate) struct DeepLinks {
    pub application_id: String,
    pub callback_url: String,
    pub session: DeepLinkSession,
    pub create_postbox: String,
    pub private_share: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeepLinkSession {
    pub session_key: String,
}

pub(crate) fn deep_links() -> Vec<DeepLinks> {
    parse(include_str!("../tests/vectors/deep-links.json"))
}

#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub jwks: Value,
    pub accept: Vec<Token>,
    pub reject: Vec<Token>,
}

#[derive(Deserialize)]
pub(crate) struct Token {
    pub name: String,
    pub parts: Vec<String>,
    #[serde(default)]
    pub payload: Value,
}

impl Token {
    pub(crate) fn token(&self) -> String {
        self.parts.join(".")
    }
}

pub(crate) fn tokens() -> Tokens {
    parse(include_str!("../tests/vectors/tokens.json"))
}

/// The key set of the tokens, as the platform serves it.
pub(crate) fn jwks() -> Value {
    let mut jwks = tokens().jwks;
    for key in jwks["keys"].as_array_mut().expect("keys") {
        let der = decode(key["pem_rsa_public_key_der_b64"].as_str().expect("a key"));
        key["pem"] = pem::encode(&pem::Pem::new("RSA PUBLIC KEY", der)).into();
    }
    jwks
}

#[derive(Deserialize)]
pub(crate) struct Envelope {
    plaintext_b64: String,
    key_hex: String,
    pub iv_hex: String,
    file_b64: String,
    pub metadata: Metadata,
    pub metadata_b64: String,
    pub symmetrical_key_b64: String,
}

/// A descriptor, its fields in the order in which the Node SDK was given them.
#[derive(Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    mime_type: String,
    accounts: Vec<MetadataAccount>,
    tags: Vec<String>,
    reference: Vec<String>,
}

#[derive(Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct MetadataAccount {
    account_id: String,
}

impl Envelope {
    pub(crate) fn plaintext(&self) -> Vec<u8> {
        decode(&self.plaintext_b64)
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        decode(&self.file_b64)
    }

    pub(crate) fn key(&self) -> [u8; 32] {
        unhex(&self.key_hex)
    }

    pub(crate) fn iv(&self) -> [u8; 16] {
        unhex(&self.iv_hex)
    }
}

fn unhex<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).expect("hex").try_into().expect("a length")
}

pub(crate) fn envelopes() -> Vec<Envelope> {
    parse(include_str!("../tests/vectors/envelopes.json"))
}
