//! The digi.me platform over HTTP, for one contract. Each endpoint has a file.
//!
//! This module knows nothing of flows. Each attempt at a request gets a new token, so that no nonce is sent twice.

mod attempts;
pub(crate) mod client;
mod connections;
pub(crate) mod error;
mod exchanges;
pub(crate) mod http;
pub(crate) mod jws;
pub(crate) mod keys;
mod oauth;
pub(crate) mod platform_token;
mod push;
pub(crate) mod redaction;
pub(crate) mod request;
mod request_token;
#[cfg(test)]
pub(crate) mod scripted;
pub(crate) mod session;
mod stall;
pub(crate) mod transport;

use std::sync::Arc;

pub(crate) use attempts::Doubt;
use client::Client;
pub(crate) use connections::Connections;
pub(crate) use exchanges::Exchanges;
pub(crate) use keys::KeyCache;
pub use oauth::{AccessToken, IssuedTokens, TokenAnswer, Tokens};
pub(crate) use oauth::{PostboxTokens, RefreshToken};
pub(crate) use push::Upload;

use crate::contract::Credentials;

/// The platform, for one contract.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct Platform {
    pub client: Client,
    pub credentials: Arc<Credentials>,
}

impl Platform {
    pub fn new(credentials: Arc<Credentials>, client: &Client) -> Self {
        Self {
            client: client.clone(),
            credentials,
        }
    }
}
