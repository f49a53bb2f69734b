use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use super::TokenRecord;
use super::user_record::{Data, UserRecord, is_none};
use crate::flow::grant::HoldsTokens;
use crate::flow::suspended::SuspendedError;
use crate::platform::client::Client;
use crate::platform::{RefreshToken, Tokens};
use crate::unix_time;

/// What a store knows of a user who is connected: [`SharedTokens::connection`](super::SharedTokens::connection).
pub struct Connection {
    tokens: Tokens,
    data: Data,
}

impl Connection {
    /// # Errors
    /// [`SuspendedError`] if this machine can't read the record.
    pub(super) fn read<G: HoldsTokens>(tokens: &TokenRecord) -> Result<Self, SuspendedError> {
        let UserRecord::<G> {
            payload, attached, ..
        } = UserRecord::from_json(&tokens.record)?;
        Ok(Self {
            tokens: G::tokens(&payload).clone(),
            data: attached,
        })
    }

    /// When the user's consent was received, by the platform's clock. `None` if an earlier version of this library has
    /// kept the tokens.
    ///
    /// On digi.me a consent usually lasts about thirty days from then, and a refresh does not lengthen it. The platform
    /// does not say when exactly it ends. So an application asks again some days before, while its pushes still work:
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use digime::store::Connection;
    ///
    /// /// Whether to ask the user for consent again. digi.me may change how long a consent lasts.
    /// fn has_to_be_asked_again(connection: &Connection) -> bool {
    ///     const AFTER: Duration = Duration::from_secs(25 * 24 * 60 * 60);
    ///     let age = connection.consented_at().and_then(|at| SystemTime::now().duration_since(at).ok());
    ///     age.is_none_or(|age| age > AFTER)
    /// }
    /// ```
    ///
    /// [`SharedTokens::connections`](crate::store::SharedTokens::connections) lists all users for that. A push after the end
    /// fails with [`Error::ConsentEnded`](crate::Error::ConsentEnded).
    #[must_use]
    pub fn consented_at(&self) -> Option<SystemTime> {
        let consented_at = Duration::from_millis(self.tokens.consented_at());
        (!consented_at.is_zero()).then(|| unix_time::time(consented_at))
    }

    /// When the consent ends, by the platform's clock. `None` if the platform does not say, as for a postbox.
    #[must_use]
    pub fn consent_expires_at(&self) -> Option<SystemTime> {
        self.tokens.consent_expires_at()
    }

    /// Why the consent has ended, if that is known: the platform's code. Only a connection whose consent can be renewed is kept
    /// after that; the tokens of a postbox are removed.
    #[must_use]
    pub fn ended(&self) -> Option<&str> {
        self.tokens.ended()
    }

    /// Whether the consent has ended: the platform has said so, or its time is over by the platform's clock, as `client` knows it.
    /// False if the platform says neither.
    #[must_use]
    pub fn has_ended(&self, client: &Client) -> bool {
        self.tokens.consent_has_ended(client)
    }

    /// When the access token expires. It is refreshed by the next push.
    #[must_use]
    pub fn access_token_expires_at(&self) -> SystemTime {
        self.tokens.access_token_expires_at()
    }

    /// Whether the refresh token was sent and the store does not know what came of it: a machine is refreshing at the
    /// moment, or it died while it did. If it stays so, pushes fail with
    /// [`Error::RefreshInDoubt`](crate::Error::RefreshInDoubt).
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.tokens.refresh, RefreshToken::Sent { .. })
    }

    /// The data that the application has attached; `None` if it has attached nothing.
    ///
    /// # Errors
    /// [`SuspendedError::Damaged`] if the data is of another type.
    pub fn data<D: DeserializeOwned>(&self) -> Result<Option<D>, SuspendedError> {
        if is_none(&self.data) {
            return Ok(None);
        }
        let data = serde_json::from_str(self.data.get());
        data.map(Some).map_err(|_| SuspendedError::Damaged)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("consented_at", &self.consented_at())
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}
