//! Clients that send by something other than the network as digime sets it up.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use digime::error::{ClientError, Operation, RequestError};
use digime::transport::http_body::{Body as HttpBody, Frame};
use digime::transport::tower::{Layer, Service};
use digime::transport::{Attempt, Body, Transport, TransportError, http};
use digime::{
    Client, ClientBuilder, Contract, Error, PostboxItem, PostboxReady, Suspended, async_trait,
};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use http_body_util::{BodyExt, Full};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tower::limit::ConcurrencyLimitLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::set_header::SetRequestHeaderLayer;

use crate::set_up::{
    FOREVER, Welcome, authorized, authorized_with, awaiting_with, consent, in_time, item,
    once_json, quick, ready, ready_with, receipts, sandbox, welcome,
};

type Request = http::Request<Body>;
type Answer = Result<http::Response<Body>, TransportError>;

#[tokio::test]
async fn a_sandbox_on_a_host_of_a_test_network_is_reached_by_plain_http_when_its_name_is_allowed() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let sandbox = Sandbox::builder()
        .bind(address)
        .public_url(format!("http://sandbox:{}", address.port()))
        .start()
        .await
        .expect("a sandbox");
    let named = || Client::builder().base_url(sandbox.base_url());
    let refused = named().build().expect_err("plain http");
    assert!(matches!(refused, ClientError::PlainHttp), "{refused}");

    let client = named()
        .dangerously_allow_http_to("sandbox")
        .http_settings(move |settings| settings.resolve("sandbox", address))
        .build()
        .expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    let delivery = flow.push(item()).await.expect("a delivery");
    assert_eq!(delivery.status(), digime::DeliveryStatus::Delivered);
    assert_eq!(sandbox.violations(), Vec::<String>::new());
}

/// A relay to the sandbox that notes the heads of requests.
async fn relay(sandbox: &Sandbox) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let platform = url::Url::parse(sandbox.base_url()).expect("a URL");
    let platform = format!("127.0.0.1:{}", platform.port().expect("a port"));
    let heads = Arc::new(Mutex::new(Vec::new()));
    let noted = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&platform).await.expect("the sandbox");
            let noted = noted.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 64 * 1024];
                let read = near.read(&mut head).await.unwrap_or_default();
                let text = String::from_utf8_lossy(&head[..read]).to_lowercase();
                noted.lock().expect("no panic").push(text);
                far.write_all(&head[..read]).await?;
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    (format!("http://{address}"), heads)
}

#[tokio::test]
async fn a_proxy_and_a_user_agent_of_the_application_are_used() {
    let sandbox = sandbox().await;
    let (proxy, heads) = relay(&sandbox).await;
    let client = quick(&sandbox).http_settings(move |http| {
        let proxy = reqwest::Proxy::http(&proxy).expect("a proxy");
        http.proxy(proxy).user_agent("shop/1.0")
    });
    let flow = authorized_with(&sandbox, &client.build().expect("a client")).await;
    let _ = flow.push(item()).await.expect("a delivery");
    let heads = heads.lock().expect("no panic");
    let expected = format!("post {}/", sandbox.base_url());
    assert!(
        heads.iter().any(|head| head.starts_with(&expected)),
        "{heads:?}"
    );
    assert!(
        heads
            .iter()
            .all(|head| head.contains("user-agent: shop/1.0"))
    );
}

