use std::fmt;

use super::contract::Once;
use super::destination::{Destination, DestinationRecord};
use super::doubt::settle;
use super::trace::Trace;
use super::{Flow, PushMany};
use crate::error::Error;
use crate::flow::suspended::{Durable, Resuming, Suspended, SuspendedError};
use crate::platform::Doubt;
use crate::postbox::{Delivery, PostboxItem};

/// The state of a one-off contract's flow that has its postbox.
///
/// What can be done next, in any order and as often as wanted:
///
/// - [`push`](Flow::push) an item, or [`push_many`](Flow::push_many).
/// - [`suspend`](Flow::suspend) the flow, to push later or from another process.
///
/// ```
/// # use digime::{Error, Flow, OnceContract, PostboxItem, PostboxReady};
/// # async fn run<C: OnceContract>(ready: Flow<C, PostboxReady>) -> Result<(), Error> {
/// let delivery = ready.push(PostboxItem::file("result.pdf")).await?;
/// println!("then open {}", digime::import_url());
/// # Ok(())
/// # }
/// ```
#[must_use = "the next step is `ready.push(item).await?`"]
pub struct PostboxReady(Destination);

impl PostboxReady {
    pub(super) fn new(destination: Destination) -> Self {
        Self(destination)
    }
}

impl<C> Flow<C, PostboxReady> {
    /// Pushes an item into the user's postbox, encrypted so that only the user's digi.me can open it. It waits there until
    /// the user opens digi.me; the link [`import_url`](crate::import_url) asks for that. Many pushes can run at once.
    ///
    /// Each attempt reads and seals the item again. A transient failure is retried if the item can be read again. If the
    /// answer to an attempt was lost, the item may arrive twice.
    ///
    /// ```
    /// # use digime::{Error, Flow, OnceContract, PostboxItem, PostboxReady};
    /// # async fn run<C: OnceContract>(ready: Flow<C, PostboxReady>) -> Result<(), Error> {
    /// let delivery = ready.push(PostboxItem::file("result.pdf")).await?;
    /// println!("{:?}", delivery.status());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Item`] if the item can't be read or sent.
    /// - [`Error::Request`] if the platform was not reached or refused.
    /// - [`Error::EarlierAttempt`] if the last attempt failed without effect, but an earlier one may have delivered the item.
    ///
    /// [`Error::may_have_taken_effect`] says whether the item may have been delivered.
    #[doc(alias = "pushDataToPostbox")]
    pub async fn push(&self, item: PostboxItem) -> Result<Delivery, Error> {
        let trace = Trace::new(&self.platform, PostboxReady::NAME, "push");
        let pushing = async {
            let item = item.prepare()?;
            let doubt = Doubt::default();
            let delivery = self.state.0.push(&self.platform, &item, None, &doubt);
            settle(&doubt, delivery.await)
        };
        trace.of(pushing).await
    }

    /// Pushes many items, some at a time, and yields the results as they come.
    ///
    /// ```
    /// # use digime::{Flow, OnceContract, PostboxItem, PostboxReady};
    /// use futures_util::StreamExt;
    ///
    /// # async fn run<C: OnceContract>(ready: Flow<C, PostboxReady>) {
    /// let items = ["result.pdf", "letter.pdf"].map(PostboxItem::file);
    /// let mut results = ready.push_many(items);
    /// while let Some(pushed) = results.next().await {
    ///     println!("{pushed:?}");
    /// }
    /// # }
    /// ```
    pub fn push_many<'a>(
        &'a self,
        items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'a>,
    ) -> PushMany<'a> {
        PushMany::new(items, |item| Box::pin(self.push(item)))
    }

    /// Copies the flow as serde data: its postbox and session, to be resumed in another process. Many flows may push to one
    /// postbox.
    ///
    /// ```
    /// # use digime::{Flow, PostboxReady};
    /// # fn run<C>(ready: &Flow<C, PostboxReady>) -> serde_json::Result<()> {
    /// let secret_json = serde_json::to_string(&ready.suspend())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn suspend(&self) -> Suspended<C, PostboxReady> {
        Suspended::new(&self.platform.credentials, self.state.record())
    }

    /// The id of the postbox.
    ///
    /// ```
    /// # use digime::{Flow, PostboxReady};
    /// # fn run<C>(ready: &Flow<C, PostboxReady>) {
    /// println!("pushing to {}", ready.postbox_id());
    /// # }
    /// ```
    #[must_use]
    pub fn postbox_id(&self) -> &str {
        self.state.0.postbox_id()
    }
}

#[diagnostic::do_not_recommend]
impl Durable for PostboxReady {
    const NAME: &str = "PostboxReady";
    type Kind = Once;
    type Record = DestinationRecord;

    fn record(&self) -> DestinationRecord {
        self.0.record()
    }

    fn from_record(record: DestinationRecord, _: &Resuming<'_>) -> Result<Self, SuspendedError> {
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
