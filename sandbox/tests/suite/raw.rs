//! A client of the sandbox that is written from the protocol, without the library.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use digime_sandbox::{Contract, Sandbox};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client of the sandbox under one of its contracts.
pub(crate) struct Raw {
    pub(crate) sandbox: Sandbox,
    pub(crate) contract: Contract,
    pub(crate) http: reqwest::Client,
}

impl Raw {
    pub(crate) async fn ongoing() -> Self {
        let sandbox = Sandbox::start().await.expect("a port");
        let contract = sandbox.contracts().ongoing.clone();
        Self {
            sandbox,
            contract,
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn claims(&self, of_request: Value) -> Value {
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

    pub(crate) fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        sign(&self.contract, algorithm, claims)
    }

    /// Posts a token, and returns the claims of the answer or the code of the refusal.
    pub(crate) async fn post(&self, endpoint: &str, token: &str) -> Result<Value, String> {
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

    pub(crate) async fn ask(&self, endpoint: &str, of_request: Value) -> Result<Value, String> {
        self.post(
            endpoint,
            &self.sign(Algorithm::PS512, &self.claims(of_request)),
        )
        .await
    }

    pub(crate) async fn session(&self) -> String {
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
    pub(crate) async fn link(&self) -> Url {
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

    pub(crate) async fn code(&self) -> String {
        let callback = self
            .sandbox
            .consent(self.link().await)
            .await
            .expect("a callback");
        parameter(&callback, "code")
    }
}

/// Signs a token as an application under the contract would.
pub(crate) fn sign(contract: &Contract, algorithm: Algorithm, claims: &Value) -> String {
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

pub(crate) fn authorize_claims() -> Value {
    json!({
        "code_challenge": BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
        "code_challenge_method": "S256", "response_mode": "query", "response_type": "code", "state": "s",
    })
}

pub(crate) fn exchange_claims(code: &str, verifier: &str) -> Value {
    json!({"grant_type": "authorization_code", "code": code, "code_verifier": verifier})
}

pub(crate) fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(own, _)| own == name);
    found.expect("the parameter").1.into_owned()
}

pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a clock before the end of time")
}
