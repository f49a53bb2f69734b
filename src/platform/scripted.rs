//! A platform for tests, whose answers the test provides, in place of the network.

use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Request, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::transport::{Body, Transport, TransportError};
use crate::platform::client::ClientBuilder;
use crate::{
    ApplicationId, Callback, Client, ContractId, PrivateKey, RedirectUri, digime_contract, random,
    unix_time, vectors,
};

pub(crate) type Answer = Response<String>;

struct Scripted<F>(F);

#[async_trait]
impl<F: Fn(&str) -> Answer + Send + Sync + 'static> Transport for Scripted<F> {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        Ok((self.0)(request.uri().path()).map(Body::from))
    }
}

/// A client of a platform that answers each path by `answer`.
pub(crate) fn client(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> ClientBuilder {
    Client::builder()
        .base_url("https://api.digi.me/v1.5")
        .transport(Scripted(answer))
}

pub(crate) fn ok(body: &Value) -> Answer {
    Response::new(body.to_string())
}

pub(crate) fn status(status: u16) -> Answer {
    let answer = Response::builder().status(status).body(String::new());
    answer.expect("an answer")
}

pub(crate) fn with_header(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    let value = value.parse().expect("a header's value");
    answer.headers_mut().insert(name, value);
    answer
}

/// The answers of a platform that refuses nothing. Its tokens are unique and last an hour; its sessions last half an hour.
pub(crate) fn good(path: &str) -> Answer {
    let now = unix_time::millis(SystemTime::now());
    match path.rsplit('/').next().unwrap_or_default() {
        "session" => ok(&json!({
            "sessionKey": "k",
            "sessionExchangeToken": "t",
            "expiry": now + 30 * 60 * 1000,
        })),
        "authorize" => signed(&json!({"preauthorization_code": "p"})),
        "token" => signed(&json!({
            "access_token": random::nonce(),
            "refresh_token": random::nonce(),
            "expires_on": now / 1000 + 60 * 60,
        })),
        "jwks" => ok(&key_set()),
        _ => ok(&json!({"status": "delivered", "expires": 60})),
    }
}

/// The callback of a user who has consented, with a postbox.
pub(crate) fn callback(state: &str, postbox_id: &str) -> Callback {
    let key = vectors::key_pem("postbox", "RSA PUBLIC KEY", "pkcs1_public_der_b64");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("result", "SUCCESS"), ("state", state), ("code", "c")])
        .extend_pairs([("postboxId", postbox_id), ("publicKey", &key)])
        .finish();
    Callback::from_query(&query).expect("a callback")
}

/// A platform token, signed by the key of [`key_set`].
pub(crate) fn signed(claims: &Value) -> Answer {
    let header = json!({"alg": "PS512", "kid": "one", "jku": "https://api.digi.me/jwks"});
    let [header, claims] =
        [header, claims.clone()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let signature = vectors::sign(&private_key("platform"), message.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    ok(&json!({"token": format!("{message}.{signature}")}))
}

pub(crate) fn key_set() -> Value {
    let pem = vectors::key_pem("platform", "RSA PUBLIC KEY", "pkcs1_public_der_b64");
    json!({"keys": [{"kid": "one", "pem": pem}]})
}

fn private_key(owner: &str) -> PrivateKey {
    let pem = vectors::key_pem(owner, "RSA PRIVATE KEY", "pkcs1_private_der_b64");
    PrivateKey::from_pem(pem).expect("a key of the vectors")
}

#[digime_contract(ongoing)]
pub(crate) struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

pub(crate) fn receipts() -> Receipts {
    tenant("receipts")
}

/// A contract with this id.
pub(crate) fn tenant(contract_id: &str) -> Receipts {
    Receipts {
        application_id: ApplicationId::new("shop").expect("an id"),
        contract_id: ContractId::new(contract_id).expect("an id"),
        private_key: private_key("contract"),
        redirect_uri: RedirectUri::new("https://shop.example/digime").expect("a redirect URI"),
    }
}
