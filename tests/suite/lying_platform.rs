//! HTTP servers that are no digi.me platform: they redirect, never end, or never answer.

use std::time::{Duration, SystemTime};

use digime::error::RequestError;
use digime::{Client, Error, PostboxItem};
use digime_sandbox::{Endpoint, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::set_up::{in_time, quick, ready, sandbox, welcome};

/// A server that answers everything with the same bytes and keeps its connections open.
struct Server {
    base_url: String,
    requests: watch::Receiver<u32>,
}

impl Server {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (count, requests) = watch::channel(0);
        let answer = answer.into();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, answer.clone(), count.clone()));
            }
        });
        Self {
            base_url: format!("http://{address}/v1.5"),
            requests,
        }
    }

    fn client(&self) -> Client {
        Client::builder()
            .base_url(&self.base_url)
            .max_retries(0)
            .timeout(Duration::from_secs(1))
            .build()
            .expect("a client")
    }
}

async fn serve(mut connection: TcpStream, answer: Vec<u8>, count: watch::Sender<u32>) {
    let mut request = vec![0; 64 * 1024];
    while connection
        .read(&mut request)
        .await
        .is_ok_and(|read| read > 0)
    {
        count.send_modify(|count| *count += 1);
        if connection.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The error of establishing a session with a server.
async fn failure(client: &Client) -> Error {
    let flow = welcome(&sandbox().await).flow(client);
    in_time(flow.establish_session())
        .await
        .expect_err("no platform")
}

#[tokio::test]
async fn a_redirection_is_refused_and_not_followed() {
    let server = Server::answering(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let error = failure(&server.client()).await;
    assert!(error.to_string().contains("307"), "{error}");
    assert_eq!(*server.requests.borrow(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read_to_its_end() {
    let mut endless = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    endless.resize((1 << 20) + 1000, b' ');
    let server = Server::answering(endless).await;
    let error = failure(&server.client()).await;
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
}

const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_times_out() {
    let server = Server::answering(HALF).await;
    let error = failure(&server.client()).await;
    assert!(error.report().to_string().contains("timed out"), "{error}");
}

#[tokio::test]
async fn an_answer_to_a_push_that_stops_in_the_middle_times_out() {
    let server = Server::answering(HALF).await;
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await.suspend();
    let flow = flow.resume(welcome(&sandbox), &server.client());
    let flow = flow.expect("the flow");
    let pushed = flow.push(PostboxItem::bytes("a", "b"));
    let error = in_time(pushed).await.expect_err("half an answer");
    assert!(error.may_have_taken_effect(), "{error}");
    assert!(error.report().to_string().contains("timed out"), "{error}");
}

// On other systems a full queue refuses connections.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_is_never_accepted_times_out_and_nothing_was_sent() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    let listener = socket.listen(1).expect("a queue");
    let address = listener.local_addr().expect("an address");
    let mut queued = Vec::new();
    // As many connections as the queue takes.
    while let Ok(Ok(connection)) =
        tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        queued.push(connection);
    }
    let client = Client::builder()
        .base_url(format!("http://{address}/v1.5"))
        .connect_timeout(Duration::from_millis(500))
        // Long after the client gives up the connection, and before the system does.
        .timeout(Duration::from_secs(20))
        .call_timeout(Duration::from_secs(20))
        .max_retries(0)
        .build()
        .expect("a client");
    let error = failure(&client).await;
    assert!(
        matches!(error, Error::Request(RequestError::NotSent { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn settings_of_any_size_do_not_panic() {
    let sandbox = sandbox().await;
    for duration in [Duration::ZERO, Duration::MAX] {
        let client = quick(&sandbox)
            .connect_timeout(duration)
            .timeout(duration)
            .call_timeout(duration)
            .stall_timeout(duration)
            .retry_delays(duration, duration)
            .max_retry_after(duration)
            .max_retries(0)
            .build()
            .expect("a client");
        let flow = welcome(&sandbox).flow(&client);
        let established = flow.establish_session().await;
        // An answer that is available at once may be read within no time.
        assert!(established.is_ok() || duration == Duration::ZERO);
        let flow = ready(&sandbox).await.suspend();
        let flow = flow.resume(welcome(&sandbox), &client).expect("the flow");
        let pushed = flow.push(PostboxItem::bytes("a", "b")).await;
        assert!(pushed.is_ok() || duration == Duration::ZERO, "{pushed:?}");
    }
    let client = quick(&sandbox)
        .retry_delays(Duration::MAX, Duration::MAX)
        .max_retries(usize::MAX)
        .build()
        .expect("a client");
    sandbox.inject(Endpoint::Session, Fault::Status(503));
    let flow = welcome(&sandbox).flow(&client);
    let error = flow
        .establish_session()
        .await
        .expect_err("too long a pause");
    assert!(error.to_string().contains("503"), "{error}");
}

/// The outcome of a session whose answer has this `Date`.
async fn link_under(date: &str) -> Result<(), Error> {
    let in_half_an_hour = SystemTime::now() + Duration::from_secs(30 * 60);
    let expiry = in_half_an_hour.duration_since(SystemTime::UNIX_EPOCH);
    let expiry = expiry.expect("a time after 1970").as_millis();
    let session = format!(r#"{{"sessionKey":"k","sessionExchangeToken":"t","expiry":{expiry}}}"#);
    let length = session.len();
    let answer = format!("HTTP/1.1 200 OK\r\n{date}content-length: {length}\r\n\r\n{session}");
    let server = Server::answering(answer).await;
    let flow = welcome(&sandbox().await).flow(&server.client());
    let session = flow.establish_session().await?;
    let _ = flow.create_postbox(session).await?;
    Ok(())
}

#[tokio::test]
async fn no_date_ends_a_session_that_was_just_established() {
    for date in [
        "",
        "date: soon\r\n",
        "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        "date: Thu, 99 Jan 99999 00:00:00 GMT\r\n",
        "date: Thu, 01 Jan 2099 00:00:00 GMT\r\n",
    ] {
        let linked = link_under(date).await;
        assert!(linked.is_ok(), "{date}: {linked:?}");
    }
}
