//! The user and the user's digi.me client: it opens a deep link, and returns the URL that is called back.

use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use serde_json::Value;
use url::Url;

use crate::bad_link::BadLink;
use crate::contract::{Contract, Kind};
use crate::platform::{Platform, Session};

/// A link, or the address of the guest's page, as the user's client reads it.
pub(crate) struct Opened {
    callback_url: Url,
    session: SessionName,
    preauthorization_code: Option<String>,
    /// The application's id, if the link has it.
    application_id: Option<String>,
}

/// By what a session is found.
enum SessionName {
    Key(String),
    ExchangeToken(String),
}

/// What the user is asked, after a link was checked.
pub(crate) struct Asked {
    pub contract: Contract,
    pub scope: Value,
    pub callback_url: Url,
}

impl Opened {
    /// Reads `digime://postbox/create?…`.
    pub(crate) fn read(link: &str) -> Result<Self, BadLink> {
        let link = Url::parse(link.trim()).map_err(|_| BadLink::new("it is not a URL"))?;
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
                _ => Err(BadLink::new(format!("its `{name}` is empty or repeated"))),
            }
        };
        let required = |name: &str| {
            parameter(name)?.ok_or_else(|| BadLink::new(format!("it has no `{name}`")))
        };
        required("sdkVersion")?;
        Ok(Self {
            application_id: Some(required("appId")?),
            callback_url: callback_url(&required("callbackUrl")?)?,
            session: SessionName::Key(required("sessionKey")?),
            preauthorization_code: parameter("preauthorizationCode")?,
        })
    }

    /// Reads the parameters of the page on which a guest consents in a browser.
    pub(crate) fn guest(session_exchange_token: &str, callback: &str) -> Result<Self, BadLink> {
        Ok(Self {
            application_id: None,
            callback_url: callback_url(callback)?,
            session: SessionName::ExchangeToken(session_exchange_token.to_owned()),
            preauthorization_code: None,
        })
    }

    /// Checks the link with the platform, as the client does before it shows the user anything.
    pub(crate) fn check(&self, platform: &Platform) -> Result<Asked, BadLink> {
        let session = self
            .session(platform)
            .ok_or_else(|| BadLink::new("its session is unknown"))?;
        if session.used {
            return Err(BadLink::new(
                "it was used before: its session has created a postbox already",
            ));
        }
        if session.expiry <= platform.now() {
            return Err(BadLink::new("its session has expired"));
        }
        let contract = platform
            .contracts
            .by_contract_id(&session.contract_id)
            .ok_or_else(|| BadLink::new("its contract is unknown"))?;
        if let Some(id) = &self.application_id
            && *id != contract.application_id
        {
            return Err(BadLink::new("its `appId` is not its session's application"));
        }
        self.check_callback(platform, contract)?;
        Ok(Asked {
            contract: contract.clone(),
            scope: session.scope.clone(),
            callback_url: self.callback_url.clone(),
        })
    }

    fn check_callback(&self, platform: &Platform, contract: &Contract) -> Result<(), BadLink> {
        match (&self.preauthorization_code, contract.kind) {
            (_, Kind::Import) => Err(BadLink::new(
                "its contract has no postboxes: consent is given in the onboarding app",
            )),
            (None, Kind::Ongoing) if self.application_id.is_none() => Err(BadLink::new(
                "an ongoing contract needs the digi.me client: guests consent to one-off contracts only",
            )),
            (None, Kind::Ongoing) => Err(BadLink::new(
                "an ongoing contract needs a `preauthorizationCode`",
            )),
            (Some(_), Kind::Once) => Err(BadLink::new(
                "a one-off contract has no `preauthorizationCode`",
            )),
            (None, Kind::Once) => {
                let mut registered = contract.redirect_uris.iter();
                if registered.any(|uri| extends(&self.callback_url, uri)) {
                    Ok(())
                } else {
                    Err(BadLink::new(
                        "its `callbackUrl` is not registered for the contract",
                    ))
                }
            }
            (Some(code), Kind::Ongoing) => match platform.preauthorizations.get(code) {
                None => Err(BadLink::new("its `preauthorizationCode` is unknown")),
                Some(known) if known.contract_id != contract.contract_id => Err(BadLink::new(
                    "its `preauthorizationCode` is another contract's",
                )),
                Some(known) if known.used => {
                    Err(BadLink::new("its `preauthorizationCode` was used before"))
                }
                Some(known) if Url::parse(&known.redirect_uri) != Ok(self.callback_url.clone()) => {
                    Err(BadLink::new(
                        "its `callbackUrl` is not the one that was authorized",
                    ))
                }
                Some(_) => Ok(()),
            },
        }
    }

    fn session<'a>(&self, platform: &'a Platform) -> Option<&'a Session> {
        match &self.session {
            SessionName::Key(key) => platform.sessions.get(key),
            SessionName::ExchangeToken(token) => platform
                .sessions
                .values()
                .find(|session| session.exchange_token == *token),
        }
    }

    fn use_session(&self, platform: &mut Platform) {
        let session = match &self.session {
            SessionName::Key(key) => platform.sessions.get_mut(key),
            SessionName::ExchangeToken(token) => platform
                .sessions
                .values_mut()
                .find(|session| session.exchange_token == *token),
        };
        if let Some(session) = session {
            session.used = true;
        }
    }

    /// Checks the link again, creates the postbox and returns the URL that is called back.
    pub(crate) fn approve(
        &self,
        platform: &mut Platform,
        key: OaepPrivateDecryptingKey,
        public_key: &str,
    ) -> Result<Url, BadLink> {
        let contract_id = self.check(platform)?.contract.contract_id;
        self.use_session(platform);
        let postbox_id = platform.create_postbox(&contract_id, key);
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
            .and_then(|code| platform.consent(code, &postbox_id));
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

fn callback_url(text: &str) -> Result<Url, BadLink> {
    Url::parse(text).map_err(|_| BadLink::new("its `callbackUrl` is not a URL"))
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
