//! Pushed items: decrypted while they arrive, as the user's client would do it.

use std::sync::Arc;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey};
use axum::extract::Multipart;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::content::{Arrived, Arriving};
use crate::descriptor::is_descriptor;
use crate::refusal::Refusal;
use crate::request_token::Request;

/// The key and IV of a push, and its descriptor.
pub(crate) struct Envelope {
    pub key: Vec<u8>,
    pub iv: [u8; 16],
    pub descriptor: Value,
}

/// A file that arrived whole and could be decrypted.
pub(crate) struct Opened {
    pub name: String,
    pub content: Arrived,
}

impl Envelope {
    /// Decrypts the parts of the request token with the postbox's key.
    pub(crate) fn open(
        request: &Request,
        postbox: &Arc<OaepPrivateDecryptingKey>,
    ) -> Result<Self, Refusal> {
        let iv = unhex(request.claim("iv")?)
            .ok_or_else(|| Refusal::request("`iv` is not 16 bytes of lower-case hex"))?;
        let sealed = base64(request, "symmetrical_key")?;
        let mut key = vec![0; postbox.min_output_size()];
        let key = postbox
            .decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut key, None)
            .map_err(|_| Refusal::request("`symmetrical_key` is not encrypted to this postbox"))?
            .to_vec();
        if key.len() != 32 {
            return Err(Refusal::request("`symmetrical_key` is not 32 bytes"));
        }
        let mut envelope = Self {
            key,
            iv,
            descriptor: Value::Null,
        };
        let mut json = Vec::new();
        let mut decryptor = envelope.decryptor()?;
        decryptor.update(&base64(request, "metadata")?, |part| {
            json.extend_from_slice(part);
        })?;
        decryptor.finish(|part| json.extend_from_slice(part))?;
        envelope.descriptor = serde_json::from_slice(&json)
            .map_err(|_| Refusal::request("`metadata` is not encrypted JSON"))?;
        if !is_descriptor(&envelope.descriptor) {
            return Err(Refusal::request("`metadata` is not a descriptor"));
        }
        Ok(envelope)
    }

    /// Reads and decrypts the one file of a multipart body.
    pub(crate) async fn receive(&self, mut multipart: Multipart) -> Result<Opened, Refusal> {
        let broken =
            |error: axum::extract::multipart::MultipartError| Refusal::request(error.body_text());
        let mut field = multipart
            .next_field()
            .await
            .map_err(broken)?
            .ok_or_else(|| Refusal::request("no part"))?;
        if field.name() != Some("file") {
            return Err(Refusal::request("the part is not named `file`"));
        }
        let name = unescape(
            field
                .file_name()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| Refusal::request("the part has no file name"))?,
        );
        let mut content = Arriving::new();
        let mut take = |part: &[u8]| content.take(part);
        let mut decryptor = self.decryptor()?;
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            decryptor.update(&chunk, &mut take)?;
        }
        decryptor.finish(&mut take)?;
        drop(field);
        if multipart.next_field().await.map_err(broken)?.is_some() {
            return Err(Refusal::request("more than one part"));
        }
        Ok(Opened {
            name,
            content: content.finish(),
        })
    }

    fn decryptor(&self) -> Result<Decryptor, Refusal> {
        let key = UnboundCipherKey::new(&AES_256, &self.key).map_err(not_decrypted)?;
        let context = DecryptionContext::Iv128(FixedLength::from(self.iv));
        StreamingDecryptingKey::cbc_pkcs7(key, context)
            .map(Decryptor)
            .map_err(not_decrypted)
    }
}

fn not_decrypted<E>(_: E) -> Refusal {
    Refusal::request("what arrived can't be decrypted with the key and IV")
}

struct Decryptor(StreamingDecryptingKey);

impl Decryptor {
    fn update(&mut self, chunk: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Refusal> {
        let mut plain = vec![0; chunk.len() + 16];
        let update = self.0.update(chunk, &mut plain).map_err(not_decrypted)?;
        take(update.written());
        Ok(())
    }

    fn finish(self, mut take: impl FnMut(&[u8])) -> Result<(), Refusal> {
        let mut plain = vec![0; 16];
        let update = self.0.finish(&mut plain).map_err(not_decrypted)?;
        take(update.written());
        Ok(())
    }
}

/// Undoes the quoting of a file name: browsers and Node's forms write a quote as `%22` and a line break as `%0D` and `%0A`, mail
/// programs put a backslash before a quote.
fn unescape(name: &str) -> String {
    name.replace("\\\\", "\\")
        .replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}

fn base64(request: &Request, name: &'static str) -> Result<Vec<u8>, Refusal> {
    BASE64_STANDARD
        .decode(request.claim(name)?)
        .map_err(|_| Refusal::request(format!("`{name}` is not base64")))
}

fn unhex(hex: &str) -> Option<[u8; 16]> {
    let lower_case = !hex.bytes().any(|byte| byte.is_ascii_uppercase());
    let mut bytes = [0; 16];
    hex::decode_to_slice(hex, &mut bytes)
        .ok()
        .filter(|()| lower_case)?;
    Some(bytes)
}
