use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};

use super::grant::HoldsTokens;
use super::{Authorized, Flow};
use crate::error::Error;
use crate::postbox::{Delivery, PostboxItem, Progress};

/// How many items are pushed concurrently by default.
const DEFAULT_CONCURRENCY: usize = 4;

/// A state whose flow pushes items: [`Authorized`](crate::Authorized), or a state of a library. It is a bound for code that pushes
/// in any of them, such as an outbox.
///
/// ```
/// use digime::push::Pushes;
/// use digime::store::{SharedTokens, Store};
/// use digime::tokens::TokenContract;
/// use digime::{Client, Error, PostboxItem};
///
/// async fn push<C: TokenContract<Granted: Pushes> + Sync + 'static>(
///     tokens: &SharedTokens<impl Store>,
///     contract: &C,
///     client: &Client,
///     item: PostboxItem,
/// ) -> Result<bool, Error> {
///     let Some(flow) = tokens.find("customer-42", contract, client).await? else {
///         return Ok(false);
///     };
///     Pushes::push(&flow, item).await?;
///     Ok(true)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be a state whose flow pushes",
    label = "only a flow in a state that is `Pushes` can be pushed with here",
    note = "generic code says that its flows push: `C: TokenContract<Granted: Pushes>`"
)]
pub trait Pushes: HoldsTokens {
    /// Pushes an item.
    fn push<C>(flow: &Flow<C, Self>, item: PostboxItem) -> BoxFuture<'_, Result<Delivery, Error>>;
}

impl Pushes for Authorized {
    fn push<C>(flow: &Flow<C, Self>, item: PostboxItem) -> BoxFuture<'_, Result<Delivery, Error>> {
        Box::pin(flow.push(item))
    }
}

/// Concurrent pushes of many items: [`Flow::push_many`](crate::Flow::push_many). It is a stream of results, in the order in
/// which they come, and makes progress only while it is polled.
///
/// One failure does not stop the others, unless [asked for](PushMany::stop_on_failure). Dropping the stream cancels pushes
/// in flight. Only a refresh of the tokens continues, because the new tokens would be lost.
///
/// ```
/// use digime::{Authorized, Flow, PostboxItem};
///
/// async fn push_folder<C>(authorized: &Flow<C, Authorized>, folder: &std::path::Path) -> std::io::Result<()> {
///     let files = std::fs::read_dir(folder)?.flatten().map(|file| PostboxItem::file(file.path()));
///     let mut pushes = authorized.push_many(files).concurrency(8).on_progress(|progress| {
///         println!("{} bytes in total", progress.sent);
///     });
///     while let Some(pushed) = pushes.next().await {
///         match pushed.result {
///             Ok(delivery) => println!("{}: {:?}", pushed.index, delivery.status()),
///             Err(error) => eprintln!("{}: {}", pushed.index, error.report()),
///         }
///     }
///     Ok(())
/// }
/// ```
#[must_use = "nothing is pushed until the next result is asked for: `pushes.next().await`"]
pub struct PushMany<'a> {
    push: Box<dyn Fn(PostboxItem) -> Push<'a> + Send + 'a>,
    waiting: Box<dyn Iterator<Item = (usize, PostboxItem)> + Send + 'a>,
    running: FuturesUnordered<BoxFuture<'a, Pushed>>,
    concurrency: usize,
    stops_on_failure: bool,
    on_progress: Option<OnManyProgress>,
    /// How many bytes of all items have been handed to the network.
    sent: Arc<AtomicU64>,
}

type Push<'a> = BoxFuture<'a, Result<Delivery, Error>>;

type OnManyProgress = Arc<dyn Fn(ManyProgress) + Send + Sync>;

/// The result of one of many pushes.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the push may have failed: look at its `result`"]
pub struct Pushed {
    /// The item's position in the input, from 0.
    pub index: usize,
    /// The result that [`push`](crate::Flow::push) would give.
    pub result: Result<Delivery, Error>,
}

/// How far the pushes of many items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManyProgress {
    /// The position in the input, from 0, of the item that has moved.
    pub index: usize,
    /// How far that item is.
    pub item: Progress,
    /// How many bytes of all items have been handed to the network. Those of failed attempts don't count.
    pub sent: u64,
}