/// Runs itself in a process with the proxy, since the environment of this process belongs to all tests.
#[tokio::test]
async fn a_host_that_plain_http_is_allowed_to_is_reached_without_a_proxy() {
    const THIS: &str =
        "transports::a_host_that_plain_http_is_allowed_to_is_reached_without_a_proxy";
    const NOBODY: &str = "http://127.0.0.1:1";
    if std::env::var("http_proxy").as_deref() != Ok(NOBODY) {
        let program = std::env::current_exe().expect("this program");
        let mut child = tokio::process::Command::new(program);
        child.args(["--exact", THIS]).env("http_proxy", NOBODY);
        child.env_remove("no_proxy").env_remove("NO_PROXY");
        let output = child.output().await.expect("a process");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && printed.contains("1 passed"),
            "{printed}"
        );
        return;
    }
    let sandbox = sandbox().await;
    let url = url::Url::parse(sandbox.base_url()).expect("a URL");
    let address = url.socket_addrs(|| None).expect("an address")[0];
    let client = quick(&sandbox)
        .base_url(sandbox.base_url().replace("127.0.0.1", "sandbox"))
        .dangerously_allow_http_to("sandbox")
        .http_settings(move |http| http.resolve("sandbox", address))
        .build()
        .expect("a client");
    let flow = welcome(&sandbox).flow(&client);
    let _ = flow.establish_session().await.expect("a session");
}

#[tokio::test]
async fn an_http_client_of_the_application_is_used() {
    let sandbox = sandbox().await;
    let http = reqwest::Client::builder().redirect(Policy::none());
    let http = http.user_agent("shop/1.0").build().expect("a client");
    let (base_url, heads) = relay(&sandbox).await;
    let client = quick(&sandbox).base_url(format!("{base_url}/v1.5"));
    let client = client.http_client(http).build().expect("a client");
    let flow = ready_with(&sandbox, &client).await;
    let _ = flow.push(item()).await.expect("a delivery");
    let heads = heads.lock().expect("no panic");
    assert!(
        heads
            .iter()
            .all(|head| head.contains("user-agent: shop/1.0")),
        "{heads:?}"
    );
    assert_eq!(sandbox.violations(), Vec::<String>::new());
}

/// A server that answers everything with a redirection to another, and counts the connections to both.
async fn redirecting(status: u16) -> (String, [Arc<AtomicU32>; 2]) {
    let target = counting("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()).await;
    let location = format!("{}/elsewhere", target.0);
    let answer = format!(
        "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    let source = counting(answer).await;
    (format!("{}/v1.5", source.0), [source.1, target.1])
}

async fn counting(answer: String) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            counted.fetch_add(1, Relaxed);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(answer.as_bytes()).await;
                // Until the other side closes, since unread data would reset the connection.
                while connection
                    .read(&mut request)
                    .await
                    .is_ok_and(|read| read > 0)
                {}
            });
        }
    });
    (format!("http://{address}"), count)
}

/// A transport that sends with an HTTP client.
struct ByHttp(reqwest::Client);

#[async_trait]
impl Transport for ByHttp {
    async fn send(&self, request: Request) -> Answer {
        let request = request.map(reqwest::Body::wrap).try_into();
        let request = request.map_err(|error: reqwest::Error| TransportError::unsendable(error))?;
        let answer = self
            .0
            .execute(request)
            .await
            .map_err(TransportError::lost)?;
        Ok(http::Response::<reqwest::Body>::from(answer).map(Body::new))
    }
}

#[tokio::test]
async fn the_target_of_a_redirection_sees_nothing_however_requests_are_sent() {
    let sandbox = sandbox().await;
    let stays = || reqwest::Client::builder().redirect(Policy::none()).build();
    let ways: [fn(ClientBuilder, reqwest::Client) -> ClientBuilder; 5] = [
        |client, _| client,
        |client, _| client.http_settings(|http| http.redirect(Policy::limited(10))),
        |client, _| client.http_settings(|_| reqwest::Client::builder()),
        |client, stays| client.http_client(stays),
        |client, stays| client.transport(ByHttp(stays)),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        for status in [301, 302, 303, 307, 308] {
            let (base_url, [source, target]) = redirecting(status).await;
            let client = Client::builder().base_url(base_url).max_retries(0);
            let client = way(client, stays().expect("a client"));
            let client = client.build().expect("a client");
            let flow = welcome(&sandbox).flow(&client);
            let error = in_time(flow.establish_session())
                .await
                .expect_err("no session");
            assert!(
                error.to_string().contains(&status.to_string()),
                "{number}: {error}"
            );
            let flow = ready(&sandbox).await.suspend();
            let flow = flow.resume(welcome(&sandbox), &client).expect("the flow");
            let error = in_time(flow.push(item())).await.expect_err("no delivery");
            assert!(
                error.to_string().contains(&status.to_string()),
                "{number}: {error}"
            );
            assert_eq!(source.load(Relaxed), 2, "{number}");
            assert_eq!(target.load(Relaxed), 0, "{number}, {status}");
        }
    }
}

