//! Uploads over a slow connection, or over one that stalls after the sockets have taken everything.

use std::time::{Duration, Instant};

use digime::error::RequestError;
use digime::{Client, Error, PostboxItem};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::set_up::{authorized, quick, ready_with, receipts, sandbox};

const SIZE: usize = 3_000_000;

/// How long an upload may stall.
const STALL: Duration = Duration::from_secs(2);

/// Much longer than an upload may stall. It does not depend on the machine's speed.
const DURATION: Duration = Duration::from_secs(8);

/// How a connection carries an upload.
#[derive(Clone, Copy)]
enum Line {
    /// Some bytes at a time, so that the upload takes `DURATION`.
    Slow,
    /// Nothing after the first bytes.
    Cut,
}

/// A connection to the platform. Returns the base URL of its near end.
async fn line(sandbox: &Sandbox, line: Line) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let platform = url::Url::parse(sandbox.base_url()).expect("a URL");
    let platform = format!("127.0.0.1:{}", platform.port().expect("a port"));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&platform).await.expect("the platform");
            tokio::spawn(carry(near, far, line));
        }
    });
    format!("http://{address}/v1.5")
}

async fn carry(near: TcpStream, far: TcpStream, line: Line) {
    let (mut request, mut to_near) = near.into_split();
    let (mut answer, mut to_far) = far.into_split();
    tokio::spawn(async move { copy(&mut answer, &mut to_near).await });
    let parts = 100;
    let mut part = vec![0; SIZE / parts];
    for number in 0.. {
        let Ok(read @ 1..) = request.read(&mut part).await else {
            return;
        };
        if to_far.write_all(&part[..read]).await.is_err() {
            return;
        }
        match line {
            Line::Slow => {
                let pause = DURATION / u32::try_from(parts).expect("a number");
                tokio::time::sleep(pause).await;
            }
            Line::Cut if number > 2 => std::future::pending().await,
            Line::Cut => {}
        }
    }
}

fn client(sandbox: &Sandbox, base_url: String) -> Client {
    let client = quick(sandbox).base_url(base_url).stall_timeout(STALL);
    client.max_retries(0).build().expect("a client")
}

async fn push(sandbox: &Sandbox, kind: Line) -> Result<digime::Delivery, Error> {
    let flow = authorized(sandbox).await.suspend();
    let client = client(sandbox, line(sandbox, kind).await);
    let flow = flow.resume(receipts(sandbox), &client).expect("the flow");
    flow.push(PostboxItem::bytes("a.bin", vec![1; SIZE])).await
}

// Only Linux tells how much the other side has taken.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_upload_that_never_stalls_arrives_however_slow_the_connection_is() {
    let sandbox = sandbox().await;
    let begun = Instant::now();
    let _ = push(&sandbox, Line::Slow).await.expect("a delivery");
    assert!(begun.elapsed() > 2 * STALL, "the line was slow");
    assert_eq!(sandbox.requests(Endpoint::Push), 1);
    assert_eq!(sandbox.inbox()[0].size, SIZE as u64);
}

#[tokio::test]
async fn an_upload_that_stalls_ends() {
    let sandbox = sandbox().await;
    let error = push(&sandbox, Line::Cut).await.expect_err("no way through");
    assert!(
        matches!(error, Error::Request(RequestError::AnswerLost { .. })),
        "{error}"
    );
    assert!(error.report().to_string().contains("stalled"), "{error}");
}

#[test]
fn an_answer_is_read_while_no_thread_is_free_to_inspect_the_sockets() {
    let platform = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = platform.block_on(sandbox());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (release, released) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let client = quick(&sandbox).max_retries(0).stall_timeout(DURATION);
        let client = client.build().expect("a client");
        let flow = ready_with(&sandbox, &client).await;
        tokio::task::spawn_blocking(move || released.recv());
        // The sockets are inspected before that.
        sandbox.inject(Endpoint::Push, Fault::Delay(DURATION / 2));
        let pushed = flow.push(PostboxItem::bytes("a.txt", "hello"));
        let pushed = tokio::time::timeout(Duration::from_mins(2), pushed).await;
        let pushed = pushed.expect("it ends");
        assert!(pushed.is_ok(), "{pushed:?}");
    });
    drop(release);
}
