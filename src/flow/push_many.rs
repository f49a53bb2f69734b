use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};

use crate::error::Error;
use crate::postbox::{Delivery, PostboxItem, Progress};

/// How many items are pushed at a time, where nothing else is said.
const AT_A_TIME: usize = 4;

/// Pushes of many items, some at a time: [`Flow::push_many`](crate::Flow::push_many). It is a stream of results, in the
/// order in which they come, and does something only while it is asked for the next.
///
/// One failure does not stop the others, unless [asked](PushMany::stop_on_failure). Dropping it drops the pushes that are
/// under way; nothing goes on but a refresh of the tokens, which would be lost.
///
/// ```
/// use digime::{Authorized, Flow, PostboxItem};
///
/// async fn push_folder<C>(authorized: &Flow<C, Authorized>, folder: &std::path::Path) -> std::io::Result<()> {
///     let files = std::fs::read_dir(folder)?.flatten().map(|file| PostboxItem::file(file.path()));
///     let mut pushes = authorized.push_many(files).at_a_time(8).on_progress(|progress| {
///         println!("{} bytes in all", progress.sent);
///     });
///     while let Some(pushed) = pushes.next().await {
///         match pushed.result {
///             Ok(delivery) => println!("{}: {:?}", pushed.index, delivery.status()),
///             Err(error) => eprintln!("{}: {error}", pushed.index),
///         }
///     }
///     Ok(())
/// }
/// ```
#[must_use = "nothing is pushed until it is asked for the next result: `pushes.next().await`"]
pub struct PushMany<'a> {
    push: Box<dyn Fn(PostboxItem) -> Push<'a> + Send + 'a>,
    waiting: Box<dyn Iterator<Item = (usize, PostboxItem)> + Send + 'a>,
    running: FuturesUnordered<BoxFuture<'a, Pushed>>,
    at_a_time: usize,
    stops_on_failure: bool,
    progress: Option<Report>,
    /// The bytes of all items that have been handed to the network.
    sent: Arc<AtomicU64>,
}

type Push<'a> = BoxFuture<'a, Result<Delivery, Error>>;

type Report = Arc<dyn Fn(ManyProgress) + Send + Sync>;

/// What became of one item of many.
#[derive(Debug)]
#[must_use = "an item may have failed"]
pub struct Pushed {
    /// Which item it is, counted from 0 in the order in which they were given.
    pub index: usize,
    /// What [`push`](crate::Flow::push) would say of it.
    pub result: Result<Delivery, Error>,
}

/// How far the pushes of many items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManyProgress {
    /// Which item has moved, counted from 0.
    pub index: usize,
    /// How far that item is.
    pub item: Progress,
    /// How many bytes of all items have been handed to the network; those of an attempt that failed don't count.
    pub sent: u64,
}

impl<'a> PushMany<'a> {
    pub(super) fn new(
        items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'a>,
        push: impl Fn(PostboxItem) -> Push<'a> + Send + 'a,
    ) -> Self {
        Self {
            push: Box::new(push),
            waiting: Box::new(items.into_iter().enumerate()),
            running: FuturesUnordered::new(),
            at_a_time: AT_A_TIME,
            stops_on_failure: false,
            progress: None,
            sent: Arc::default(),
        }
    }

    /// How many items are pushed at a time, at least one. Default: 4.
    pub fn at_a_time(mut self, items: usize) -> Self {
        self.at_a_time = items.max(1);
        self
    }

    /// Ends with the first failure: the pushes that are under way are dropped, and it is the last result.
    pub fn stop_on_failure(mut self) -> Self {
        self.stops_on_failure = true;
        self
    }

    /// Calls `progress` whenever a part of an item has been handed to the network.
    pub fn on_progress(mut self, progress: impl Fn(ManyProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// The next result; nothing when all items have one.
    pub async fn next(&mut self) -> Option<Pushed> {
        StreamExt::next(self).await
    }

    fn start(&mut self, index: usize, item: PostboxItem) {
        let item = match self.progress.clone() {
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

/// Makes the progress of an item one of all items.
fn in_all(index: usize, sent: Arc<AtomicU64>, report: Report) -> impl Fn(Progress) + Send + Sync {
    let before = AtomicU64::new(0);
    move |item: Progress| {
        // An item that is tried again begins again at zero, so that the sum goes back.
        let change = item.sent.wrapping_sub(before.swap(item.sent, Relaxed));
        let sent = sent.fetch_add(change, Relaxed).wrapping_add(change);
        report(ManyProgress { index, item, sent });
    }
}

impl Stream for PushMany<'_> {
    type Item = Pushed;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Pushed>> {
        while self.running.len() < self.at_a_time
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
            .field("under_way", &self.running.len())
            .field("at_a_time", &self.at_a_time)
            .finish_non_exhaustive()
    }
}
