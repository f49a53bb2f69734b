//! `POST permission-access/session`.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Platform;
use super::client::Client;
use super::error::{Operation, PlatformError};
use super::request::Request;

use crate::link::SDK_VERSION;
use crate::scope::Scope;
use crate::{secret, unix_time};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionRequest<'a> {
    app_id: &'a str,
    contract_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a Scope>,
    sdk_agent: serde_json::Value,
    accept: serde_json::Value,
}

/// The answer. It is not read as [`SessionData`], since the platform must not set the scope.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionAnswer {
    session_key: SecretString,
    session_exchange_token: SecretString,
    /// Unix time in milliseconds.
    expiry: u64,
}

/// A session, as the platform describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct SessionData {
    #[serde(rename = "sessionKey", serialize_with = "secret::expose")]
    pub key: SecretString,
    #[serde(rename = "sessionExchangeToken", serialize_with = "secret::expose")]
    pub exchange_token: SecretString,
    /// Unix time in milliseconds.
    pub expiry: u64,
    /// The limits of the session. A session that replaces it must have the same. The platform does not return them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// When it ends by this machine's clock, in Unix milliseconds, if this process established it. Later estimates of the
    /// platform's time do not change this.
    #[serde(skip)]
    pub ends: Option<u64>,
}

impl SessionData {
    pub fn expires_at(&self) -> SystemTime {
        unix_time::time(Duration::from_millis(self.expiry))
    }

    /// Whether it has ended.
    pub fn has_ended(&self, client: &Client) -> bool {
        self.ends(client) <= client.now()
    }

    /// How much of it is left.
    pub fn time_left(&self, client: &Client) -> Duration {
        Duration::from_millis(self.ends(client).saturating_sub(client.now()))
    }

    fn ends(&self, client: &Client) -> u64 {
        self.ends.unwrap_or_else(|| client.own_time(self.expiry))
    }

    /// Whether it has expired by `now`, in Unix milliseconds.
    pub fn has_expired(&self, now: u64) -> bool {
        self.expiry <= now
    }
}

impl Platform {
    /// Establishes a session. A retry after a lost answer may establish a second one, which expires unused.
    pub async fn establish_session(
        &self,
        scope: Option<&Scope>,
    ) -> Result<SessionData, PlatformError> {
        let body = SessionRequest {
            app_id: self.credentials.application_id.as_str(),
            contract_id: self.credentials.contract_id.as_str(),
            scope,
            sdk_agent: json!({
                "name": "digime-rust",
                "version": SDK_VERSION,
                "meta": {"os": std::env::consts::OS, "arch": std::env::consts::ARCH},
            }),
            accept: json!({"compression": "gzip"}),
        };
        let request = Request::post(
            ["permission-access", "session"],
            Operation::EstablishSession,
        )
        .json(&body)
        .without_token();
        let answer = self.request(&request).await?;
        let session: SessionAnswer = answer.json()?;
        Ok(SessionData {
            key: session.session_key,
            exchange_token: session.session_exchange_token,
            expiry: session.expiry,
            scope: scope.cloned(),
            ends: Some(self.client.end_of_new(session.expiry, answer.came_at)),
        })
    }
}
