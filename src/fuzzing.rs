//! Invariants of the readers of untrusted input: a function for each fuzz target in `fuzz/`, which panics if an invariant is
//! broken.
//!
//! The targets only call these functions, so a unit test can run their corpus on the stable toolchain.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, RandomizedNonceKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA512, RsaKeyPair,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::callback::{AuthorizationCode, Callback, CallbackError};
use crate::contract::{ApplicationId, ContractId, PrivateKey, RedirectUri, Signer};
use crate::error::Error;
use crate::flow::contract::{Contract, Once, OnceContract, Ongoing};
use crate::flow::suspended::{Durable, Reaches, SealingKeys, Suspended, SuspendedRecord};
use crate::flow::{Authorized, AwaitingCallback, Flow, NoVerifier, PostboxReady, Verifier};
use crate::link::SDK_VERSION;
use crate::platform::client::Client;
use crate::platform::error::PlatformError;
use crate::platform::http;
use crate::platform::jws::verifying_key;
use crate::platform::keys::{JwkSet, KeyCache, KeysOfKid};
use crate::platform::platform_token;
use crate::platform::redaction::Redaction;

/// A target: the name of its file and folder in `fuzz/`, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("callback", callback),
    ("platform_token", platform_token),
    ("key_set", key_set),
    ("deep_link", deep_link),
    ("sealed", sealed),
    ("stored_record", stored_record),
    ("refusal", refusal),
];

const PRIVATE_KEY: &str = include_str!("../tests/keys/contract.pem");

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let client = Client::builder().base_url("http://127.0.0.1:1/v1.5");
    client.build().expect("a client")
});

/// A contract of the kind `K`.
struct KindContract<K> {
    application_id: ApplicationId,
    contract_id: ContractId,
    redirect_uri: RedirectUri,
    kind: PhantomData<fn() -> K>,
}

impl<K> KindContract<K> {
    /// A contract, if these values are valid.
    fn new(application_id: &str, contract_id: &str, redirect_uri: &str) -> Option<Self> {
        Some(Self {
            application_id: ApplicationId::new(application_id).ok()?,
            contract_id: ContractId::new(contract_id).ok()?,
            redirect_uri: RedirectUri::new(redirect_uri).ok()?,
            kind: PhantomData,
        })
    }

    fn fixed() -> Self {
        Self::new("app-1", "contract-1", "https://a.example/cb?own=1").expect("a contract")
    }

    /// A suspended flow under the contract.
    fn record(&self, state: &str, data: &Value) -> String {
        json!({
            "fmt": 1,
            "state": state,
            "contract": {
                "application_id": self.application_id.as_str(),
                "contract_id": self.contract_id.as_str(),
            },
            "state_data": data,
            "user_data": null,
        })
        .to_string()
    }

    fn resume<S: Durable>(&self, record: &str) -> Flow<Self, S>
    where
        Self: Reaches<S>,
    {
        let suspended: Suspended<Self, S> = serde_json::from_str(record).expect("a record");
        suspended.resume(self, &CLIENT).expect("a flow")
    }
}

impl<K> Contract for KindContract<K> {
    type Kind = K;

    fn application_id(&self) -> &ApplicationId {
        &self.application_id
    }

    fn contract_id(&self) -> &ContractId {
        &self.contract_id
    }

    fn private_key(&self) -> Arc<dyn Signer> {
        static KEY: LazyLock<PrivateKey> =
            LazyLock::new(|| PrivateKey::from_pem(PRIVATE_KEY).expect("a key"));
        KEY.shared()
    }

    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }
}

impl OnceContract for KindContract<Once> {}

/// Asserts that a string is fit for a log: one line of limited length without control characters.
#[track_caller]
fn assert_one_line(text: &impl Display) {
    let text = text.to_string();
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(breaks), "{text:?}");
    assert!(text.chars().count() <= 1500, "{text:?}");
}

