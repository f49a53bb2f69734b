use std::fmt;

use super::contract::Once;
use super::destination::{Destination, DestinationRecord};
use super::doubt::settle;
use super::trace::Trace;
use super::{Flow, PushMany};
use crate::error::Error;
use crate::flow::suspended::{Durable, Record, Suspended, SuspendedError};
use crate::platform::{Doubt, Platform};
use crate::postbox::{Delivery, PostboxItem};

/// The state of a one-off contract's flow that has its postbox. Next: [`push`](Flow::push).
#[must_use = "the next step is `ready.push(item).await?`"]
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
        let trace = Trace::new(&self.platform, PostboxReady::NAME, "push");
        let pushing = async {
            let doubt = Doubt::default();
            let delivery = self.state.0.push(&self.platform, &item, None, &doubt);
            settle(&doubt, delivery.await)
        };
        trace.of(pushing).await
    }

    /// Pushes many items, some at a time, and gives the results as they come.
    pub fn push_many<'a>(
        &'a self,
        items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'a>,
    ) -> PushMany<'a> {
        PushMany::new(items, |item| Box::pin(self.push(item)))
    }

    /// The flow as serde data: its postbox and session, to go on with in another process. Many may push to one postbox.
    pub fn suspend(&self) -> Suspended<C, PostboxReady> {
        Suspended::new(&self.platform.credentials, self.state.record())
    }

    /// The postbox's id.
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.0.postbox_id()
    }
}

#[diagnostic::do_not_recommend]
impl Durable for PostboxReady {}

impl Record for PostboxReady {
    const NAME: &str = "PostboxReady";
    type Kind = Once;
    type Record = DestinationRecord;

    fn record(&self) -> DestinationRecord {
        self.0.record()
    }

    fn from_record(record: DestinationRecord, _: &Platform) -> Result<Self, SuspendedError> {
        let destination = Destination::from_record(record);
        destination.map(Self).map_err(|_| SuspendedError::Damaged)
    }
}

impl fmt::Debug for PostboxReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostboxReady")
            .field("postbox_id", &self.0.postbox_id())
            .finish_non_exhaustive()
    }
}