#[tokio::test]
async fn an_http_client_that_follows_redirections_is_refused() {
    let follows = [
        reqwest::Client::new(),
        reqwest::Client::builder()
            .redirect(Policy::limited(1))
            .build()
            .expect("a client"),
        reqwest::Client::builder()
            .redirect(Policy::custom(|attempt| {
                Policy::default().redirect(attempt)
            }))
            .build()
            .expect("a client"),
    ];
    for http in follows {
        let error = Client::builder()
            .http_client(http)
            .build()
            .expect_err("it follows");
        assert!(matches!(error, ClientError::FollowsRedirections));
        assert!(error.to_string().contains("http_settings"), "{error}");
    }
}

#[tokio::test]
async fn settings_that_no_http_client_can_have_are_an_error() {
    let wrong = Client::builder().http_settings(|http| http.user_agent("shop\n"));
    let error = wrong.build().expect_err("no such header");
    assert!(matches!(error, ClientError::HttpSettings(_)), "{error}");
}

#[tokio::test]
async fn no_http_client_sends_a_code_again() {
    let sandbox = sandbox().await;
    let again = || {
        let again = reqwest::retry::for_host("127.0.0.1").no_budget();
        again.classify_fn(|answer| match answer.status() {
            Some(_) => answer.retryable(),
            None => answer.success(),
        })
    };
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .retry(again());
    for (number, client) in [
        quick(&sandbox).http_settings(move |http| http.retry(again())),
        quick(&sandbox).http_client(http.build().expect("a client")),
        quick(&sandbox).retry_pauses(|| std::iter::repeat(Duration::ZERO)),
    ]
    .into_iter()
    .enumerate()
    {
        let client = client.build().expect("a client");
        let awaiting = awaiting_with(&sandbox, &client).await;
        let callback = consent(&sandbox, awaiting.url()).await;
        let before = sandbox.requests(Endpoint::Token);
        sandbox.inject(Endpoint::Token, Fault::Status(500));
        let rejected = awaiting
            .exchange_code(callback)
            .await
            .expect_err("a refusal");
        assert!(rejected.error().may_have_taken_effect());
        assert_eq!(sandbox.requests(Endpoint::Token) - before, 1, "{number}");
    }
}

/// Notes the attempts that pass.
#[derive(Clone, Default)]
struct NoteAttempts(Arc<Mutex<Vec<(Operation, u32, String)>>>);

#[derive(Clone)]
struct Noting<S>(S, NoteAttempts);

impl<S> Layer<S> for NoteAttempts {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting(inner, self.clone())
    }
}

impl<S: Service<http::Request<B>>, B> Service<http::Request<B>> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> S::Future {
        let attempt = request.extensions().get::<Attempt>().expect("an attempt");
        let id = attempt.contract_id().to_string();
        let noted = (attempt.operation(), attempt.number(), id);
        self.1.0.lock().expect("no panic").push(noted);
        self.0.call(request)
    }
}