fn pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// The query of a callback: read by a web framework and by [`Callback`], and taken by a waiting flow.
pub fn callback(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else {
        return;
    };
    let read = Callback::from_query(query);
    assert_eq!(
        read.as_ref().err(),
        from_pairs(query).err().as_ref(),
        "two readers disagree"
    );
    // A `#` ends the query of a URL, and whitespace around a URL is trimmed.
    if !query.contains('#') && query.trim() == query {
        let from_url = Callback::from_url(format!("https://a.example/cb?{query}"));
        assert_eq!(
            from_url.as_ref().map(written).ok(),
            read.as_ref().map(written).ok()
        );
    }
    let callback = match read {
        Ok(callback) => callback,
        Err(error) => {
            assert!(matches!(
                error,
                CallbackError::Twice(_) | CallbackError::TooLong(_)
            ));
            return assert_one_line(&error);
        }
    };
    let again = written(&callback);
    let total: usize = pairs(&again).iter().map(|(_, value)| value.len()).sum();
    assert!(total <= query.len(), "a callback grew while it was read");
    let reread = Callback::from_query(&again).expect("a callback that was written");
    assert_eq!(written(&reread), again);
    take(callback);
}

/// A callback written as a query.
fn written(callback: &Callback) -> String {
    let code = callback.code.as_ref().map(AuthorizationCode::expose);
    let parameters = [
        ("result", callback.result.as_deref()),
        ("state", callback.state.as_deref()),
        ("postboxId", callback.postbox_id.as_deref()),
        ("publicKey", callback.public_key.as_deref()),
        ("code", code),
    ];
    let there = parameters
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(there)
        .finish()
}

/// Reads a callback through serde, as the query extractor of a web framework does.
fn from_pairs(query: &str) -> Result<Callback, CallbackError> {
    use serde::Deserialize;
    use serde::de::value::{Error as ValueError, MapDeserializer};
    let pairs = pairs(query);
    let map = MapDeserializer::<_, ValueError>::new(
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    Callback::deserialize(map).map_err(|error| {
        let names = ["result", "state", "postboxId", "publicKey", "code"];
        let known = names
            .into_iter()
            .flat_map(|name| [CallbackError::Twice(name), CallbackError::TooLong(name)])
            .find(|known| known.to_string() == error.to_string());
        known.expect("an error of the callback's own")
    })
}

/// Gives a callback to a flow that waits for one.
fn take(callback: Callback) {
    const STATE: &str = "a-state";
    let contract = KindContract::<Once>::fixed();
    let session = json!({"sessionKey": "k", "sessionExchangeToken": "t", "expiry": 1});
    let data = json!({"state": STATE, "session": session, "verifier": null});
    let record = contract.record("AwaitingCallback<NoVerifier>", &data);
    let awaiting: Flow<_, AwaitingCallback<NoVerifier>> = contract.resume(&record);
    let (state, result) = (callback.state.clone(), callback.result.clone());
    let id = callback.postbox_id.clone();
    match awaiting.receive_postbox(callback) {
        Ok(ready) => {
            assert_eq!(state.as_deref(), Some(STATE));
            assert!(matches!(
                result.as_deref(),
                Some("SUCCESS" | "POSTBOX_READY")
            ));
            assert_eq!(Some(ready.postbox_id()), id.as_deref());
            let upload = CLIENT.endpoint(&["postbox", ready.postbox_id()]);
            assert_eq!(upload.path_segments().expect("a path").count(), 3);
        }
        Err(rejected) => {
            assert_one_line(rejected.error());
            assert_eq!(rejected.into_flow().state(), STATE);
        }
    }
}

/// The platform's key in the tests of tokens.
static PLATFORM_KEYS: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    let block = pem::parse(PRIVATE_KEY).expect("PEM");
    RsaKeyPair::from_der(block.contents())
        .or_else(|_| RsaKeyPair::from_pkcs8(block.contents()))
        .expect("a key")
});

fn platform_key_set() -> JwkSet {
    let der = PLATFORM_KEYS.public_key().as_ref().to_vec();
    let pem = pem::encode(&pem::Pem::new("RSA PUBLIC KEY", der));
    serde_json::from_value(json!({"keys": [{"kid": "k1", "pem": pem}]})).expect("a key set")
}

const ORIGIN: &str = "https://api.digi.me/";

