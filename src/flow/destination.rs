use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::platform::{AccessToken, Platform, Upload};
use crate::postbox::{Delivery, Postbox, PostboxItem};
use crate::session::SessionData;

/// Where a flow pushes to: a postbox, and the session under which it does.
#[derive(Debug)]
pub struct Destination {
    postbox: Postbox,
    session: Mutex<SessionData>,
}

impl Destination {
    pub fn new(postbox: Postbox, session: SessionData) -> Self {
        Self {
            postbox,
            session: Mutex::new(session),
        }
    }

    pub fn postbox_id(&self) -> &str {
        &self.postbox.id
    }

    pub async fn push(
        &self,
        platform: &Platform,
        item: &PostboxItem,
        access_token: Option<&AccessToken>,
    ) -> Result<Delivery, Error> {
        let session_key = &self.session_key(platform).await?;
        platform
            .push(&Upload {
                item,
                postbox: &self.postbox,
                session_key,
                access_token,
            })
            .await
    }

    /// The key of a session that has not ended: a postbox outlives the session that made it.
    async fn session_key(&self, platform: &Platform) -> Result<SecretString, Error> {
        let mut session = self.session.lock().await;
        if session.has_expired(platform.client.now()) {
            *session = platform.establish_session(None).await?;
        }
        Ok(session.key.clone())
    }
}