#[tokio::test]
async fn a_layer_sees_each_attempt_with_its_number() {
    let sandbox = sandbox().await;
    let attempts = NoteAttempts::default();
    let client = quick(&sandbox).layer(attempts.clone());
    sandbox.inject(Endpoint::Session, Fault::Status(503));
    for _ in 0..2 {
        sandbox.inject(Endpoint::Push, Fault::LoseAnswer);
    }
    let flow = authorized_with(&sandbox, &client.build().expect("a client")).await;
    let _ = flow.push(item()).await.expect("a delivery");
    let attempts = attempts.0.lock().expect("no panic");
    let id = receipts(&sandbox).contract_id().to_string();
    assert!(attempts.iter().all(|attempt| attempt.2 == id));
    let seen: Vec<_> = attempts
        .iter()
        .map(|&(operation, number, _)| (operation, number))
        .collect();
    let expected = [
        (Operation::EstablishSession, 1),
        (Operation::EstablishSession, 2),
        (Operation::Authorize, 1),
        (Operation::FetchKeys, 1),
        (Operation::ExchangeCode, 1),
        (Operation::Push, 1),
        (Operation::Push, 2),
        (Operation::Push, 3),
    ];
    assert_eq!(seen, expected);
    assert_eq!(sandbox.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_layer_that_was_added_last_sees_a_request_first() {
    let sandbox = sandbox().await;
    let (base_url, heads) = relay(&sandbox).await;
    let header = |value| {
        let name = http::HeaderName::from_static("x-shop");
        SetRequestHeaderLayer::appending(name, http::HeaderValue::from_static(value))
    };
    let client = quick(&sandbox).base_url(format!("{base_url}/v1.5"));
    let client = client.layer(header("second")).layer(header("first"));
    let flow = welcome(&sandbox).flow(&client.build().expect("a client"));
    let _ = flow.establish_session().await.expect("a session");
    let heads = heads.lock().expect("no panic");
    let (first, second) = (
        heads[0].find("x-shop: first"),
        heads[0].find("x-shop: second"),
    );
    assert!(first.is_some() && first < second, "{heads:?}");
}

#[tokio::test]
async fn a_layer_may_answer_with_a_body_of_another_type() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .layer(MapResponseBodyLayer::new(|body: Body| {
            BodyExt::boxed_unsync(http_body_util::Limited::new(body, 1 << 20))
        }))
        .layer(RequestBodyLimitLayer::new(1 << 30));
    let flow = authorized_with(&sandbox, &client.build().expect("a client")).await;
    let delivery = flow.push(item()).await;
    assert!(delivery.is_ok(), "{delivery:?}");
    assert_eq!(sandbox.inbox().len(), 1);
}

/// Notes how many requests are under way at most.
#[derive(Clone, Default)]
struct Busiest {
    now: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

#[async_trait]
impl Transport for Busiest {
    async fn send(&self, _: Request) -> Answer {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, Relaxed);
        Ok(http::Response::new(session()))
    }
}

fn session() -> Body {
    let expiry = SystemTime::now() + Duration::from_secs(30 * 60);
    let expiry = expiry
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("a time");
    let session = json!({
        "sessionKey": "k",
        "sessionExchangeToken": "t",
        "expiry": u64::try_from(expiry.as_millis()).expect("a time"),
    });
    Body::from(session.to_string())
}

#[tokio::test]
async fn a_layer_that_limits_concurrency_is_waited_for() {
    let sandbox = sandbox().await;
    let busiest = Busiest::default();
    let client = Client::builder().transport(busiest.clone());
    let client = client
        .layer(ConcurrencyLimitLayer::new(2))
        .build()
        .expect("a client");
    let contract = welcome(&sandbox);
    let sessions = (0..20).map(|_| contract.flow(&client));
    let sessions = sessions.map(|flow| async move { flow.establish_session().await.map(drop) });
    let sessions = futures_util::future::join_all(sessions).await;
    assert!(sessions.iter().all(Result::is_ok), "{sessions:?}");
    assert_eq!(busiest.most.load(Relaxed), 2);
}

#[tokio::test]
async fn a_tower_service_is_a_transport() {
    let sandbox = sandbox().await;
    let service = tower::service_fn(|_: Request| async {
        let answer = session().collect().await?.to_bytes();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(http::Response::new(Full::new(answer)))
    });
    let client = Client::builder()
        .service(service)
        .build()
        .expect("a client");
    let established = welcome(&sandbox).flow(&client).establish_session().await;
    assert!(established.is_ok(), "{established:?}");
}

/// The error of establishing a session by a service that fails.
async fn failure<E>(error: fn() -> E) -> Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let sandbox = sandbox().await;
    let fails = move |_: Request| async move { Err::<http::Response<Full<Bytes>>, E>(error()) };
    let client = Client::builder()
        .max_retries(0)
        .service(tower::service_fn(fails));
    let flow = welcome(&sandbox).flow(&client.build().expect("a client"));
    flow.establish_session().await.expect_err("no session")
}