/// A platform token. The first byte says what follows: the token itself; or a header, a zero byte and claims, which are
/// signed with the key `k1` of the key set, as they are or rewritten by another JSON library.
pub fn platform_token(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else {
        return;
    };
    let cut = data.iter().position(|&byte| byte == 0);
    let (header, claims) = cut.map_or((data, &b"{}"[..]), |cut| (&data[..cut], &data[cut + 1..]));
    match mode % 3 {
        0 => {
            let Ok(token) = std::str::from_utf8(data) else {
                return;
            };
            if verify(token).is_ok() {
                let (signed, signature) = token.rsplit_once('.').expect("a signature");
                let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
                UnparsedPublicKey::new(
                    &RSA_PSS_2048_8192_SHA512,
                    PLATFORM_KEYS.public_key().as_ref(),
                )
                .verify(signed.as_bytes(), &signature)
                .expect("a signature of the platform");
            }
        }
        1 => {
            if let Ok(verified) = verify(&sign(header, claims)) {
                let header: Value = serde_json::from_slice(header).expect("a JSON header");
                assert!(is_acceptable(&header), "{header}");
                assert_eq!(Some(verified), serde_json::from_slice(claims).ok());
            }
        }
        _ => {
            let (Ok(header), Ok(claims)) = (
                serde_json::from_slice::<Value>(header),
                serde_json::from_slice::<Value>(claims),
            ) else {
                return;
            };
            let token = sign(header.to_string().as_bytes(), claims.to_string().as_bytes());
            let expected = (is_acceptable(&header) && claims.is_object()).then_some(claims);
            assert_eq!(verify(&token).ok(), expected, "{header}");
        }
    }
}

/// Verifies a token against the key set, and asserts that the key set is fetched only from the platform.
fn verify(token: &str) -> Result<Value, ()> {
    let base_url = Url::parse("https://api.digi.me/v1.5").expect("a URL");
    let asked = RefCell::new(None);
    let fetch = async |jku: Url| -> Result<JwkSet, PlatformError> {
        asked.replace(Some(jku));
        Ok(platform_key_set())
    };
    let result = platform_token::verify(token, &base_url, &KeyCache::default(), fetch)
        .now_or_never()
        .expect("nothing to wait for");
    if let Some(jku) = asked.take() {
        assert!(jku.as_str().starts_with(ORIGIN), "{jku}");
        assert_eq!(jku.host_str(), Some("api.digi.me"));
        assert!(jku.username().is_empty() && jku.password().is_none() && jku.port().is_none());
    }
    result.map_err(|_| ())
}

fn sign(header: &[u8], claims: &[u8]) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{claims}");
    let mut signature = vec![0; PLATFORM_KEYS.public_modulus_len()];
    PLATFORM_KEYS
        .sign(
            &RSA_PSS_SHA512,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .expect("a signature");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Whether a token with this header, signed by `k1`, must be accepted.
fn is_acceptable(header: &Value) -> bool {
    let text = |name: &str| header[name].as_str();
    text("alg") == Some("PS512")
        && text("kid") == Some("k1")
        && header["crit"].is_null()
        && text("jku").is_some_and(|jku| jku.starts_with(ORIGIN))
}

/// A key set, as the platform serves it.
pub fn key_set(data: &[u8]) {
    let jku = Url::parse("https://api.digi.me/jwks").expect("a URL");
    let cached = |data: &[u8]| {
        let cache = KeyCache::default();
        let set = serde_json::from_slice::<JwkSet>(data).ok()?;
        cache.replace(&jku, set);
        Some(cache)
    };
    let from_data = cached(data);
    let Ok(set) = serde_json::from_slice::<Value>(data) else {
        assert!(from_data.is_none());
        return;
    };
    // Without repeated members, of which the two readers would take different ones.
    let cache = cached(set.to_string().as_bytes());
    let (cache, keys) = match (&cache, set["keys"].as_array()) {
        (Some(cache), Some(keys)) => (cache, keys),
        (None, None) => return,
        _ => panic!("a key set is what has a list of keys: {set}"),
    };
    let mut expected = HashMap::<&str, Vec<Vec<u8>>>::new();
    for (kid, der) in keys.iter().filter_map(usable) {
        let known = expected.entry(kid).or_default();
        if !known.contains(&der) {
            known.push(der);
        }
    }
    for key in keys {
        let Some(kid) = key["kid"].as_str() else {
            continue;
        };
        match (cache.get(&jku, kid), expected.get(kid).map(Vec::as_slice)) {
            (Some(KeysOfKid::One(key)), Some([one])) => assert_eq!(&spki(&key), one),
            (None, None) | (Some(KeysOfKid::Several), Some([_, _, ..])) => {}
            (_, expected) => panic!(
                "{kid:?} does not name {} keys",
                expected.map_or(0, <[_]>::len)
            ),
        }
    }
}

/// The `kid` and the DER of an entry that may verify, read without serde's derive.
fn usable(key: &Value) -> Option<(&str, Vec<u8>)> {
    let is = |name: &str, wanted: &str| key[name].is_null() || key[name] == wanted;
    let operations = match &key["key_ops"] {
        Value::Null => true,
        Value::Array(names) => {
            names.iter().all(Value::is_string) && names.iter().any(|name| name == "verify")
        }
        _ => false,
    };
    let (kid, pem) = (key["kid"].as_str()?, key["pem"].as_str()?);
    let key = verifying_key(pem::parse(pem).ok()?.contents())?;
    (is("use", "sig") && is("alg", "PS512") && operations).then(|| (kid, spki(&key)))
}

fn spki(key: &ParsedPublicKey) -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = key.as_der().expect("an RSA key");
    der.as_ref().to_vec()
}

