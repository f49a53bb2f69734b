//! A client of the sandbox that is written from the protocol, without the library.

use std::sync::Arc;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use digime_sandbox::{Contract, Sandbox};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client of the sandbox under one of its contracts.
pub(crate) struct Raw {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) contract: Contract,
    pub(crate) http: reqwest::Client,
}

impl Raw {
    pub(crate) async fn ongoing() -> Self {
        let sandbox = Arc::new(Sandbox::start().await.expect("a port"));
        Self::under(&sandbox, &sandbox.contracts().ongoing)
    }

    pub(crate) fn under(sandbox: &Arc<Sandbox>, contract: &Contract) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            sandbox: sandbox.clone(),
            contract: contract.clone(),
            http: http.build().expect("a client"),
        }
    }

    /// An address of the sandbox outside of the API.
    pub(crate) fn url(&self, path: &str) -> String {
        let root = self.sandbox.base_url().trim_end_matches("/v1.5");
        format!("{root}{path}")
    }

    /// The status and the text of a page.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(self.url(path)).send().await;
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// The ids of the consents that a person can withdraw, the newest first.
    pub(crate) async fn consent_ids(&self) -> Vec<String> {
        let (_, page) = self.page("/connections").await;
        let fields = page.split("name=\"consent_id\" value=\"").skip(1);
        let values = fields.filter_map(|rest| rest.split('"').next());
        values.map(ToOwned::to_owned).collect()
    }

    /// Posts JSON, and returns the status and the answer.
    pub(crate) async fn post_json(&self, path: &str, json: &Value) -> (u16, Value) {
        let answer = self.http.post(self.url(path)).json(json).send().await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("JSON"))
    }

    /// Answers a page as a browser does, and returns the status and the address to which it is sent.
    pub(crate) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        self.submit_with(path, fields, &[]).await
    }

    /// The same with headers.
    pub(crate) async fn submit_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let mut request = self.http.post(self.url(path)).form(fields);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        let location = answer.headers().get("location");
        let location = location.map(|url| url.to_str().expect("text").to_owned());
        (answer.status().as_u16(), location.unwrap_or_default())
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

/// A user's consent, as the application has it.
pub(crate) struct Connected {
    pub(crate) session: String,
    pub(crate) postbox_id: String,
    pub(crate) public_key: String,
    pub(crate) tokens: Value,
}

impl Raw {
    /// Runs an ongoing flow to its end.
    pub(crate) async fn connect(&self) -> Connected {
        let link = self.link().await;
        let callback = self.sandbox.consent(&link).await.expect("a callback");
        self.connected(&link, &callback).await
    }

    /// Exchanges the code of a callback.
    pub(crate) async fn connected(&self, link: &Url, callback: &Url) -> Connected {
        let code = exchange_claims(&parameter(callback, "code"), VERIFIER);
        Connected {
            session: parameter(link, "sessionKey"),
            postbox_id: parameter(callback, "postboxId"),
            public_key: parameter(callback, "publicKey"),
            tokens: self.ask("oauth/token", code).await.expect("tokens"),
        }
    }

    /// Pushes a file, and returns the answer or the code of the refusal.
    pub(crate) async fn push(
        &self,
        to: &Connected,
        name: &str,
        content: &[u8],
        descriptor: Value,
    ) -> Result<Value, String> {
        let (key, iv): ([u8; 32], [u8; 16]) = (rand::random(), rand::random());
        let claims = self.claims(json!({
            "access_token": to.tokens["access_token"],
            "session_key": to.session,
            "iv": hex::encode(iv),
            "symmetrical_key": BASE64_STANDARD.encode(encrypt_key(&to.public_key, &key)),
            "metadata": BASE64_STANDARD.encode(encrypt(&key, iv, descriptor.to_string().as_bytes())),
        }));
        let part = reqwest::multipart::Part::bytes(encrypt(&key, iv, content));
        let form = reqwest::multipart::Form::new().part("file", part.file_name(name.to_owned()));
        let path = format!("/v1.5/permission-access/postbox/{}", to.postbox_id);
        let answer = self
            .http
            .post(self.url(&path))
            .bearer_auth(self.sign(Algorithm::PS512, &claims))
            .multipart(form)
            .send()
            .await
            .expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        match answer["error"]["code"].as_str() {
            Some(code) => Err(code.to_owned()),
            None => Ok(answer),
        }
    }
}

fn encrypt(key: &[u8], iv: [u8; 16], content: &[u8]) -> Vec<u8> {
    let key = UnboundCipherKey::new(&AES_256, key).expect("a key");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).expect("a key");
    let mut sealed = content.to_vec();
    key.less_safe_encrypt(&mut sealed, EncryptionContext::Iv128(FixedLength::from(iv)))
        .expect("it encrypts");
    sealed
}

/// Encrypts a key to a postbox, whose public key is PKCS#1 PEM with 2048 bits.
fn encrypt_key(public_key: &str, key: &[u8]) -> Vec<u8> {
    let pkcs1 = pem::parse(public_key).expect("PEM").into_contents();
    let mut spki = hex::decode("30820122300d06092a864886f70d01010105000382010f00").expect("hex");
    spki.extend(pkcs1);
    let public = PublicEncryptingKey::from_der(&spki).expect("a key");
    let public = OaepPublicEncryptingKey::new(public).expect("a key");
    let mut sealed = vec![0; public.ciphertext_size()];
    let sealed = public.encrypt(&OAEP_SHA1_MGF1SHA1, key, &mut sealed, None);
    sealed.expect("it encrypts").to_vec()
}

pub(crate) fn descriptor(mime_type: &str) -> Value {
    json!({"mimeType": mime_type, "accounts": [{"accountId": "account-1"}], "tags": ["receipt"], "reference": ["ref-1"]})
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