impl<'a> PushMany<'a> {
    /// Pushes by the `push` of a library, which it calls for each item.
    ///
    /// ```
    /// use digime::push::PushMany;
    /// use digime::{Authorized, Flow, PostboxItem};
    ///
    /// /// Pushes each item under a reference.
    /// fn push_all<'a, C>(
    ///     flow: &'a Flow<C, Authorized>,
    ///     reference: &'a str,
    ///     items: Vec<PostboxItem>,
    /// ) -> PushMany<'a> {
    ///     PushMany::new(items, move |item| Box::pin(flow.push(item.reference(reference))))
    /// }
    /// ```
    pub fn new(
        items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'a>,
        push: impl Fn(PostboxItem) -> Push<'a> + Send + 'a,
    ) -> Self {
        Self {
            push: Box::new(push),
            waiting: Box::new(items.into_iter().enumerate()),
            running: FuturesUnordered::new(),
            concurrency: DEFAULT_CONCURRENCY,
            stops_on_failure: false,
            on_progress: None,
            sent: Arc::default(),
        }
    }

    /// Sets how many items are pushed concurrently, at least one. Default: 4.
    ///
    /// ```
    /// # fn example<C>(flow: &digime::Flow<C, digime::Authorized>, items: Vec<digime::PostboxItem>) {
    /// let mut pushes = flow.push_many(items).concurrency(16);
    /// # }
    /// ```
    pub fn concurrency(mut self, items: usize) -> Self {
        self.concurrency = items.max(1);
        self
    }

    /// Stops at the first failure, which is then the last result. The other pushes in flight are cancelled.
    ///
    /// ```
    /// use digime::{Authorized, Error, Flow, PostboxItem};
    ///
    /// async fn push_all<C>(flow: &Flow<C, Authorized>, items: Vec<PostboxItem>) -> Result<(), Error> {
    ///     let mut pushes = flow.push_many(items).stop_on_failure();
    ///     while let Some(pushed) = pushes.next().await {
    ///         pushed.result?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn stop_on_failure(mut self) -> Self {
        self.stops_on_failure = true;
        self
    }

    /// Calls `progress` whenever a part of an item has been handed to the network.
    ///
    /// ```
    /// # fn example<C>(flow: &digime::Flow<C, digime::Authorized>, items: Vec<digime::PostboxItem>) {
    /// let mut pushes = flow.push_many(items).on_progress(|progress| {
    ///     println!("item {}: {} bytes, {} in total", progress.index, progress.item.sent, progress.sent);
    /// });
    /// # }
    /// ```
    pub fn on_progress(mut self, progress: impl Fn(ManyProgress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(progress));
        self
    }

    /// The next result, or `None` when every item has had one. Items that fail have one too.
    ///
    /// ```
    /// # async fn example<C>(flow: &digime::Flow<C, digime::Authorized>, items: Vec<digime::PostboxItem>) {
    /// let mut pushes = flow.push_many(items);
    /// while let Some(pushed) = pushes.next().await {
    ///     println!("{}: {}", pushed.index, pushed.result.is_ok());
    /// }
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Pushed> {
        StreamExt::next(self).await
    }

    fn start(&mut self, index: usize, item: PostboxItem) {
        let item = match self.on_progress.clone() {
            Some(report) => item.also_on_progress(in_all(index, self.sent.clone(), report)),
            None => item,
        };
        let pushing = (self.push)(item);
        self.running.push(Box::pin(async move {
            let result = pushing.await;
            Pushed { index, result }
        }));
    }

    fn stop(&mut self) {
        self.waiting = Box::new(std::iter::empty());
        self.running.clear();
    }
}

/// Turns the progress of one item into the progress of all.
fn in_all(
    index: usize,
    sent: Arc<AtomicU64>,
    report: OnManyProgress,
) -> impl Fn(Progress) + Send + Sync {
    let before = AtomicU64::new(0);
    move |item: Progress| {
        // A retried item starts again at zero, so the sum decreases.
        let change = item.sent.wrapping_sub(before.swap(item.sent, Relaxed));
        let sent = sent.fetch_add(change, Relaxed).wrapping_add(change);
        report(ManyProgress { index, item, sent });
    }
}

impl Stream for PushMany<'_> {
    type Item = Pushed;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Pushed>> {
        while self.running.len() < self.concurrency
            && let Some((index, item)) = self.waiting.next()
        {
            self.start(index, item);
        }
        let pushed = self.running.poll_next_unpin(context);
        if let Poll::Ready(Some(Pushed { result: Err(_), .. })) = &pushed
            && self.stops_on_failure
        {
            self.stop();
        }
        pushed
    }
}

impl fmt::Debug for PushMany<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushMany")
            .field("in_flight", &self.running.len())
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