/// The parts of links: application id, contract id, redirect URI, session key, exchange token, preauthorization code
/// and state, with zero bytes between them.
pub fn deep_link(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parts: Vec<&str> = text.split('\0').collect();
    let &[application, contract, redirect, key, token, code, state] = parts.as_slice() else {
        return;
    };
    let session = json!({"sessionKey": key, "sessionExchangeToken": token, "expiry": 1});
    let (Some(once), Some(ongoing)) = (
        KindContract::<Once>::new(application, contract, redirect),
        KindContract::<Ongoing>::new(application, contract, redirect),
    ) else {
        return;
    };

    let data = json!({"state": state, "session": session, "verifier": null});
    let record = once.record("AwaitingCallback<NoVerifier>", &data);
    let flow: Flow<_, AwaitingCallback<NoVerifier>> = once.resume(&record);
    let callback_url = parameter(flow.url(), "callbackUrl");
    let of_session = [
        ("sessionKey", key),
        ("appId", application),
        ("sdkVersion", SDK_VERSION),
    ];
    let parameters = [&[("callbackUrl", &*callback_url)], &of_session[..]].concat();
    assert_link(flow.url(), "digime://postbox/create", &parameters);
    assert_link(
        flow.consent_access_url(),
        "digime://consent-access",
        &parameters,
    );
    assert_guest(flow.guest_url(), token, &callback_url);
    assert_called_back(redirect, &callback_url, state);

    let verifier = json!({"code_verifier": "v", "preauthorization_code": code});
    let data = json!({"state": state, "session": session, "verifier": verifier});
    let record = ongoing.record("AwaitingCallback<Verifier>", &data);
    let flow: Flow<_, AwaitingCallback<Verifier>> = ongoing.resume(&record);
    let own = [("preauthorizationCode", code), ("callbackUrl", redirect)];
    let parameters = [&own, &of_session[..]].concat();
    assert_link(flow.url(), "digime://postbox/create", &parameters);
    assert_link(
        flow.consent_access_url(),
        "digime://consent-access",
        &parameters,
    );
    assert_guest(flow.guest_url(), token, redirect);

    let ids = [("contractId", contract), ("appId", application)];
    assert_link(&ongoing.receipt_url(), "digime://receipt", &ids);
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(own, _)| own == name);
    found.expect("the parameter").1.into_owned()
}

/// Asserts that two parsers read this link, with these parameters in this order.
#[track_caller]
fn assert_link(link: &Url, before_query: &str, parameters: &[(&str, &str)]) {
    assert_eq!(Url::parse(link.as_str()).as_ref(), Ok(link));
    assert!(link.as_str().is_ascii());
    let (before, query) = link.as_str().split_once('?').expect("a query");
    assert_eq!(before, before_query);
    assert!(!query.contains('#'));
    let read = pairs(query);
    assert_eq!(read.len(), parameters.len(), "{link}");
    for ((name, value), wanted) in read.iter().zip(parameters) {
        assert_eq!((name.as_str(), value.as_str()), *wanted, "{link}");
    }
}

