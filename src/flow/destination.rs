use serde::{Deserialize, Serialize};

use super::renewable::Renewable;
use crate::callback::CallbackError;
use crate::error::Error;
use crate::platform::{AccessToken, Platform, Upload};
use crate::postbox::{Delivery, Postbox, PostboxItem, PostboxRecord};
use crate::session::SessionData;

/// Where a flow pushes to: a postbox, and the session under which it does.
#[derive(Debug)]
pub struct Destination {
    postbox: Postbox,
    session: Renewable<SessionData>,
}

/// A destination as serde data.
#[derive(Debug, Serialize, Deserialize)]
pub struct DestinationRecord {
    postbox: PostboxRecord,
    session: SessionData,
}

impl Destination {
    pub fn new(postbox: Postbox, session: SessionData) -> Self {
        Self {
            postbox,
            session: Renewable::new(session),
        }
    }

    pub fn record(&self) -> DestinationRecord {
        DestinationRecord {
            postbox: self.postbox.record(),
            session: self.session.get(),
        }
    }

    pub fn from_record(record: DestinationRecord) -> Result<Self, CallbackError> {
        let postbox = Postbox::from_record(record.postbox)?;
        Ok(Self::new(postbox, record.session))
    }

    pub fn postbox_id(&self) -> &str {
        &self.postbox.id
    }

    /// Pushes, under a session that has not ended: a postbox outlives the session that made it.
    pub async fn push(
        &self,
        platform: &Platform,
        item: &PostboxItem,
        access_token: Option<&AccessToken>,
    ) -> Result<Delivery, Error> {
        let session = self
            .session
            .fresh(
                |session| session.has_expired(platform.client.now()),
                |_| platform.establish_session(None),
            )
            .await?;
        platform
            .push(&Upload {
                item,
                postbox: &self.postbox,
                session_key: &session.key,
                access_token,
            })
            .await
    }
}
