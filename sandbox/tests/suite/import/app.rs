//! An application that speaks API 1.7.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use digime_sandbox::{Builder, Contract, Sandbox};
use jsonwebtoken::Algorithm;
use rand::distr::{Alphanumeric, SampleString};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::raw::{Raw, VERIFIER, now, parameter, sign};

/// An application under an import contract.
pub(crate) struct App {
    pub(crate) raw: Raw,
}

/// The status and the JSON of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
}

impl Answer {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.json["error"]["message"].as_str().unwrap_or_default()
    }

    /// The claims of the platform's token.
    pub(crate) fn claims(&self) -> Value {
        part_of_token(&self.json, 1)
    }

    /// The header of the platform's token.
    pub(crate) fn token_header(&self) -> Value {
        part_of_token(&self.json, 0)
    }
}

fn part_of_token(answer: &Value, part: usize) -> Value {
    let token = answer["token"].as_str();
    let token = token.unwrap_or_else(|| panic!("no token: {answer}"));
    let part = token.split('.').nth(part).expect("a token");
    let part = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&part).expect("JSON")
}

/// A person's tokens, as the application keeps them.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) user_id: String,
    pub(crate) all: Value,
}

impl Tokens {
    pub(crate) fn of(claims: Value) -> Self {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self {
            access: text(&claims["access_token"]["value"]),
            refresh: text(&claims["refresh_token"]["value"]),
            user_id: text(&claims["sub"]),
            all: claims,
        }
    }
}

