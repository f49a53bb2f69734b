use std::fmt;
use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::sync::{Mutex, watch};

use super::Flow;
use super::destination::Destination;
use crate::error::Error;
use crate::platform::{AccessToken, Platform, Tokens};
use crate::postbox::{Delivery, DeliveryStatus, PostboxItem};

/// The state of an ongoing contract's flow that has a postbox and an access token. Next: [`push`](Flow::push).
pub struct Authorized {
    destination: Destination,
    tokens: watch::Sender<Tokens>,
    /// Held by the one that refreshes; the others wait for what it brings.
    refreshing: Mutex<()>,
}

impl Authorized {
    pub(super) fn new(destination: Destination, tokens: Tokens) -> Self {
        Self {
            destination,
            tokens: watch::Sender::new(tokens),
            refreshing: Mutex::new(()),
        }
    }

    /// An access token that has not expired, refreshed where it has.
    async fn current_token(&self, platform: &Platform) -> Result<AccessToken, Error> {
        let (token, expired) = {
            let tokens = self.tokens.borrow();
            (
                tokens.access_token(),
                tokens.have_expired(platform.client.now()),
            )
        };
        if expired {
            self.replace(&token, platform).await
        } else {
            Ok(token)
        }
    }

    /// A token in place of a stale one: the one that somebody else has got meanwhile, or a new one.
    async fn replace(
        &self,
        stale: &AccessToken,
        platform: &Platform,
    ) -> Result<AccessToken, Error> {
        let _refreshing = self.refreshing.lock().await;
        let (current, refresh_token) = {
            let tokens = self.tokens.borrow();
            (tokens.access_token(), tokens.refresh_token.clone())
        };
        if verify_slices_are_equal(current.secret().as_bytes(), stale.secret().as_bytes()).is_err()
        {
            return Ok(current);
        }
        let tokens = platform.refresh(&refresh_token).await?;
        let token = tokens.access_token();
        self.tokens.send_replace(tokens);
        Ok(token)
    }
}

impl<C> Flow<C, Authorized> {
    /// Pushes an item into the user's digi.me, sealed so that only the user can open it. Many pushes can go on at a
    /// time; an access token that has expired is refreshed, once for all of them.
    ///
    /// What may pass is tried again, and the item read again for it. Where an answer was lost, the item may arrive
    /// twice.
    ///
    /// # Errors
    /// [`Error::Item`] when the item can't be read, [`Error::Request`] when the platform was not reached or refused;
    /// [`Error::may_have_taken_effect`] says whether it may have been delivered all the same. [`Error::ConsentEnded`]
    /// when the user has to consent again.
    pub async fn push(&self, item: PostboxItem) -> Result<Delivery, Error> {
        let Self {
            platform, state, ..
        } = self;
        let token = state.current_token(platform).await?;
        let delivery = state
            .destination
            .push(platform, &item, Some(&token))
            .await?;
        if delivery.status() == DeliveryStatus::Delivered {
            return Ok(delivery);
        }
        // With an access token in the request, pending means that the token had expired.
        let token = state.replace(&token, platform).await?;
        state.destination.push(platform, &item, Some(&token)).await
    }

    /// The access token as it is now; a push may refresh it.
    #[must_use]
    pub fn access_token(&self) -> AccessToken {
        self.state.tokens.borrow().access_token()
    }

    /// When the access token expires.
    #[must_use]
    pub fn access_token_expires_at(&self) -> SystemTime {
        self.state.tokens.borrow().expires_at()
    }

    /// Refreshes the access token now (RFC 6749, section 6). A push does it by itself when it must.
    ///
    /// # Errors
    /// [`Error::ConsentEnded`] when the user has to consent again, [`Error::Request`] when the platform was not reached
    /// or refused.
    pub async fn refresh(&self) -> Result<AccessToken, Error> {
        self.state
            .replace(&self.access_token(), &self.platform)
            .await
    }

    /// The postbox's id.
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.destination.postbox_id()
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("postbox_id", &self.destination.postbox_id())
            .field(
                "access_token_expires_at",
                &self.tokens.borrow().expires_at(),
            )
            .finish_non_exhaustive()
    }
}
