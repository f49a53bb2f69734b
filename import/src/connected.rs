use std::fmt;
use std::time::SystemTime;

use digime::error::SuspendedError;
use digime::extend::ExtensionState;
use digime::suspended::{Durable, Resuming};
use digime::tokens::{Grant, HoldsTokens, Tokens};
use digime::{AccessToken, Error};
use serde::{Deserialize, Serialize};

use crate::tokens::ImportTokens;
use crate::{Import, ReadingSession};

/// The state of a flow whose person has consented: it has an access token, and pushes into the person's library.
///
/// What can be done next, in any order and as often as wanted:
///
/// - [`push`](crate::ImportFlow::push) an item, or [`push_many`](crate::ImportFlow::push_many). The access token is refreshed when
///   needed.
/// - [`reauthorize`](crate::ImportFlow::reauthorize) before the consent ends, which
///   [`consent_expires_at`](Self::consent_expires_at) says.
/// - Keep the flow for later: suspend it, or share its tokens between machines with
///   [`SharedTokens`](digime::store::SharedTokens).
#[must_use = "the next step is `connected.push(item).await?`"]
pub struct Connected {
    grant: Grant,
    session: ReadingSession,
    account_reference: Option<String>,
    is_ending: bool,
}

impl Connected {
    pub(crate) fn new(
        tokens: Tokens,
        session: ReadingSession,
        account_reference: Option<String>,
    ) -> Self {
        Self {
            grant: Grant::new::<ImportTokens>(tokens),
            session,
            account_reference,
            is_ending: false,
        }
    }

    /// When the consent ends, by the platform's clock: then the refresh token expires.
    #[must_use]
    pub fn consent_expires_at(&self) -> Option<SystemTime> {
        self.grant.tokens().consent_expires_at()
    }

    /// When the access token expires. A push refreshes it.
    #[must_use]
    pub fn access_token_expires_at(&self) -> SystemTime {
        self.grant.tokens().access_token_expires_at()
    }

    /// The current access token.
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        self.grant.access_token()
    }

    /// The platform's id of the person, if the platform has said it.
    #[must_use]
    pub fn person_id(&self) -> Option<String> {
        self.grant.tokens().user_id().map(str::to_owned)
    }

    /// The platform's id of the consent, if the platform has said it.
    #[must_use]
    pub fn consent_id(&self) -> Option<String> {
        self.grant.tokens().consent_id().map(str::to_owned)
    }

    /// The reference of the account that the person has added, if the callback had one.
    #[must_use]
    pub fn account_reference(&self) -> Option<&str> {
        self.account_reference.as_deref()
    }

    /// The session that came with the last authorization, for reading.
    #[must_use]
    pub fn session(&self) -> &ReadingSession {
        &self.session
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// # Errors
    /// [`Error::ConsentEnded`] if the application is deleting the person's data.
    pub(crate) fn check_not_ending(&self) -> Result<(), Error> {
        if self.is_ending {
            let code = "the application is ending the connection".to_owned();
            return Err(Error::ConsentEnded { code });
        }
        Ok(())
    }
}

impl ExtensionState for Connected {}

/// What is kept of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in traits")]
pub struct ConnectedRecord {
    tokens: Tokens,
    session: ReadingSession,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_reference: Option<String>,
    /// Whether the application is deleting the person's data at the platform. Nothing is pushed from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_ending: bool,
}

impl Durable for Connected {
    const NAME: &str = "digime_import::Connected";
    type Kind = Import;
    type Record = ConnectedRecord;

    fn record(&self) -> ConnectedRecord {
        ConnectedRecord {
            tokens: self.grant.tokens(),
            session: self.session.clone(),
            account_reference: self.account_reference.clone(),
            is_ending: self.is_ending,
        }
    }

    fn from_record(record: ConnectedRecord, _: &Resuming<'_>) -> Result<Self, SuspendedError> {
        Ok(Self {
            is_ending: record.is_ending,
            ..Self::new(record.tokens, record.session, record.account_reference)
        })
    }
}

impl HoldsTokens for Connected {
    type Answer = ImportTokens;

    const IS_RENEWED: bool = true;

    fn grant(&self) -> &Grant {
        &self.grant
    }

    fn grant_mut(&mut self) -> &mut Grant {
        &mut self.grant
    }

    fn tokens(record: &ConnectedRecord) -> &Tokens {
        &record.tokens
    }

    fn tokens_mut(record: &mut ConnectedRecord) -> &mut Tokens {
        &mut record.tokens
    }

    fn consent(record: &ConnectedRecord) -> &str {
        record.tokens.consent_id().unwrap_or_default()
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