#[tokio::test]
async fn an_error_of_a_service_that_is_not_known_means_that_the_request_may_have_arrived() {
    let lost = failure(|| io::Error::other("reset")).await;
    assert!(
        matches!(lost, Error::Request(RequestError::AnswerLost { .. })),
        "{lost}"
    );
    assert!(lost.report().to_string().contains("reset"), "{lost}");
    let wrapped = failure(|| io::Error::other(TransportError::not_connected("closed"))).await;
    assert!(
        matches!(wrapped, Error::Request(RequestError::AnswerLost { .. })),
        "{wrapped}"
    );
    let closed = failure(|| TransportError::not_connected("closed")).await;
    assert!(
        matches!(closed, Error::Request(RequestError::NotSent { .. })),
        "{closed}"
    );
    let unsendable = failure(|| TransportError::unsendable("too odd")).await;
    let is_unsendable = matches!(unsendable, Error::Request(RequestError::Unsendable { .. }));
    assert!(is_unsendable, "{unsendable}");
}

/// A service that is never ready.
#[derive(Clone)]
struct Closed;

impl Service<Request> for Closed {
    type Response = http::Response<Body>;
    type Error = io::Error;
    type Future = std::future::Ready<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("closed")))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        panic!("it is not ready")
    }
}

#[tokio::test]
async fn a_service_that_fails_before_it_is_ready_has_sent_nothing() {
    let sandbox = sandbox().await;
    let client = Client::builder().max_retries(0).service(Closed);
    let flow = welcome(&sandbox).flow(&client.build().expect("a client"));
    let error = flow.establish_session().await.expect_err("no session");
    assert!(
        matches!(error, Error::Request(RequestError::NotSent { .. })),
        "{error}"
    );
}

/// What a transport does wrong, as `docs/faults.md` says it.
#[derive(Clone, Copy)]
struct Wrong(&'static str);

/// A body that gives the same for ever.
struct Endless(fn() -> Part);

type Part = Poll<Option<Result<Frame<Bytes>, io::Error>>>;

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Part {
        (self.0)()
    }
}

#[async_trait]
impl Transport for Wrong {
    async fn send(&self, request: Request) -> Answer {
        let endless = |part| Ok(http::Response::new(Body::new(Endless(part))));
        let status = |status| {
            let answer = http::Response::builder().status(status);
            let answer = answer
                .header("location", "/")
                .header("date", "\u{fe}")
                .header("retry-after", "\u{fe}");
            answer
                .body(Body::from("{}"))
                .map_err(TransportError::unsendable)
        };
        match self.0 {
            "panics" => panic!("as the test wants it"),
            "never answers" => {
                // Even with the request in its hands.
                let _request = request;
                std::future::pending().await
            }
            "can't send the request" => Err(TransportError::unsendable("too odd")),
            "does not connect" => Err(TransportError::not_connected("closed")),
            "loses the answer" => Err(TransportError::lost("reset")),
            "gives a body that never comes" => endless(|| Poll::Pending),
            "gives a body without an end" => {
                endless(|| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1024]))))))
            }
            "gives a body of empty parts without an end" => {
                endless(|| Poll::Ready(Some(Ok(Frame::data(Bytes::new())))))
            }
            "gives a body of trailers without an end" => {
                endless(|| Poll::Ready(Some(Ok(Frame::trailers(http::HeaderMap::new())))))
            }
            "gives a body that panics" => endless(|| panic!("as the test wants it")),
            "gives a body that fails" => {
                endless(|| Poll::Ready(Some(Err(io::Error::other("cut")))))
            }
            "gives an answer that makes no sense" => status(200),
            "gives a redirection" => status(302),
            "gives a 101" => status(101),
            other => panic!("an unknown row: {other}"),
        }
    }
}

