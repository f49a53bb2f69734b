//! A TCP proxy that loses answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use url::Url;

/// A proxy in front of a server. It forwards everything but the answers that it is asked to lose.
pub(crate) struct Proxy {
    pub url: String,
    next: Next,
}

type Next = Arc<Mutex<Option<Loss>>>;

/// The proxy's side of an answer to lose.
struct Loss {
    request_with: String,
    answered: oneshot::Sender<()>,
    close: oneshot::Receiver<()>,
}

/// The test's side of an answer to lose. The connection closes when it is dropped.
pub(crate) struct Lost {
    answered: oneshot::Receiver<()>,
    _close: oneshot::Sender<()>,
}

impl Lost {
    /// Waits until the server has answered, which the client does not know.
    pub(crate) async fn answered(&mut self) {
        tokio::time::timeout(Duration::from_mins(1), &mut self.answered)
            .await
            .expect("the request passes the proxy")
            .expect("the proxy lives");
    }
}

impl Proxy {
    pub(crate) async fn start(server: &str) -> Self {
        let mut url = Url::parse(server).expect("a URL");
        let port = match url.scheme() {
            "redis" => 6379,
            _ => 5432,
        };
        let server = (
            url.host_str().expect("a host").to_owned(),
            url.port().unwrap_or(port),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(port)).expect("a port");
        if url.scheme() == "postgres" {
            url.set_query(Some("sslmode=disable"));
        }
        let next = Next::default();
        tokio::spawn(accept(listener, server, next.clone()));
        Self {
            url: url.into(),
            next,
        }
    }

    /// Loses the answer to the next request that has this text in it.
    pub(crate) fn lose_answer_to(&self, request_with: &str) -> Lost {
        let (answered, is_answered) = oneshot::channel();
        let (close, is_closed) = oneshot::channel();
        *self.next.lock().expect("no panic") = Some(Loss {
            request_with: request_with.to_owned(),
            answered,
            close: is_closed,
        });
        Lost {
            answered: is_answered,
            _close: close,
        }
    }
}

async fn accept(listener: TcpListener, server: (String, u16), next: Next) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(server.clone()).await.expect("a server");
        // An error is the end of the connection, which both sides see.
        tokio::spawn(forward(client, server, next.clone()));
    }
}

/// Both servers send a short answer in one piece, when the request is done and, in PostgreSQL, committed.
async fn forward(mut client: TcpStream, mut server: TcpStream, next: Next) -> std::io::Result<()> {
    let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut loss = None;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let request = &request[..read?];
                if request.is_empty() {
                    return Ok(());
                }
                if let Some(asked_for) = asked_for(&next, request) {
                    loss = Some(asked_for);
                }
                server.write_all(request).await?;
            }
            read = server.read(&mut answer) => {
                let answer = &answer[..read?];
                if let Some(loss) = loss.take() {
                    loss.answered.send(()).expect("the test waits");
                    let _ = loss.close.await;
                    return Ok(());
                }
                if answer.is_empty() {
                    return Ok(());
                }
                client.write_all(answer).await?;
            }
        }
    }
}

/// The loss of the answer to this request, if that was asked for.
fn asked_for(next: &Next, request: &[u8]) -> Option<Loss> {
    let mut next = next.lock().expect("no panic");
    next.take_if(|loss| {
        request
            .windows(loss.request_with.len())
            .any(|part| part == loss.request_with.as_bytes())
    })
}
