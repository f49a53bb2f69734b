//! Items from every source, and many of them concurrently.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use digime::error::ItemError;
use digime::push::{ManyProgress, Progress};
use digime::{DeliveryStatus, Error, PostboxItem};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use tokio::io::{AsyncRead, ReadBuf};

use crate::set_up::{authorized, authorized_with, quick, ready, sandbox, welcome};

const LARGE: usize = 1_500_000;

fn large() -> Vec<u8> {
    (0..LARGE)
        .map(|at| u8::try_from(at % 251).expect("a byte"))
        .collect()
}

fn received_sizes(sandbox: &Sandbox) -> Vec<u64> {
    sandbox.inbox().iter().map(|item| item.size).collect()
}

#[tokio::test]
async fn a_reader_is_sent_with_and_without_a_known_length() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    for data in [Vec::new(), vec![1; 16], large()] {
        let known = PostboxItem::reader("a.bin", Cursor::new(data.clone()));
        flow.push(known.length(data.len() as u64))
            .await
            .expect("a delivery");
        let unknown = PostboxItem::reader("b.bin", Cursor::new(data.clone()));
        flow.push(unknown).await.expect("a delivery");
        let inbox = sandbox.inbox();
        let [.., known, unknown] = inbox.as_slice() else {
            panic!("{inbox:?}")
        };
        assert_eq!(
            (known.size, &known.sha256),
            (data.len() as u64, &unknown.sha256)
        );
    }
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn a_reader_of_another_length_than_given_delivers_nothing() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    for given in [2, 4] {
        let item = PostboxItem::reader("a.bin", Cursor::new("abc")).length(given);
        let error = flow.push(item).await.expect_err("another length");
        assert!(
            matches!(error, Error::Item(ItemError::Changed { .. })),
            "{error}"
        );
    }
    assert!(sandbox.inbox().is_empty());
}

#[tokio::test]
async fn a_length_that_no_request_can_carry_is_refused_before_the_item_is_opened() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let opened = Arc::new(AtomicUsize::new(0));
    for given in [
        u64::MAX,
        u64::MAX - 15,
        i64::MAX.unsigned_abs(),
        (1 << 62) + 1,
    ] {
        let count = opened.clone();
        let open = move || {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(Cursor::new("abc")) }
        };
        for item in [
            PostboxItem::reader("a.bin", Cursor::new("abc")),
            PostboxItem::open_with("a.bin", open),
        ] {
            let error = flow.push(item.length(given)).await.expect_err("too long");
            assert!(
                matches!(error, Error::Item(ItemError::TooLong { length, .. }) if length == given),
                "{error}"
            );
            assert!(error.to_string().contains(&given.to_string()), "{error}");
        }
    }
    assert_eq!(opened.load(Ordering::Relaxed), 0);
    assert_eq!(sandbox.requests(Endpoint::Push), 0);
}

#[tokio::test]
async fn a_reader_that_fails_or_panics_delivers_nothing() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let fails = || Err(io::Error::other("the disk is gone"));
    let panics = || -> io::Result<()> { panic!("in the application's reader") };
    for item in [
        PostboxItem::reader("a", Begins::then(fails)),
        PostboxItem::reader("a", Begins::then(panics)),
    ] {
        let error = flow.push(item).await.expect_err("a fault");
        assert!(
            matches!(error, Error::Item(ItemError::Unreadable { .. })),
            "{error}"
        );
    }
    assert!(sandbox.inbox().is_empty());
}

/// Gives some bytes, and then calls `then`.
struct Begins<F> {
    has_begun: bool,
    then: F,
}

impl<F: Fn() -> io::Result<()>> Begins<F> {
    fn then(then: F) -> Self {
        Self {
            has_begun: false,
            then,
        }
    }
}

impl<F: Fn() -> io::Result<()> + Unpin> AsyncRead for Begins<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Poll::Ready((self.then)());
        }
        buffer.put_slice(b"some");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_item_that_can_be_opened_again_is_opened_for_each_attempt() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = opened.clone();
    let item = PostboxItem::open_with("a.bin", move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok(Cursor::new(large())) }
    });
    sandbox.inject(Endpoint::Push, Fault::DisconnectAfter(700_000));
    sandbox.expire_access_tokens();
    let delivery = flow.push(item).await.expect("a delivery");
    assert_eq!(delivery.status(), DeliveryStatus::Delivered);
    assert_eq!(opened.load(Ordering::Relaxed), 3, "cut, pending, delivered");
    assert_eq!(received_sizes(&sandbox), [LARGE as u64]);
}