impl Wrong {
    /// Whether only a time limit ends it.
    fn hangs(self) -> bool {
        self.0.starts_with("never")
            || self.0.ends_with("never comes")
            || self.0.contains("empty")
            || self.0.contains("trailers")
    }

    fn client(self) -> Client {
        let limit = if self.hangs() {
            Duration::from_millis(100)
        } else {
            FOREVER
        };
        let client = Client::builder().transport(self).max_retries(0);
        let client = client.timeout(limit).stall_timeout(limit);
        client.build().expect("a client")
    }
}

/// What the table calls an error.
fn name(error: &Error) -> String {
    match error {
        Error::Request(RequestError::Unsendable { .. }) => "`Unsendable`".to_owned(),
        Error::Request(RequestError::NotSent { .. }) => "`NotSent`".to_owned(),
        Error::Request(RequestError::AnswerLost { .. }) => "`AnswerLost`".to_owned(),
        Error::Request(RequestError::Malformed { .. }) => "`Malformed`".to_owned(),
        Error::Request(RequestError::Refused { refusal, .. }) => {
            format!("`Refused` {}", refusal.status)
        }
        other => other.to_string(),
    }
}

#[tokio::test]
async fn every_row_of_the_table_of_transports_is_true() {
    let page = include_str!("../../docs/faults.md");
    let (_, table) = page.split_once("| a transport |").expect("the table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 10);
    let sandbox = sandbox().await;
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, wrong, sees, may_have_taken_effect, _] = cells[..] else {
            panic!("{row}")
        };
        let client = Wrong(wrong).client();
        let flow = welcome(&sandbox).flow(&client);
        let established = in_time(flow.establish_session()).await;
        let error = established.expect_err("no session");
        assert_eq!(name(&error), sees, "{wrong}");
        let flow = ready(&sandbox).await.suspend();
        let flow = flow.resume(welcome(&sandbox), &client).expect("the flow");
        let error = in_time(flow.push(item())).await.expect_err("no delivery");
        assert_eq!(name(&error), sees, "{wrong}");
        let expected = may_have_taken_effect == "yes";
        assert_eq!(error.may_have_taken_effect(), expected, "{wrong}");
    }
}

/// A transport that takes a part of an upload, waits, and so on.
#[derive(Clone, Copy)]
struct Taking {
    pause: Duration,
    parts: u32,
}

#[async_trait]
impl Transport for Taking {
    async fn send(&self, mut request: Request) -> Answer {
        let mut parts = 0;
        while let Some(part) = request.body_mut().frame().await {
            part.map_err(TransportError::lost)?;
            parts += 1;
            if parts > self.parts {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(self.pause).await;
        }
        Ok(http::Response::new(Body::from(
            r#"{"status":"delivered","expires":60}"#,
        )))
    }
}

/// The outcome of pushing 3 MB by a transport, in paused time.
fn push_by(transport: Taking) -> Result<digime::Delivery, Error> {
    let (suspended, contract): (Suspended<Welcome, PostboxReady>, Value) = {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let sandbox = sandbox().await;
            (ready(&sandbox).await.suspend(), once_json(&sandbox))
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = Client::builder().transport(transport).max_retries(0);
        let client = client.stall_timeout(Duration::from_secs(60));
        let contract: Welcome = serde_json::from_value(contract).expect("a contract");
        let flow = suspended.resume(contract, &client.build().expect("a client"));
        let item = PostboxItem::bytes("a.bin", vec![1; 3_000_000]);
        flow.expect("the flow").push(item).await
    })
}