/// A request of the application.
pub(crate) struct Call<'a> {
    app: &'a App,
    method: Method,
    path: String,
    claims: Value,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    pub(crate) fn request(self) -> reqwest::RequestBuilder {
        let url = format!("{}/{}", self.app.sandbox().import_base_url(), self.path);
        let mut request = self.app.raw.http.request(self.method, url);
        request = request.bearer_auth(self.app.token(self.claims));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        request
    }

    pub(crate) async fn send(self) -> Answer {
        let answer = self.request().send().await.expect("an answer");
        let status = answer.status().as_u16();
        let json = answer.json().await.unwrap_or_default();
        Answer { status, json }
    }
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::of(Sandbox::builder()).await
    }

    pub(crate) async fn of(builder: Builder) -> Self {
        let sandbox = Arc::new(builder.start().await.expect("a port"));
        Self::under(&sandbox, &sandbox.contracts().import)
    }

    pub(crate) fn under(sandbox: &Arc<Sandbox>, contract: &Contract) -> Self {
        Self {
            raw: Raw::under(sandbox, contract),
        }
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.raw.sandbox
    }

    /// A token with the claims of every token and further ones, of which `null` takes one away.
    pub(crate) fn token(&self, further: Value) -> String {
        let contract = &self.raw.contract;
        let mut claims = json!({
            "client_id": format!("{}_{}", contract.application_id, contract.contract_id),
            "nonce": nonce(),
            "timestamp": now(),
        });
        merge(&mut claims, further);
        let members = claims.as_object_mut().expect("claims");
        members.retain(|_, value| !value.is_null());
        self.raw.sign(Algorithm::PS512, &claims)
    }

    pub(crate) fn call(&self, method: Method, path: impl Into<String>, claims: Value) -> Call<'_> {
        Call {
            app: self,
            method,
            path: path.into(),
            claims,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn post(&self, path: &str, claims: Value) -> Call<'_> {
        self.call(Method::POST, path, claims)
    }

    pub(crate) fn authorize_claims(&self) -> Value {
        json!({
            "code_challenge": BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
            "code_challenge_method": "S256", "redirect_uri": self.raw.contract.redirect_uri,
            "response_mode": "query", "response_type": "code", "state": "s",
        })
    }

    pub(crate) async fn authorize(&self, further: Value) -> Answer {
        let mut claims = self.authorize_claims();
        merge(&mut claims, further);
        let call = self.post("oauth/authorize", claims);
        call.json(&json!({"agent": agent()})).send().await
    }

    /// The address to which the browser is sent for a first consent.
    pub(crate) async fn link(&self, query: &str) -> Url {
        let answer = self.authorize(json!({})).await;
        self.link_of(&answer, query)
    }

    pub(crate) fn link_of(&self, authorized: &Answer, query: &str) -> Url {
        let claims = authorized.claims();
        let code = claims["preauthorization_code"].as_str().expect("a code");
        self.address("authorize", code, query)
    }

    pub(crate) fn address(&self, page: &str, code: &str, query: &str) -> Url {
        let onboarding = self.sandbox().onboarding_url();
        let link = format!("{onboarding}{page}?code={code}{query}");
        Url::parse(&link).expect("a URL")
    }

    pub(crate) fn reference_claims(&self, access_token: &str) -> Value {
        json!({"access_token": access_token, "redirect_uri": self.raw.contract.redirect_uri})
    }

    /// `token/reference` with a code challenge.
    pub(crate) async fn reauthorize(&self, access_token: &str) -> Answer {
        let mut claims = self.reference_claims(access_token);
        merge(
            &mut claims,
            json!({
                "code_challenge": BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
                "code_challenge_method": "S256", "state": "r",
            }),
        );
        let call = self.post("oauth/token/reference", claims);
        call.json(&json!({"agent": agent()})).send().await
    }

    /// The address to which the browser is sent for a consent again.
    pub(crate) async fn reauth_link(&self, access_token: &str) -> Url {
        let claims = self.reauthorize(access_token).await.claims();
        let code = claims["reference_code"].as_str().expect("a code");
        self.address("user-reauth", code, "")
    }

    pub(crate) async fn exchange(&self, code: &str) -> Answer {
        let claims =
            json!({"code": code, "code_verifier": VERIFIER, "grant_type": "authorization_code"});
        self.post("oauth/token", claims).send().await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        let claims = json!({"grant_type": "refresh_token", "refresh_token": refresh_token});
        self.post("oauth/token", claims).send().await
    }

    /// Exchanges the code of a callback.
    pub(crate) async fn tokens(&self, callback: &Url) -> Tokens {
        let answer = self.exchange(&parameter(callback, "code")).await;
        Tokens::of(answer.claims())
    }

    /// Runs the flow until there are tokens.
    pub(crate) async fn connect(&self) -> Tokens {
        self.connect_with("&sourceType=pull").await
    }

    pub(crate) async fn connect_with(&self, query: &str) -> Tokens {
        let link = self.link(query).await;
        let callback = self.sandbox().consent(link).await.expect("a callback");
        self.tokens(&callback).await
    }

    pub(crate) fn descriptor(&self, payload: &Value) -> String {
        sign(&self.raw.contract, Algorithm::PS512, payload)
    }

    pub(crate) fn import(&self, access_token: &str, content: &[u8]) -> Call<'_> {
        let descriptor = self.descriptor(&json!({"metadata": metadata()}));
        self.import_with(access_token, content, descriptor)
    }

    pub(crate) fn import_with(
        &self,
        access_token: &str,
        content: &[u8],
        descriptor: String,
    ) -> Call<'_> {
        let claims = json!({"access_token": access_token});
        self.post("permission-access/import", claims)
            .header("content-type", "application/octet-stream")
            .header("FileDescriptor", descriptor)
            .body(content)
    }

    pub(crate) async fn accounts(&self, access_token: &str) -> Answer {
        let claims = json!({"access_token": access_token});
        let call = self.call(Method::GET, "permission-access/accounts", claims);
        call.send().await
    }

    /// The id of the account that was added first.
    pub(crate) async fn account_id(&self, access_token: &str) -> String {
        let accounts = self.accounts(access_token).await.json;
        accounts[0]["id"].as_str().expect("an account").to_owned()
    }

    pub(crate) fn push_to_provider(&self, access_token: &str, account_id: &str) -> Call<'_> {
        let claims = json!({"access_token": access_token});
        let path = "permission-access/import/h:accountId/fhir/3.0.2";
        let call = self.post(path, claims).header("accountId", account_id);
        call.json(&json!({"resourceType": "Patient"}))
    }
}

pub(crate) fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

pub(crate) fn nonce() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// Puts members into an object.
pub(crate) fn merge(object: &mut Value, further: Value) {
    let members = object.as_object_mut().expect("an object");
    if let Value::Object(further) = further {
        members.extend(further);
    }
}

pub(crate) fn agent() -> Value {
    json!({"sdk": {"name": "raw", "version": "1", "meta": {}}})
}

pub(crate) fn metadata() -> Value {
    json!({"mimeType": "text/plain", "accounts": [{"accountId": "account-1"}], "tags": ["receipt"], "reference": ["ref-1"]})
}

/// The parameters of a callback, in their order.
pub(crate) fn parameters(url: &Url) -> Vec<(String, String)> {
    url.query_pairs().into_owned().collect()
}
