use std::sync::Arc;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::renewable::Renewable;
use crate::error::Error;
use crate::platform::error::{Operation, Refusal};
use crate::platform::session::SessionData;
use crate::platform::{AccessToken, Doubt, Platform, Upload};
use crate::postbox::{Delivery, Postbox, PostboxError, PostboxRecord, PreparedItem};

/// Where a flow pushes to: a postbox, and the session that the pushes use.
#[derive(Debug)]
pub(super) struct Destination {
    postbox: Postbox,
    session: Arc<Renewable<SessionData>>,
}

/// The data of a destination, for serde.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct DestinationRecord {
    postbox: PostboxRecord,
    session: SessionData,
}

impl DestinationRecord {
    pub(super) fn postbox_id(&self) -> &str {
        self.postbox.id()
    }
}

impl Destination {
    pub(super) fn new(postbox: Postbox, session: SessionData) -> Self {
        Self {
            postbox,
            session: Renewable::new(session, Operation::EstablishSession),
        }
    }

    pub(super) fn record(&self) -> DestinationRecord {
        DestinationRecord {
            postbox: self.postbox.record(),
            session: self.session.get(),
        }
    }

    pub(super) fn from_record(record: DestinationRecord) -> Result<Self, PostboxError> {
        let postbox = Postbox::from_record(record.postbox)?;
        Ok(Self::new(postbox, record.session))
    }

    pub(super) fn postbox_id(&self) -> &str {
        &self.postbox.id
    }

    /// Pushes under a session that has not ended. A postbox outlives the session that created it. If the platform says that
    /// the session is over, this establishes another and pushes the item again, once.
    pub(super) async fn push(
        &self,
        platform: &Platform,
        item: &Arc<PreparedItem>,
        access_token: Option<&AccessToken>,
        doubt: &Doubt,
    ) -> Result<Delivery, Error> {
        let now = platform.client.platform_now();
        let session = self
            .session(platform, |session| session.has_expired(now))
            .await?;
        let push = async |session: &SessionData| {
            let upload = Upload {
                item,
                postbox: &self.postbox,
                session_key: &session.key,
                access_token,
            };
            platform.push(&upload, doubt).await
        };
        match push(&session).await {
            Err(error)
                if item.is_readable() && error.refusal().is_some_and(Refusal::ends_the_session) =>
            {
                let is_over =
                    |known: &SessionData| known.key.expose_secret() == session.key.expose_secret();
                Ok(push(&self.session(platform, is_over).await?).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// The session. A stale one is replaced first, by one of the same scope.
    async fn session(
        &self,
        platform: &Platform,
        is_stale: impl FnOnce(&SessionData) -> bool,
    ) -> Result<SessionData, Error> {
        let platform = platform.clone();
        let establish = |stale: SessionData| async move {
            let established = platform.establish_session(stale.scope.as_ref()).await;
            established.map_err(Error::from)
        };
        self.session.fresh(is_stale, None, establish).await
    }
}