#[tokio::test]
async fn a_reader_is_not_sent_twice() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let once = || PostboxItem::reader("a.bin", Cursor::new(large()));

    sandbox.inject(Endpoint::Push, Fault::DisconnectAfter(700_000));
    let error = flow.push(once()).await.expect_err("a lost answer");
    assert!(error.may_have_taken_effect(), "{error}");

    let item = once();
    flow.push(item.clone()).await.expect("a delivery");
    let error = flow.push(item).await.expect_err("it was read");
    assert!(
        matches!(error, Error::Item(ItemError::ReadOnce { .. })),
        "{error}"
    );

    sandbox.expire_access_tokens();
    let error = flow.push(once()).await.expect_err("a pending push");
    assert!(
        matches!(error, Error::Item(ItemError::ReadOnce { .. })),
        "{error}"
    );
    assert_eq!(sandbox.inbox().len(), 1);
}

#[tokio::test]
async fn a_reader_that_was_not_read_yet_can_be_pushed_again() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let nobody = quick(&sandbox).base_url("http://127.0.0.1:1").build();
    let to_nobody = flow
        .suspend()
        .resume(welcome(&sandbox), &nobody.expect("a client"));
    let item = PostboxItem::reader("a.txt", Cursor::new("abc"));
    let error = to_nobody
        .expect("the flow")
        .push(item.clone())
        .await
        .expect_err("nobody there");
    assert!(!error.may_have_taken_effect(), "{error}");
    flow.push(item).await.expect("a delivery");
    assert_eq!(received_sizes(&sandbox), [3]);
}

#[tokio::test]
async fn one_failure_among_many_items_does_not_stop_the_others() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let items = (0..20).map(|number| match number {
        7 => PostboxItem::file("/no/such/file"),
        _ => PostboxItem::bytes(format!("{number}.txt"), vec![1; 100]),
    });
    let mut pushes = flow.push_many(items).concurrency(3);
    let mut failed = Vec::new();
    let mut delivered = Vec::new();
    while let Some(pushed) = pushes.next().await {
        match pushed.result {
            Ok(_) => delivered.push(pushed.index),
            Err(_) => failed.push(pushed.index),
        }
    }
    delivered.sort_unstable();
    assert_eq!(failed, [7]);
    assert_eq!(delivered.len(), 19);
    assert_eq!(sandbox.inbox().len(), 19);
    assert_eq!(sandbox.violations(), [""; 0]);
}

/// A reader that is counted while it exists.
struct Counted {
    data: Cursor<Vec<u8>>,
    count: Arc<Mutex<Count>>,
}

#[derive(Default)]
struct Count {
    now: usize,
    most: usize,
}

impl Counted {
    fn new(count: Arc<Mutex<Count>>) -> Self {
        let mut counted = count.lock().expect("no panic");
        counted.now += 1;
        counted.most = counted.most.max(counted.now);
        drop(counted);
        let data = Cursor::new(vec![0; 1000]);
        Self { data, count }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.lock().expect("no panic").now -= 1;
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_read(context, buffer)
    }
}

#[tokio::test]
async fn push_many_opens_no_more_items_than_its_concurrency() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let count = Arc::new(Mutex::new(Count::default()));
    let items = (0..12).map(|number| {
        let count = count.clone();
        PostboxItem::open_with(number.to_string(), move || {
            let reader = Counted::new(count.clone());
            async { Ok(reader) }
        })
    });
    let mut pushes = flow.push_many(items).concurrency(3);
    while let Some(pushed) = pushes.next().await {
        assert!(pushed.result.is_ok());
    }
    assert_eq!(count.lock().expect("no panic").most, 3);
    assert_eq!(sandbox.inbox().len(), 12);
}

#[tokio::test]
async fn push_many_stops_at_the_first_failure_if_asked_to() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let items = [
        PostboxItem::bytes("0.txt", "abc"),
        PostboxItem::file("/no/such/file"),
        PostboxItem::bytes("2.txt", "abc"),
    ];
    let mut pushes = flow.push_many(items).concurrency(1).stop_on_failure();
    assert!(pushes.next().await.expect("the first").result.is_ok());
    assert!(pushes.next().await.expect("the second").result.is_err());
    assert!(pushes.next().await.is_none());
    assert_eq!(sandbox.inbox().len(), 1);
}

