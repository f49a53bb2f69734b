//! The user and the user's digi.me client: it opens a deep link, and returns the URL that is called back.

use std::sync::Arc;

use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::platform::{Platform, Postbox, now, random};

/// What the user decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// To consent.
    Approve,
    /// To decline.
    Cancel,
    /// Nothing, because the client fails.
    Error,
}

/// Why a user's client can't open a link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the user's client can't open the link: {0}")]
pub struct BadLink(String);

impl BadLink {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// A parsed and checked link.
pub(crate) struct Opened {
    callback_url: Url,
    session_key: String,
    preauthorization_code: Option<String>,
}

impl Opened {
    /// Reads `digime://postbox/create?…`.
    pub(crate) fn read(link: &str) -> Result<Self, BadLink> {
        let link = Url::parse(link).map_err(|_| BadLink::new("it is not a URL"))?;
        if (link.scheme(), link.host_str(), link.path()) != ("digime", Some("postbox"), "/create") {
            return Err(BadLink::new("it is not `digime://postbox/create`"));
        }
        let parameter = |name: &str| {
            let mut values = link
                .query_pairs()
                .filter(|(own, _)| own == name)
                .map(|(_, value)| value.into_owned());
            match (values.next(), values.next()) {
                (Some(value), None) if !value.is_empty() => Ok(Some(value)),
                (None, _) => Ok(None),
                _ => Err(BadLink(format!("its `{name}` is empty or repeated"))),
            }
        };
        let required =
            |name: &str| parameter(name)?.ok_or_else(|| BadLink(format!("it has no `{name}`")));
        required("appId")?;
        required("sdkVersion")?;
        let callback_url = required("callbackUrl")?;
        Ok(Self {
            callback_url: Url::parse(&callback_url)
                .map_err(|_| BadLink::new("its `callbackUrl` is not a URL"))?,
            session_key: required("sessionKey")?,
            preauthorization_code: parameter("preauthorizationCode")?,
        })
    }

    /// Checks the link with the platform, as the client does before it shows the user anything.
    pub(crate) fn check(&self, platform: &Platform) -> Result<(), BadLink> {
        let session = platform
            .sessions
            .get(&self.session_key)
            .ok_or_else(|| BadLink::new("its session is unknown"))?;
        if session.expiry <= now() {
            return Err(BadLink::new("its session has expired"));
        }
        if session.used {
            return Err(BadLink::new("its session has created a postbox already"));
        }
        let contract = platform
            .contracts
            .by_contract_id(&session.contract_id)
            .ok_or_else(|| BadLink::new("its contract is unknown"))?;
        match (&self.preauthorization_code, contract.ongoing) {
            (None, true) => Err(BadLink::new(
                "an ongoing contract needs a `preauthorizationCode`",
            )),
            (Some(_), false) => Err(BadLink::new(
                "a one-off contract has no `preauthorizationCode`",
            )),
            (None, false) if !extends(&self.callback_url, &contract.redirect_uri) => Err(
                BadLink::new("its `callbackUrl` is not registered for the contract"),
            ),
            (None, false) => Ok(()),
            (Some(code), true) => match platform.preauthorizations.get(code) {
                None => Err(BadLink::new("its `preauthorizationCode` is unknown")),
                Some(known) if known.used => {
                    Err(BadLink::new("its `preauthorizationCode` was used before"))
                }
                Some(known) if known.grant.contract_id != contract.contract_id => Err(
                    BadLink::new("its `preauthorizationCode` is another contract's"),
                ),
                Some(known) if Url::parse(&known.redirect_uri) != Ok(self.callback_url.clone()) => {
                    Err(BadLink::new(
                        "its `callbackUrl` is not the one that was authorized",
                    ))
                }
                Some(_) => Ok(()),
            },
        }
    }

    /// Creates the postbox and returns the URL that is called back.
    pub(crate) fn approve(
        &self,
        platform: &mut Platform,
        key: OaepPrivateDecryptingKey,
        public_key: &str,
    ) -> Result<Url, BadLink> {
        let session = platform
            .sessions
            .get_mut(&self.session_key)
            .ok_or_else(|| BadLink::new("its session is unknown"))?;
        session.used = true;
        let postbox_id = random();
        let postbox = Postbox {
            contract_id: session.contract_id.clone(),
            key: Arc::new(key),
        };
        platform.postboxes.insert(postbox_id.clone(), postbox);
        // Both results mean success, and an application has to accept both.
        let result = if self.preauthorization_code.is_some() {
            "SUCCESS"
        } else {
            "POSTBOX_READY"
        };
        let mut callback = self.callback(result, platform);
        callback
            .query_pairs_mut()
            .append_pair("postboxId", &postbox_id)
            .append_pair("publicKey", public_key);
        let code = self
            .preauthorization_code
            .as_ref()
            .and_then(|code| platform.issue_code(code, &postbox_id));
        if let Some(code) = code {
            callback.query_pairs_mut().append_pair("code", &code);
        }
        Ok(callback)
    }

    /// The URL that is called back, with a result and the state of the authorization.
    pub(crate) fn callback(&self, result: &str, platform: &Platform) -> Url {
        let mut callback = self.callback_url.clone();
        callback.query_pairs_mut().append_pair("result", result);
        let state = self
            .preauthorization_code
            .as_ref()
            .and_then(|code| platform.preauthorizations.get(code)?.state.as_ref());
        if let Some(state) = state {
            callback.query_pairs_mut().append_pair("state", state);
        }
        callback
    }
}

/// Whether a callback URL is a redirect URI, possibly with additions to its query.
fn extends(callback_url: &Url, redirect_uri: &str) -> bool {
    let Ok(redirect_uri) = Url::parse(redirect_uri) else {
        return false;
    };
    let without_query = |url: &Url| {
        let mut url = url.clone();
        url.set_query(None);
        url
    };
    let own: Vec<_> = callback_url.query_pairs().collect();
    without_query(callback_url) == without_query(&redirect_uri)
        && redirect_uri
            .query_pairs()
            .all(|parameter| own.contains(&parameter))
}