fn assert_guest(link: &Url, token: &str, callback_url: &str) {
    let parameters = [
        ("sessionExchangeToken", token),
        ("callbackUrl", callback_url),
    ];
    let page = "http://127.0.0.1:1/apps/quark/v1/direct-onboarding";
    assert_link(link, page, &parameters);
}

/// Asserts that a one-off contract's callback URL is the redirect URI with the state added to its own parameters, and
/// that the callback brings the state back.
fn assert_called_back(redirect: &str, callback_url: &str, state: &str) {
    let [own, whole] = [redirect, callback_url].map(|uri| {
        let url = Url::parse(uri).expect("a URL");
        assert!(url.fragment().is_none());
        url
    });
    let mut expected = pairs(own.query().unwrap_or_default());
    expected.push(("state".to_owned(), state.to_owned()));
    assert_eq!(pairs(whole.query().unwrap_or_default()), expected);
    let without_query = |mut url: Url| {
        url.set_query(None);
        url
    };
    assert_eq!(without_query(own), without_query(whole));
    let called = format!("{callback_url}&result=CANCEL");
    let callback = Callback::from_url(called).expect("a callback");
    assert_eq!(callback.state(), Some(state));
    assert_eq!(callback.result.as_deref(), Some("CANCEL"));
}

const SEALING_KEY: [u8; 32] = [7; 32];

/// A sealed flow. If the first byte is even, the rest is the sealed string. If it is odd, the next two bytes select the byte
/// of the sealed string that is changed, and the rest is the content that is sealed.
pub fn sealed(data: &[u8]) {
    let keys = SealingKeys::new("k1", SEALING_KEY).accept("k0", [8; 32]);
    let unseal =
        |text: &str| Suspended::<KindContract<Ongoing>, Authorized, Value>::unseal(text, &keys);
    match data {
        [mode, text @ ..] if mode % 2 == 0 => {
            let Ok(text) = std::str::from_utf8(text) else {
                return;
            };
            match unseal(text) {
                Ok(_) => assert!(text.starts_with("digime1.")),
                Err(error) => assert_one_line(&error),
            }
        }
        [_, one, two, inside @ ..] => {
            let text = seal(inside);
            match unseal(&text) {
                Ok(suspended) => {
                    let read: Value = serde_json::from_slice(inside).expect("JSON");
                    let flow = read["flow"].as_str().expect("a record");
                    SuspendedRecord::<Authorized, Value>::from_json(flow).expect("a record");
                    drop(suspended);
                }
                Err(error) => assert_one_line(&error),
            }
            let mut changed = text.into_bytes();
            let at = usize::from(u16::from_be_bytes([*one, *two])) % changed.len();
            changed[at] ^= 1;
            assert!(unseal(&String::from_utf8(changed).expect("ASCII")).is_err());
        }
        _ => {}
    }
}

/// Seals by the format's definition, without the tested code.
fn seal(inside: &[u8]) -> String {
    let head = format!("digime1.{}", BASE64_URL_SAFE_NO_PAD.encode("k1"));
    let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &SEALING_KEY).expect("a key");
    let mut sealed = inside.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(&head), &mut sealed)
        .expect("a sealed text");
    let body = [nonce.as_ref().as_slice(), &sealed].concat();
    format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(body))
}

/// A record of a store. The first byte says which state is read from it.
pub fn stored_record(data: &[u8]) {
    let Some((&state, json)) = data.split_first() else {
        return;
    };
    let Ok(json) = std::str::from_utf8(json) else {
        return;
    };
    match state % 4 {
        0 => record(
            json,
            Flow::<KindContract<Once>, AwaitingCallback<NoVerifier>>::suspend,
        ),
        1 => record(
            json,
            Flow::<KindContract<Ongoing>, AwaitingCallback<Verifier>>::suspend,
        ),
        2 => record::<Once, PostboxReady>(json, |flow| flow.suspend()),
        _ => record::<Ongoing, Authorized>(json, |flow| flow.suspend()),
    }
}

type Suspend<C, S> = fn(Flow<C, S>) -> Suspended<C, S>;

