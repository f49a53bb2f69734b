//! API 1.5: sessions, consents on the phone, and pushes to postboxes.

use std::sync::Arc;

use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Platform, Postbox, Preauthorization, Received, Session, scope};
use crate::api::Api;
use crate::clock::end;
use crate::push::{Envelope, Opened};
use crate::random;
use crate::refusal::Refusal;
use crate::request_token::Request;

/// A push that was accepted before its file has arrived.
pub(crate) struct Accepted {
    pub envelope: Envelope,
    application_id: String,
    contract_id: String,
    postbox_id: String,
    delivered: bool,
    arrives: bool,
}

impl Platform {
    /// Verifies the token of a request to API 1.5.
    pub(crate) fn verify(&mut self, headers: &HeaderMap) -> Result<Request, Refusal> {
        let request = self.verify_for(Api::Postbox, headers)?;
        request.redirect_uri()?;
        Ok(request)
    }

    /// `POST permission-access/session`
    pub(crate) fn establish_session(&mut self, request: &Value) -> Result<Value, Refusal> {
        self.sweep(self.now());
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let contract = self
            .contracts
            .by_contract_id(text("contractId"))
            .ok_or_else(|| {
                Refusal::new(
                    StatusCode::NOT_FOUND,
                    "InvalidContractId",
                    "no contract has this id",
                )
            })?;
        if contract.application_id != text("appId") {
            let message = "the contract is not this application's";
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "InvalidConsentAccessApplication",
                message,
            ));
        }
        Api::Postbox.admit(contract)?;
        let agent = &request["sdkAgent"];
        if !agent["name"].is_string() || !agent["version"].is_string() {
            return Err(Refusal::request("`sdkAgent` has no name or no version"));
        }
        let scope = &request["scope"];
        scope::check(scope)?;
        let (key, exchange_token) = (random::key(), random::key());
        let expiry = end(self.now(), self.session_lifetime);
        let session = Session {
            number: self.sessions_established,
            contract_id: contract.contract_id.clone(),
            exchange_token: exchange_token.clone(),
            scope: scope.clone(),
            expiry,
            used: false,
        };
        self.sessions.insert(key.clone(), session);
        self.sessions_established += 1;
        Ok(json!({"sessionKey": key, "sessionExchangeToken": exchange_token, "expiry": expiry}))
    }

    /// `POST oauth/authorize`
    pub(crate) fn authorize(&mut self, request: &Request) -> Result<Value, Refusal> {
        if !request.contract.is_ongoing() {
            return Err(Refusal::request("a one-off contract can't be authorized"));
        }
        request.fixed("response_mode", "query")?;
        request.fixed("response_type", "code")?;
        let challenge = request.challenge()?;
        let code = random::key();
        let preauthorization = Preauthorization {
            contract_id: request.contract.contract_id.clone(),
            challenge: challenge.to_owned(),
            redirect_uri: request.redirect_uri()?.to_owned(),
            state: request.optional("state")?.map(ToOwned::to_owned),
            used: false,
            since: self.now(),
        };
        self.preauthorizations
            .insert(code.clone(), preauthorization);
        Ok(json!({"preauthorization_code": code}))
    }

    /// Uses up a preauthorization code for a postbox, and returns the code of the callback.
    pub(crate) fn consent(
        &mut self,
        preauthorization_code: &str,
        postbox_id: &str,
    ) -> Option<String> {
        let preauthorization = self.preauthorizations.get_mut(preauthorization_code)?;
        preauthorization.used = true;
        Some(self.grants.consent(preauthorization, postbox_id))
    }

    /// Creates a postbox under a contract, and returns its id.
    pub(crate) fn create_postbox(
        &mut self,
        contract_id: &str,
        key: OaepPrivateDecryptingKey,
    ) -> String {
        let postbox_id = random::key();
        let postbox = Postbox {
            contract_id: contract_id.to_owned(),
            since: self.now(),
            key: Arc::new(key),
        };
        self.postboxes.insert(postbox_id.clone(), postbox);
        postbox_id
    }

    /// `POST permission-access/postbox/{id}`, before the body is read.
    pub(crate) fn accept_push(
        &mut self,
        headers: &HeaderMap,
        postbox_id: String,
    ) -> Result<Accepted, Refusal> {
        let request = self.verify(headers)?;
        let contract = &request.contract;
        let postbox = self
            .postboxes
            .get(&postbox_id)
            .filter(|postbox| postbox.contract_id == contract.contract_id)
            .ok_or_else(|| {
                Refusal::new(
                    StatusCode::NOT_FOUND,
                    "InvalidPostbox",
                    "no postbox of this contract has this id",
                )
            })?;
        self.check_session(request.claim("session_key")?, &contract.contract_id)?;
        let delivered = self.grants.delivers(&request, &postbox_id)?;
        let envelope = Envelope::open(&request, &postbox.key)?;
        let used = (envelope.key.clone(), envelope.iv);
        if self.envelopes.insert(used, self.clock.now()).is_some() {
            return Err(Refusal::request("the key and IV were used before"));
        }
        Ok(Accepted {
            envelope,
            application_id: contract.application_id.clone(),
            contract_id: contract.contract_id.clone(),
            postbox_id,
            delivered,
            // A one-off push waits in the postbox until the user's client fetches it. This client does so at once.
            arrives: delivered || !contract.is_ongoing(),
        })
    }

    /// `POST permission-access/postbox/{id}`, after the body was read.
    pub(crate) fn finish_push(&mut self, push: Accepted, file: Opened) -> Value {
        if push.arrives {
            let item = Received {
                id: 0,
                application_id: push.application_id,
                contract_id: push.contract_id,
                postbox_id: push.postbox_id,
                name: file.name,
                size: file.content.size,
                sha256: file.content.sha256,
                descriptor: push.envelope.descriptor,
                arrived: self.now(),
                user_id: None,
                provider: None,
            };
            self.inbox.add(item, file.content.content);
        }
        let status = if push.delivered {
            "delivered"
        } else {
            "pending"
        };
        json!({"status": status, "expires": 7 * 24 * 60 * 60})
    }

    /// Whether a session lets a contract push.
    fn check_session(&self, key: &str, contract_id: &str) -> Result<(), Refusal> {
        match self.sessions.get(key) {
            Some(session) if session.contract_id != contract_id => {
                Err(Refusal::session("the session is another contract's"))
            }
            Some(session) if session.expiry <= self.now() => {
                Err(Refusal::session("the session has expired"))
            }
            Some(_) => Ok(()),
            None => Err(Refusal::session("the session is unknown")),
        }
    }
}
