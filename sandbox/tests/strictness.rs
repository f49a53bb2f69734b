//! What the sandbox refuses, tested with a client that is written from the protocol, without the library.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use digime_sandbox::{Contract, Sandbox};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client of the sandbox under one of its contracts.
struct Raw {
    sandbox: Sandbox,
    contract: Contract,
    http: reqwest::Client,
}

impl Raw {
    async fn ongoing() -> Self {
        let sandbox = Sandbox::start().await.expect("a port");
        let contract = sandbox.contracts().ongoing.clone();
        Self {
            sandbox,
            contract,
            http: reqwest::Client::new(),
        }
    }

    fn claims(&self, of_request: Value) -> Value {
        let mut claims = json!({
            "client_id": format!("{}_{}", self.contract.application_id, self.contract.contract_id),
            "nonce": Alphanumeric.sample_string(&mut rand::rng(), 32),
            "timestamp": now(),
            "redirect_uri": self.contract.redirect_uri,
        });
        if let Value::Object(of_request) = of_request {
            claims.as_object_mut().expect("claims").extend(of_request);
        }
        claims
    }

    fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        sign(&self.contract, algorithm, claims)
    }

    /// Posts a token, and returns the claims of the answer or the code of the refusal.
    async fn post(&self, endpoint: &str, token: &str) -> Result<Value, String> {
        let url = format!("{}/{endpoint}", self.sandbox.base_url());
        let answer = self
            .http
            .post(url)
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        match answer["token"].as_str() {
            Some(token) => {
                let payload = token.split('.').nth(1).expect("a token");
                let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
                Ok(serde_json::from_slice(&payload).expect("JSON"))
            }
            None => Err(answer["error"]["code"].as_str().expect("a code").to_owned()),
        }
    }

    async fn ask(&self, endpoint: &str, of_request: Value) -> Result<Value, String> {
        self.post(
            endpoint,
            &self.sign(Algorithm::PS512, &self.claims(of_request)),
        )
        .await
    }

    async fn session(&self) -> String {
        let request = json!({
            "appId": self.contract.application_id, "contractId": self.contract.contract_id,
            "sdkAgent": {"name": "raw", "version": "1", "meta": {}}, "accept": {"compression": "gzip"},
        });
        let url = format!("{}/permission-access/session", self.sandbox.base_url());
        let answer = self
            .http
            .post(url)
            .json(&request)
            .send()
            .await
            .expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        answer["sessionKey"].as_str().expect("a session").to_owned()
    }

    /// Runs an ongoing flow until it waits for the callback, and returns the link for the user.
    async fn link(&self) -> Url {
        let answer = self
            .ask("oauth/authorize", authorize_claims())
            .await
            .expect("a preauthorization");
        let mut link = Url::parse("digime://postbox/create").expect("a URL");
        link.query_pairs_mut()
            .append_pair(
                "preauthorizationCode",
                answer["preauthorization_code"].as_str().expect("a code"),
            )
            .append_pair("callbackUrl", &self.contract.redirect_uri)
            .append_pair("sessionKey", &self.session().await)
            .append_pair("appId", &self.contract.application_id)
            .append_pair("sdkVersion", "1");
        link
    }

    async fn code(&self) -> String {
        let callback = self
            .sandbox
            .consent(self.link().await)
            .await
            .expect("a callback");
        parameter(&callback, "code")
    }
}

/// Signs a token as an application under the contract would.
fn sign(contract: &Contract, algorithm: Algorithm, claims: &Value) -> String {
    let der = pem::parse(&contract.private_key)
        .expect("a key")
        .into_contents();
    encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_rsa_der(&der),
    )
    .expect("a token")
}

fn authorize_claims() -> Value {
    json!({
        "code_challenge": BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
        "code_challenge_method": "S256", "response_mode": "query", "response_type": "code", "state": "s",
    })
}

fn exchange_claims(code: &str, verifier: &str) -> Value {
    json!({"grant_type": "authorization_code", "code": code, "code_verifier": verifier})
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(own, _)| own == name);
    found.expect("the parameter").1.into_owned()
}

fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a clock before the end of time")
}

#[tokio::test]
async fn a_correct_flow_succeeds() {
    let raw = Raw::ongoing().await;
    let tokens = raw
        .ask("oauth/token", exchange_claims(&raw.code().await, VERIFIER))
        .await
        .expect("tokens");
    assert!(
        tokens["access_token"].is_string() && tokens["expires_on"].is_u64(),
        "{tokens}"
    );
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]});
    raw.ask("oauth/token", refresh.clone())
        .await
        .expect("tokens");
    assert_eq!(raw.sandbox.violations(), [""; 0]);
    assert_eq!(
        raw.ask("oauth/token", refresh).await,
        Err("InvalidToken".into()),
        "it is spent"
    );
}

