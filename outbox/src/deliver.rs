use digime::PostboxItem;
use thiserror::Error;

use crate::Recipient;
use crate::rules::MOST_LOSSES;

/// How an entry reaches its person. [`ConnectedUsers`](crate::ConnectedUsers) is the usual one. A closure is one too:
///
/// ```
/// use digime::PostboxItem;
/// use digime_outbox::{DeliverError, Outbox, Recipient};
///
/// # async fn push(_: &str, _: PostboxItem) -> Result<(), digime::Error> { Ok(()) }
/// fn worker(outbox: &Outbox) {
///     let worker = outbox.worker(async |recipient: Recipient, item: PostboxItem| {
///         push(&recipient.user, item).await?;
///         Ok(())
///     });
/// }
/// ```
pub trait Deliver: Send + Sync + 'static {
    /// Brings an item to a person. The outbox may call it again for the same item, also after it was successful.
    ///
    /// # Errors
    /// [`DeliverError`] decides what becomes of the entry.
    fn deliver(
        &self,
        recipient: Recipient,
        item: PostboxItem,
    ) -> impl Future<Output = Result<(), DeliverError>> + Send;

    /// Delivers by this, or by another for entries whose contract this one does not know: for applications with two sorts of
    /// contracts, such as for postboxes and for the import of `digime-import`.
    ///
    /// ```
    /// use digime::store::{SharedTokens, Store};
    /// use digime::{Client, OngoingContract};
    /// use digime_outbox::{ConnectedUsers, Deliver, Outbox};
    ///
    /// fn worker<C, D>(outbox: &Outbox, tokens: SharedTokens<impl Store>, client: Client, one: C, other: D)
    /// where
    ///     C: OngoingContract + Send + Sync + 'static,
    ///     D: OngoingContract + Send + Sync + 'static,
    /// {
    ///     let first = ConnectedUsers::new(tokens.clone(), client.clone(), [one]);
    ///     let second = ConnectedUsers::new(tokens, client, [other]);
    ///     let worker = outbox.worker(first.or(second));
    /// }
    /// ```
    fn or<D: Deliver>(self, other: D) -> Or<Self, D>
    where
        Self: Sized,
    {
        Or(self, other)
    }
}

/// Delivers by the first that knows the contract: [`Deliver::or`].
#[derive(Debug)]
pub struct Or<A, B>(A, B);

impl<A: Deliver, B: Deliver> Deliver for Or<A, B> {
    async fn deliver(&self, recipient: Recipient, item: PostboxItem) -> Result<(), DeliverError> {
        match self.0.deliver(recipient.clone(), item.clone()).await {
            Err(DeliverError::UnknownContract) => self.1.deliver(recipient, item).await,
            delivered => delivered,
        }
    }
}

impl<F, D> Deliver for F
where
    F: Fn(Recipient, PostboxItem) -> D + Send + Sync + 'static,
    D: Future<Output = Result<(), DeliverError>> + Send,
{
    fn deliver(
        &self,
        recipient: Recipient,
        item: PostboxItem,
    ) -> impl Future<Output = Result<(), DeliverError>> + Send {
        self(recipient, item)
    }
}

/// Why an entry was not delivered.
///
/// An application makes its own error a [`digime::Error`] by `StoreError::failed(error)` if it may be transient, and by
/// [`digime::Error::extension`] if the entry is to be given up.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The user is not connected. The entry waits for consent.
    #[error("the user is not connected: the entry waits until the user has consented")]
    NotConnected,
    /// The worker does not have the entry's contract. The entry is tried again later, since somebody may add the contract.
    #[error("the worker has no contract with the entry's id: give it this contract too")]
    UnknownContract,
    /// The push failed.
    #[error(transparent)]
    Push(#[from] digime::Error),
    /// The closure panicked. The entry is tried again later, as if the configuration was wrong.
    #[error("the delivery panicked: see the panic's message")]
    Panicked,
    /// Ten workers in a row took the entry and recorded nothing. The entry is given up without another delivery.
    #[error(
        "its process was killed, or did not reach the database, {} times in a row while it was being sent, and it may be the cause: look at the log and the memory of the process, then `retry` sends it again",
        MOST_LOSSES
    )]
    Lost,
}
