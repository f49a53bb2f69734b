//! States of people who do not exist, for unit tests. Nothing is sent in them.

use std::time::{Duration, SystemTime};

use digime::error::SignerError;
use digime::tokens::Tokens;
use digime::{Client, Flow, Signer, Verifier, async_trait, digime_contract};
use serde_json::{Value, json};
use url::Url;

use crate::{AwaitingConsent, Connected, Import, ReadingSession, Unstarted};

/// Everything in the states that nobody else may know.
pub(crate) const SECRETS: [&str; 5] = [
    "the-code",
    "the-state",
    "the-session-key",
    "the-access-token",
    "the-refresh-token",
];

#[digime_contract(
    kind = Import,
    application_id = "shop",
    contract_id = "receipts",
    redirect_uri = "https://shop.example/digime"
)]
pub(crate) struct Receipts {
    private_key: NoKey,
}

#[derive(Clone, Debug)]
pub(crate) struct NoKey;

#[async_trait]
impl Signer for NoKey {
    fn key_id(&self) -> &'static str {
        "none"
    }

    async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> {
        Err(SignerError::refused(std::io::Error::other(
            "there is no key",
        )))
    }
}

pub(crate) fn receipts() -> Receipts {
    Receipts { private_key: NoKey }
}

pub(crate) fn flow(client: &Client) -> Flow<Receipts, Unstarted> {
    receipts().flow(client)
}

pub(crate) fn session() -> ReadingSession {
    let session = json!({"key": "the-session-key", "expiry": 7});
    serde_json::from_value(session).expect("a session")
}

pub(crate) fn awaiting() -> AwaitingConsent<Verifier> {
    let page = Url::parse("https://pages.example/authorize?code=the-code").expect("a URL");
    let verifier = Verifier::new(Client::new().code_verifier(), "the-code");
    let now = SystemTime::UNIX_EPOCH;
    AwaitingConsent::new(page, "the-state".to_owned(), session(), verifier, now)
}

/// Tokens with these members besides the usual ones.
pub(crate) fn tokens(members: &Value) -> Tokens {
    let mut tokens = json!({
        "access_token": "the-access-token",
        "refresh_token": "the-refresh-token",
        "expires_on": 7,
    });
    let all = tokens.as_object_mut().expect("an object");
    all.extend(members.as_object().expect("an object").clone());
    serde_json::from_value(tokens).expect("tokens")
}

/// The tokens of a consent that ends then.
pub(crate) fn connected_until(end: SystemTime) -> Connected {
    let end = end.duration_since(SystemTime::UNIX_EPOCH);
    let end = end.unwrap_or(Duration::ZERO).as_secs();
    let tokens = tokens(&json!({"refresh_expires_on": end, "consent_id": "consent-1"}));
    Connected::new(tokens, session(), Some("account-1".to_owned()))
}

/// Fails if a secret is printed.
pub(crate) fn says_nothing_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