#[test]
fn an_upload_by_a_foreign_transport_may_take_as_long_as_it_takes_parts() {
    let delivered = push_by(Taking {
        pause: Duration::from_secs(15),
        parts: u32::MAX,
    });
    assert!(delivered.is_ok(), "{delivered:?}");
}

#[test]
fn an_upload_by_a_foreign_transport_that_takes_no_more_parts_ends() {
    let error = push_by(Taking {
        pause: Duration::ZERO,
        parts: 3,
    });
    let error = error.expect_err("it stalls");
    assert!(
        error.report().to_string().contains("the upload stalled"),
        "{error}"
    );
    let error = push_by(Taking {
        pause: Duration::from_secs(100),
        parts: u32::MAX,
    });
    let error = error.expect_err("too long a pause");
    assert!(
        error.report().to_string().contains("the upload stalled"),
        "{error}"
    );
}

#[tokio::test]
async fn the_applications_pauses_end_the_attempts() {
    let sandbox = sandbox().await;
    let calls = Arc::new(AtomicU32::new(0));
    let called = calls.clone();
    let attempts = NoteAttempts::default();
    let client = quick(&sandbox)
        .layer(attempts.clone())
        .retry_pauses(move || {
            called.fetch_add(1, Relaxed);
            [Duration::ZERO, Duration::from_millis(1)]
        })
        .build()
        .expect("a client");
    for _ in 0..10 {
        sandbox.inject(Endpoint::Session, Fault::Status(503));
    }
    let flow = welcome(&sandbox).flow(&client);
    let error = flow.establish_session().await.expect_err("a refusal");
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(attempts.0.lock().expect("no panic").len(), 3);
    let _ = flow.establish_session().await.expect_err("a refusal");
    assert_eq!(calls.load(Relaxed), 2);
}

#[tokio::test]
async fn the_applications_pauses_do_not_override_what_the_platform_asks() {
    let sandbox = sandbox().await;
    let client = || quick(&sandbox).retry_pauses(|| std::iter::repeat(Duration::ZERO));
    let contract = welcome(&sandbox);
    sandbox.inject(Endpoint::Session, Fault::RetryAfter(503, 3600));
    let flow = contract.flow(&client().build().expect("a client"));
    let error = flow
        .establish_session()
        .await
        .expect_err("an hour is too long");
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(sandbox.requests(Endpoint::Session), 1);
    sandbox.inject(Endpoint::Session, Fault::RetryAfter(503, 1));
    let hurried = client().call_timeout(Duration::from_millis(500));
    let flow = contract.flow(&hurried.build().expect("a client"));
    let _ = flow
        .establish_session()
        .await
        .expect_err("its time would be over");
    assert_eq!(sandbox.requests(Endpoint::Session), 2);
}

#[tokio::test]
async fn the_keys_of_tokens_that_nobody_else_gets_are_fetched_beyond_the_applications_pauses() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .retry_pauses(|| [])
        .build()
        .expect("a client");
    let awaiting = awaiting_with(&sandbox, &client).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    sandbox.rotate_key();
    for _ in 0..3 {
        sandbox.inject(Endpoint::Keys, Fault::Status(500));
    }
    let exchanged = in_time(awaiting.exchange_code(callback)).await;
    assert!(exchanged.is_ok(), "{exchanged:?}");
}

/// A transport whose error repeats the request's secrets.
struct Gossip;

#[async_trait]
impl Transport for Gossip {
    async fn send(&self, request: Request) -> Answer {
        let token = request.headers().get("authorization").expect("a token");
        let token = token.to_str().expect("text");
        let claims = token.split('.').nth(1).expect("claims");
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64");
        let claims = String::from_utf8(claims).expect("text");
        Err(TransportError::lost(format!(
            "can't send {token} with {claims}"
        )))
    }
}

