use std::fmt;

use super::Flow;
use super::destination::Destination;
use crate::error::Error;
use crate::postbox::{Delivery, PostboxItem};

/// The state of a one-off contract's flow that has its postbox. Next: [`push`](Flow::push).
pub struct PostboxReady(Destination);

impl PostboxReady {
    pub(super) fn new(destination: Destination) -> Self {
        Self(destination)
    }
}

impl<C> Flow<C, PostboxReady> {
    /// Pushes an item into the user's postbox, sealed so that only the user's digi.me can open it. It waits there until
    /// the user opens digi.me ([`import_url`](crate::import_url) asks for that). Many pushes can go on at a time.
    ///
    /// What may pass is tried again, and the item read again for it. Where an answer was lost, the item may arrive
    /// twice.
    ///
    /// # Errors
    /// [`Error::Item`] when the item can't be read, [`Error::Request`] when the platform was not reached or refused;
    /// [`Error::may_have_taken_effect`] says whether it may have been delivered all the same.
    pub async fn push(&self, item: PostboxItem) -> Result<Delivery, Error> {
        self.state.0.push(&self.platform, &item, None).await
    }

    /// The postbox's id.
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.0.postbox_id()
    }
}

impl fmt::Debug for PostboxReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostboxReady")
            .field("postbox_id", &self.0.postbox_id())
            .finish_non_exhaustive()
    }
}