#[tokio::test]
async fn every_part_of_a_request_token_is_verified() {
    let raw = Raw::ongoing().await;
    let ours = raw.claims(authorize_claims());
    let with = |name: &str, value: Value| {
        let mut claims = raw.claims(authorize_claims());
        claims[name] = value;
        raw.sign(Algorithm::PS512, &claims)
    };
    let good = raw.sign(Algorithm::PS512, &ours);
    raw.post("oauth/authorize", &good)
        .await
        .expect("a preauthorization");
    let claims = raw.claims(authorize_claims());
    let forged = sign(&raw.sandbox.contracts().once, Algorithm::PS512, &claims);
    let wrong = [
        (good, "InvalidJWT"),
        (forged, "InvalidJWT"),
        (
            raw.sign(Algorithm::RS512, &raw.claims(authorize_claims())),
            "InvalidJWT",
        ),
        (
            raw.sign(Algorithm::PS256, &raw.claims(authorize_claims())),
            "InvalidJWT",
        ),
        (with("client_id", json!("somebody_else")), "InvalidJWT"),
        (with("nonce", json!("short")), "InvalidJWT"),
        (with("timestamp", json!(now() - 3_600_000)), "InvalidJWT"),
        (with("timestamp", json!(now() / 1000)), "InvalidJWT"),
        (
            with("redirect_uri", json!("https://evil.example/")),
            "InvalidRedirectUri",
        ),
        (
            with("code_challenge", json!(VERIFIER.repeat(2))),
            "InvalidRequest",
        ),
        (
            with("code_challenge_method", json!("plain")),
            "InvalidRequest",
        ),
        (String::new(), "InvalidJWT"),
        ("a.b.c".into(), "InvalidJWT"),
    ];
    let count = wrong.len();
    for (token, code) in wrong {
        assert_eq!(raw.post("oauth/authorize", &token).await, Err(code.into()));
    }
    assert_eq!(raw.sandbox.violations().len(), count);
}

#[tokio::test]
async fn a_code_can_be_exchanged_once_and_only_with_its_verifier() {
    let raw = Raw::ongoing().await;
    let code = raw.code().await;
    let other = VERIFIER.replace('d', "e");
    for (claims, refusal) in [
        (exchange_claims("unknown", VERIFIER), "InvalidGrant"),
        (exchange_claims(&code, &other), "InvalidGrant"),
        (exchange_claims(&code, "too-short"), "InvalidRequest"),
    ] {
        assert_eq!(raw.ask("oauth/token", claims).await, Err(refusal.into()));
    }
    raw.ask("oauth/token", exchange_claims(&code, VERIFIER))
        .await
        .expect("tokens");
    assert_eq!(
        raw.ask("oauth/token", exchange_claims(&code, VERIFIER))
            .await,
        Err("InvalidGrant".into())
    );
}

#[tokio::test]
async fn the_users_client_opens_only_a_correct_link_and_only_once() {
    let raw = Raw::ongoing().await;
    let link = raw.link().await;
    let without = |name: &str| {
        let mut changed = link.clone();
        let others = link.query_pairs().filter(|(own, _)| own != name);
        changed.query_pairs_mut().clear().extend_pairs(others);
        changed
    };
    for name in [
        "preauthorizationCode",
        "callbackUrl",
        "sessionKey",
        "appId",
        "sdkVersion",
    ] {
        raw.sandbox.consent(without(name)).await.expect_err(name);
    }
    let declined = raw.sandbox.decline(&link).await.expect("a callback");
    assert_eq!(
        (
            parameter(&declined, "result"),
            parameter(&declined, "state")
        ),
        ("CANCEL".into(), "s".into())
    );
    let approved = raw.sandbox.consent(&link).await.expect("a callback");
    assert_eq!(
        (
            parameter(&approved, "result"),
            parameter(&approved, "state")
        ),
        ("SUCCESS".into(), "s".into())
    );
    let again = raw
        .sandbox
        .consent(&link)
        .await
        .expect_err("the session is used");
    assert!(
        again
            .to_string()
            .contains("session has created a postbox already"),
        "{again}"
    );
}

#[tokio::test]
async fn the_users_client_can_be_used_over_http() {
    let raw = Raw::ongoing().await;
    let described = raw.sandbox.describe();
    let link = raw.link().await;
    let answer: Value = raw
        .http
        .get(described["consent_url"].as_str().expect("a URL"))
        .query(&[("link", link.as_str()), ("decision", "cancel")])
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let callback = Url::parse(answer["callback"].as_str().expect("a callback")).expect("a URL");
    assert_eq!(parameter(&callback, "result"), "CANCEL");
    let inbox = raw
        .http
        .get(described["inbox_url"].as_str().expect("a URL"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(inbox.json::<Value>().await.expect("JSON"), json!([]));
}

#[tokio::test]
async fn a_push_must_fit_its_postbox_session_and_envelope() {
    let raw = Raw::ongoing().await;
    let link = raw.link().await;
    let session = parameter(&link, "sessionKey");
    let callback = raw.sandbox.consent(&link).await.expect("a callback");
    let postbox = format!(
        "permission-access/postbox/{}",
        parameter(&callback, "postboxId")
    );
    let code = exchange_claims(&parameter(&callback, "code"), VERIFIER);
    let tokens = raw.ask("oauth/token", code).await.expect("tokens");
    let claims = |name: &str, value: Value| {
        let mut claims = json!({
            "access_token": tokens["access_token"], "session_key": session,
            "iv": "00".repeat(16), "symmetrical_key": "AAAA", "metadata": "AAAA",
        });
        claims[name] = value;
        claims
    };
    for (endpoint, claims, code) in [
        (
            "permission-access/postbox/nope",
            claims("iv", json!("00")),
            "InvalidPostbox",
        ),
        (
            &*postbox,
            claims("session_key", json!("nope")),
            "InvalidSession",
        ),
        (
            &*postbox,
            claims("access_token", json!("nope")),
            "InvalidToken",
        ),
        (
            &*postbox,
            claims("iv", json!("AA".repeat(16))),
            "InvalidRequest",
        ),
        (
            &*postbox,
            claims("symmetrical_key", json!("AAAA")),
            "InvalidRequest",
        ),
    ] {
        assert_eq!(raw.ask(endpoint, claims).await, Err(code.into()));
    }
    assert!(raw.sandbox.inbox().is_empty());
}