#[tokio::test]
async fn no_error_of_a_transport_shows_a_secret() {
    let sandbox = sandbox().await;
    let client = Client::builder().transport(Gossip).max_retries(0);
    let flow = authorized(&sandbox).await;
    let access_token = flow.access_token().secret().to_owned();
    let flow = flow
        .suspend()
        .resume(receipts(&sandbox), &client.build().expect("a client"));
    let error = flow
        .expect("the flow")
        .push(item())
        .await
        .expect_err("no delivery");
    let report = error.report().to_string();
    assert!(report.contains("can't send"), "{report}");
    assert!(!report.contains(&access_token), "{report}");
    assert!(!report.contains("eyJ"), "{report}");
}

/// A platform that gives sessions, refuses everything else, and notes it.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<VecDeque<String>>>);

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: Request) -> Answer {
        let Some(token) = request.headers().get("authorization") else {
            return Ok(http::Response::new(session()));
        };
        let token = token.to_str().expect("text").to_owned();
        self.0.lock().expect("no panic").push_back(token);
        let refusal = http::Response::builder().status(400).body(Body::from("{}"));
        refusal.map_err(TransportError::unsendable)
    }
}

#[tokio::test]
async fn two_requests_of_the_same_randomness_differ_only_in_their_signatures() {
    let sandbox = sandbox().await;
    let tokens = Recorder::default();
    let time = SystemTime::now();
    let from = |first| {
        let next = AtomicU8::new(first);
        move |bytes: &mut [u8]| bytes.fill_with(|| next.fetch_add(1, Relaxed))
    };
    let builder = || {
        Client::builder()
            .transport(tokens.clone())
            .clock(move || time)
    };
    for client in [
        builder().random(from(0)),
        builder().random(from(0)),
        builder().random(from(99)),
        builder(),
    ] {
        let flow = receipts(&sandbox).flow(&client.build().expect("a client"));
        let session = flow.establish_session().await.expect("a session");
        let _ = flow.create_postbox(session).await.expect_err("a refusal");
    }
    let tokens = tokens.0.lock().expect("no panic");
    let parts: Vec<_> = tokens
        .iter()
        .map(|token| token.rsplit_once('.').expect("a token"))
        .collect();
    assert_eq!(parts.len(), 4);
    assert_eq!(parts[0].0, parts[1].0);
    assert_ne!(parts[0].1, parts[1].1, "the signatures stay random");
    assert_ne!(parts[0].0, parts[2].0);
    assert_ne!(parts[0].0, parts[3].0);
    let claims = parts[0].0.split('.').nth(1).expect("claims");
    let claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64"))
            .expect("JSON");
    // The state is drawn before the verifier, and the nonce last.
    let state: Vec<u8> = (0..32).collect();
    assert_eq!(claims["state"], BASE64_URL_SAFE_NO_PAD.encode(state));
    let nonce = claims["nonce"].as_str().expect("a nonce");
    assert_eq!(nonce.len(), 32);
}

#[tokio::test]
async fn what_is_pushed_through_layers_is_not_gathered_in_memory() {
    let sandbox = sandbox().await;
    let largest = Arc::new(AtomicU32::new(0));
    let seen = largest.clone();
    let layer = tower::util::MapRequestLayer::new(move |request: Request| {
        let seen = seen.clone();
        request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let length = frame.data_ref().map_or(0, Bytes::len);
                seen.fetch_max(u32::try_from(length).expect("a length"), Relaxed);
                frame
            }))
        })
    });
    let client = quick(&sandbox).layer(layer).build().expect("a client");
    let flow = authorized(&sandbox).await.suspend();
    let flow = flow.resume(receipts(&sandbox), &client).expect("the flow");
    let item = PostboxItem::bytes("a.bin", vec![1; 10_000_000]);
    let _ = flow.push(item).await.expect("a delivery");
    assert_eq!(sandbox.inbox()[0].size, 10_000_000);
    let largest = largest.load(Relaxed);
    assert!((1..1_000_000).contains(&largest), "{largest}");
}