#[tokio::test]
async fn progress_is_reported_for_each_item_and_for_all() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let seen = Arc::new(Mutex::new(Vec::<ManyProgress>::new()));
    let of_one = Arc::new(Mutex::new(Vec::<Progress>::new()));
    let (all, one) = (seen.clone(), of_one.clone());
    sandbox.inject(Endpoint::Push, Fault::Status(503));
    let items = [
        PostboxItem::bytes("0.bin", large())
            .on_progress(move |progress| one.lock().expect("no panic").push(progress)),
        PostboxItem::bytes("1.bin", vec![0; 10]),
    ];
    let mut pushes = flow
        .push_many(items)
        .concurrency(1)
        .on_progress(move |progress| all.lock().expect("no panic").push(progress));
    while let Some(pushed) = pushes.next().await {
        assert!(pushed.result.is_ok());
    }
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.last().expect("progress").sent, LARGE as u64 + 10);
    assert!(
        seen.iter()
            .all(|progress| progress.sent <= LARGE as u64 + 10)
    );
    let of_one = of_one.lock().expect("no panic");
    assert_eq!(of_one.last().expect("progress").sent, LARGE as u64);
}

#[tokio::test]
async fn dropping_push_many_leaves_nothing_running() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let held = Arc::new(());
    let item = |number: usize| {
        let held = held.clone();
        PostboxItem::reader(number.to_string(), Silent { _held: held })
    };
    let mut pushes = flow.push_many((0..4).map(item)).concurrency(4);
    let waited = tokio::time::timeout(Duration::from_millis(300), pushes.next()).await;
    assert!(waited.is_err());
    assert_eq!(Arc::strong_count(&held), 5, "four are in flight");
    drop(pushes);
    for _ in 0..50 {
        if Arc::strong_count(&held) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        Arc::strong_count(&held),
        1,
        "nothing holds a reader any more"
    );
    assert!(sandbox.inbox().is_empty());
}

/// Gives no byte, and never ends.
struct Silent {
    _held: Arc<()>,
}

impl AsyncRead for Silent {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_token_that_is_about_to_expire_is_refreshed_before_the_upload() {
    let sandbox = Sandbox::builder()
        .access_token_lifetime(Duration::from_secs(20))
        .start()
        .await
        .expect("a port");
    let flow = authorized(&sandbox).await;
    let before = flow.access_token();
    let refreshed = flow.refreshed_token(&before);
    let (delivery, token) = tokio::join!(flow.push(PostboxItem::bytes("a", "b")), refreshed);
    assert_eq!(
        delivery.expect("a delivery").status(),
        DeliveryStatus::Delivered
    );
    assert_eq!(sandbox.refreshes(), 1);
    assert_eq!(token, flow.access_token());
    assert_ne!(token, before);
}

#[tokio::test]
async fn an_item_that_can_not_be_sent_is_refused_before_any_request() {
    let sandbox = Sandbox::builder()
        .access_token_lifetime(Duration::from_secs(20))
        .start()
        .await
        .expect("a port");
    let flow = authorized(&sandbox).await;
    for item in [
        PostboxItem::bytes("two\nlines", "abc"),
        PostboxItem::reader("a.bin", Cursor::new("abc")).length(u64::MAX),
    ] {
        let error = flow.push(item).await.expect_err("a bad item");
        assert!(matches!(error, Error::Item(_)), "{error}");
    }
    assert_eq!(sandbox.refreshes(), 0, "the token was about to expire");
    assert_eq!(sandbox.requests(Endpoint::Push), 0);
}

#[tokio::test]
async fn an_expired_session_is_replaced_once_for_all_pushes() {
    let sandbox = Sandbox::builder()
        .session_lifetime(Duration::from_mins(2))
        .start()
        .await
        .expect("a port");
    let ahead = Arc::new(AtomicU64::new(0));
    let seconds = ahead.clone();
    let client = quick(&sandbox)
        .clock(move || SystemTime::now() + Duration::from_secs(seconds.load(Ordering::Relaxed)))
        .build()
        .expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    ahead.store(121, Ordering::Relaxed);
    let sessions = sandbox.sessions();
    let pushes = (0..4).map(|_| flow.push(PostboxItem::bytes("a", "b")));
    for pushed in futures_util::future::join_all(pushes).await {
        pushed.expect("a delivery");
    }
    assert_eq!(sandbox.sessions(), sessions + 1);
}