fn record<K, S: Durable + Debug>(json: &str, suspend: Suspend<KindContract<K>, S>)
where
    KindContract<K>: Reaches<S>,
{
    let by_serde = serde_json::from_str::<Suspended<KindContract<K>, S, Value>>(json);
    let written = match SuspendedRecord::<S, Value>::from_json(json) {
        Ok(written) => written,
        Err(error) => {
            assert!(by_serde.is_err(), "two readers disagree: {error}");
            return assert_one_line(&error);
        }
    };
    let suspended = by_serde.expect("what the other reader reads");
    let text = written.to_json().expect("JSON");
    let again = SuspendedRecord::<S, Value>::from_json(&text).expect("what was written");
    assert_eq!(again.to_json().as_ref(), Ok(&text));

    let _ = suspended.expires_at();
    let shown = format!("{suspended:?}");
    let (suspended, _) = suspended.into_parts();
    let as_it_was = serde_json::to_string(&suspended).expect("JSON");
    match suspended.resume(KindContract::fixed(), &CLIENT) {
        Ok(flow) => {
            let shown = shown + &format!("{flow:?}");
            assert_eq!(shown, shown_with_other_secrets::<K, S>(&text));
            let suspended_again = serde_json::to_string(&suspend(flow)).expect("JSON");
            assert_eq!(suspended_again, as_it_was);
        }
        Err(error) => {
            let Error::Suspended(error) = error else {
                panic!("{error:?}");
            };
            assert_one_line(&error);
        }
    }
}

/// The `Debug` output of a record and its flow with other secrets. It is the same output if no secret is shown.
fn shown_with_other_secrets<K, S: Durable + Debug>(record: &str) -> String
where
    KindContract<K>: Reaches<S>,
{
    fn replace(value: &mut Value) {
        const SECRETS: [&str; 6] = [
            "sessionKey",
            "sessionExchangeToken",
            "code_verifier",
            "preauthorization_code",
            "access_token",
            "refresh_token",
        ];
        let Value::Object(members) = value else {
            return;
        };
        for (name, member) in members {
            if SECRETS.contains(&name.as_str()) {
                *member = "another secret".into();
            } else {
                replace(member);
            }
        }
    }
    let mut record: Value = serde_json::from_str(record).expect("JSON");
    replace(&mut record["state_data"]);
    let suspended: Suspended<KindContract<K>, S, Value> =
        serde_json::from_str(&record.to_string()).expect("a record");
    let shown = format!("{suspended:?}");
    let (suspended, _) = suspended.into_parts();
    let flow = suspended
        .resume(KindContract::fixed(), &CLIENT)
        .expect("a flow");
    shown + &format!("{flow:?}")
}

/// A refusal: two bytes of status and the body.
pub fn refusal(data: &[u8]) {
    let [one, two, body @ ..] = data else {
        return;
    };
    let Ok(status) = StatusCode::from_u16(u16::from_be_bytes([*one, *two])) else {
        return;
    };
    let refusal = http::refusal(status, body, &Redaction::default());
    assert_eq!(refusal.status, status.as_u16());
    let texts = [&refusal.code, &refusal.message];
    for text in texts.into_iter().chain(&refusal.reference) {
        assert!(text.chars().count() <= 300, "{text:?}");
        assert!(text.split(' ').all(|word| word.len() <= 64), "{text:?}");
        assert_eq!(text.trim_start(), text);
    }
    assert_one_line(&refusal);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn names_in(folder: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = fs::read_dir(&folder).expect("a folder of the repository");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").path())
            .map(|path| path.file_stem().expect("a name").to_string_lossy().into())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_target_has_a_file_and_a_corpus() {
        let mut names = TARGETS.map(|(name, _)| name);
        names.sort_unstable();
        assert_eq!(names_in("fuzz/fuzz_targets"), names);
        assert_eq!(names_in("fuzz/corpus"), names);
    }

    #[test]
    fn the_invariants_hold_for_the_corpus() {
        for (name, target) in TARGETS {
            let folder = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            for entry in fs::read_dir(folder).expect("a corpus") {
                let path = entry.expect("an entry").path();
                println!("{}", path.display());
                target(&fs::read(path).expect("a file of the corpus"));
            }
        }
    }
}
