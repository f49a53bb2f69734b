//! Requests that libraries add: endpoints that digime does not have.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use digime::error::{ItemError, Operation, RequestError};
use digime::request::Request;
use digime::{Error, Flow, PostboxItem, Unstarted};
use digime_sandbox::{Endpoint, Fault};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::set_up::{Receipts, authorized, client, quick, receipts, sandbox, until};

/// A request as a server reads it.
#[derive(Clone, Debug)]
struct Seen {
    /// The method and the target.
    line: String,
    headers: Vec<(String, String)>,
    body: u64,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map_or("", |(_, value)| value)
    }

    /// The claims of a token in a header, which nobody verifies here.
    fn claims(&self, header: &str) -> Value {
        use base64::Engine;
        let token = self.header(header).trim_start_matches("Bearer ");
        let claims = token.split('.').nth(1).expect("a token");
        let json = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(claims);
        serde_json::from_slice(&json.expect("base64")).expect("JSON")
    }
}

/// A server that answers its requests with these in turn, and with the last one from then on.
struct Server {
    base_url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// How many connections the client closed before it had an answer.
    closed: Arc<AtomicUsize>,
}

impl Server {
    async fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let closed = Arc::<AtomicUsize>::default();
        let ends = closed.clone();
        let (all, answers) = (
            seen.clone(),
            answers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        );
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(
                    connection,
                    all.clone(),
                    ends.clone(),
                    answers.clone(),
                ));
            }
        });
        let base_url = format!("http://{address}/v1.7");
        Self {
            base_url,
            seen,
            closed,
        }
    }

    /// The `n`th request.
    fn seen(&self, n: usize) -> Seen {
        self.seen.lock().expect("the requests")[n].clone()
    }

    fn requests(&self) -> usize {
        self.seen.lock().expect("the requests").len()
    }

    async fn flow(&self) -> Flow<Receipts, Unstarted> {
        let sandbox = sandbox().await;
        receipts(&sandbox).flow(
            &quick(&sandbox)
                .base_url(&self.base_url)
                .build()
                .expect("a client"),
        )
    }
}

async fn serve(
    connection: TcpStream,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: Arc<AtomicUsize>,
    answers: Vec<String>,
) -> std::io::Result<()> {
    let mut connection = BufReader::with_capacity(1 << 20, connection);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("text");
    let mut lines = head.lines();
    let line = lines.next().expect("a request line").to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let mut request = Seen {
        line,
        headers: headers.collect(),
        body: 0,
    };
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body =
        tokio::io::copy(&mut (&mut connection).take(length), &mut tokio::io::sink()).await?;
    let answer = {
        let mut seen = seen.lock().expect("the requests");
        seen.push(request);
        answers[(seen.len() - 1).min(answers.len() - 1)].clone()
    };
    if answer.is_empty() {
        // Until the client closes the connection.
        connection.read_u8().await.expect_err("no other request");
        closed.fetch_add(1, Relaxed);
        return Ok(());
    }
    connection.write_all(answer.as_bytes()).await?;
    connection.shutdown().await
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

const READ: Operation = Operation::custom("read the contract");

fn read() -> Request {
    Request::get(["permission-access", "contract"], READ)
}

#[tokio::test]
async fn a_request_is_sent_as_it_is_described() {
    let server = Server::answering(&[&answer("201 Created", r#"{"id":"1"}"#)]).await;
    let flow = server.flow().await;
    let request = Request::post(
        ["permission-access", "query", "a b/../c%2e.json", "h:x"],
        READ,
    )
    .query("format", "a&b")
    .claims(&json!({"state": "s", "n": 1}))
    .claims(&json!({"more": [true]}))
    .header("accept", "application/json")
    .header("accountId", "7")
    .signed_header("FileDescriptor", &json!({"metadata": {"tags": ["a"]}}))
    .json(&json!({"agent": {}}));
    let answer = flow.request(request).await.expect("an answer");
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.header("content-length"), Some("10"));
    let content: Value = answer.json().expect("JSON");
    assert_eq!(content, json!({"id": "1"}));

    let seen = server.seen(0);
    assert_eq!(
        seen.line,
        "POST /v1.7/permission-access/query/a%20b%2F..%2Fc%252e.json/h:x?format=a%26b HTTP/1.1"
    );
    assert_eq!(seen.header("accept"), "application/json");
    assert_eq!(seen.header("accountid"), "7");
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.body, 12);
    assert_eq!(
        seen.claims("filedescriptor"),
        json!({"metadata": {"tags": ["a"]}})
    );
    let claims = seen.claims("authorization");
    let names: Vec<_> = claims.as_object().expect("claims").keys().collect();
    assert_eq!(
        names,
        [
            "client_id",
            "more",
            "n",
            "nonce",
            "redirect_uri",
            "state",
            "timestamp"
        ]
    );
    assert_eq!(claims["more"], json!([true]));
}

#[tokio::test]
async fn a_token_and_its_redirect_uri_can_be_left_out() {
    let server = Server::answering(&[&answer("204 No Content", "")]).await;
    let flow = server.flow().await;
    let request = Request::post(["storage"], READ).without_redirect_uri();
    flow.request(request).await.expect("an answer");
    assert_eq!(
        server.seen(0).claims("authorization").get("redirect_uri"),
        None
    );
    assert_eq!(server.seen(0).header("content-length"), "0");
    let callback = json!({"redirect_uri": "https://other.example/callback"});
    let request = Request::post(["storage"], READ).claims(&callback);
    flow.request(request).await.expect("an answer");
    let claims = server.seen(1).claims("authorization");
    assert_eq!(claims["redirect_uri"], "https://other.example/callback");
    flow.request(read().without_token())
        .await
        .expect("an answer");
    assert_eq!(server.seen(2).header("authorization"), "");
}

#[tokio::test]
async fn each_attempt_has_a_nonce_of_its_own() {
    let busy = answer("503 Busy", "");
    let server = Server::answering(&[&busy, &busy, &answer("200 OK", "{}")]).await;
    server
        .flow()
        .await
        .request(read())
        .await
        .expect("an answer");
    let nonces: Vec<_> = (0..3)
        .map(|n| server.seen(n).claims("authorization")["nonce"].clone())
        .collect();
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2] && nonces[0] != nonces[2]);
}

#[tokio::test]
async fn a_request_that_may_be_made_once_is_repeated_only_if_it_was_not_acted_upon() {
    let delete = || {
        let stake = "the account may already be deleted";
        Request::delete(["user"], Operation::custom("delete the user").once(stake))
    };
    let failed = answer("500 Failed", "");
    let server = Server::answering(&[&answer("503 Busy", ""), &failed]).await;
    let error = server
        .flow()
        .await
        .request(delete())
        .await
        .expect_err("it failed");
    assert_eq!(server.requests(), 2);
    assert!(error.may_have_taken_effect());
    assert_eq!(
        error.to_string(),
        "can't delete the user: the platform refused (500); the account may already be deleted; find out whether it is so before you try again"
    );

    let server = Server::answering(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"]).await;
    let error = server
        .flow()
        .await
        .request(delete())
        .await
        .expect_err("it was cut short");
    assert!(
        matches!(error, Error::Request(RequestError::AnswerLost { .. })),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "can't delete the user: the answer was lost; the account may already be deleted; find out whether it is so before you try again"
    );
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_refusal_is_read_as_ours_are_and_shows_no_secret() {
    let body = r#"{"error":{"code":"InvalidToken","message":"the token c2VjcmV0LXRva2VuLTQy and secret-token-42","reference":"r"}}"#;
    let server = Server::answering(&[&answer("401 Unauthorized", body)]).await;
    let flow = server.flow().await;
    let error = flow
        .request(read().secret("secret-token-42"))
        .await
        .expect_err("refused");
    let Error::Request(RequestError::Refused { operation, refusal }) = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (*operation, refusal.status, refusal.code.as_str()),
        (READ, 401, "InvalidToken")
    );
    assert_eq!(server.requests(), 1);
    assert!(!error.may_have_taken_effect());
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("can't read the contract") && !shown.contains("token-42"),
        "{shown}"
    );
    assert!(!shown.contains("c2VjcmV0"), "{shown}");
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_makes_no_sense_is_malformed() {
    let long = answer("200 OK", &"x".repeat((1 << 20) + 1));
    let server = Server::answering(&[&long, &answer("200 OK", "<html>")]).await;
    let flow = server.flow().await;
    let error = flow.request(read()).await.expect_err("it is too long");
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    let answer = flow.request(read()).await.expect("an answer");
    assert_eq!(&answer.bytes()[..], b"<html>");
    let error = answer.json::<Value>().expect_err("no JSON");
    assert!(
        error.to_string().starts_with("can't read the contract: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let moved = "HTTP/1.1 307 Moved\r\nlocation: /v1.7/other\r\ncontent-length: 0\r\n\r\n";
    let server = Server::answering(&[moved]).await;
    let error = server
        .flow()
        .await
        .request(read())
        .await
        .expect_err("it moved");
    assert!(
        error.to_string().contains("redirections are not followed"),
        "{error}"
    );
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn what_a_library_may_not_set_is_refused_before_anything_is_sent() {
    let server = Server::answering(&[&answer("200 OK", "{}")]).await;
    let flow = server.flow().await;
    let post = || Request::post(["a"], READ);
    for (request, why) in [
        (
            post().header("Authorization", "Bearer x"),
            "the header `authorization` is the client's",
        ),
        (
            post().header("Host", "evil.example"),
            "the header `host` is the client's",
        ),
        (
            post().header("content-length", "1"),
            "the header `content-length` is the client's",
        ),
        (
            post().signed_header("authorization", &1),
            "the header `authorization` is the client's",
        ),
        (
            post().header("a b", "c"),
            "a header's name has a character that no header has",
        ),
        (
            post().header("a", "b\r\nc: d"),
            "a header's value has a character that no header has",
        ),
        (
            post().body("a\nb", ""),
            "the content type has a character that no header has",
        ),
        (
            post().claims(&json!({"nonce": "mine"})),
            "and `timestamp` are the client's",
        ),
        (
            post().claims(&json!([1])),
            "the claims are not a JSON object",
        ),
        (Request::get([""; 0], READ), "the path is empty"),
        (
            Request::get(["a", ".."], READ),
            "the path is empty, or has a segment",
        ),
        (
            Request::get(["a", "."], READ),
            "the path is empty, or has a segment",
        ),
        (
            Request::get(["a", ""], READ),
            "the path is empty, or has a segment",
        ),
        (
            Request::get(["a\tb"], READ),
            "the path is empty, or has a segment",
        ),
    ] {
        let error = flow.request(request).await.expect_err(why);
        assert!(
            matches!(error, Error::Request(RequestError::Unsendable { .. })),
            "{error}"
        );
        let report = error.report().to_string();
        assert!(report.contains(why), "{report}");
        assert!(
            report.contains("the library that describes it has to change it"),
            "{report}"
        );
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_request_and_its_answer_print_no_secret() {
    let server = Server::answering(&[&answer("200 OK", r#"{"secret":1}"#)]).await;
    let request = Request::get(["secret"], READ).claims(&json!({"secret": 1}));
    let request = request.header("a", "secret").secret("secret");
    assert_eq!(
        format!("{request:?}"),
        "Request { method: GET, operation: Custom { name: \"read the contract\", at_stake: None }, .. }"
    );
    let answer = server
        .flow()
        .await
        .request(request)
        .await
        .expect("an answer");
    assert!(!format!("{answer:?}").contains("secret"));
}

#[tokio::test]
async fn a_large_item_is_sent_as_it_is_in_flat_memory() {
    const SIZE: u64 = 1 << 30;
    let server = Server::answering(&[&answer("503 Busy", ""), &answer("200 OK", "")]).await;
    let flow = server.flow().await;
    let open = || async { Ok(tokio::io::repeat(7).take(SIZE)) };
    let request = || Request::post(["permission-access", "import"], Operation::custom("import"));
    let item = PostboxItem::open_with("scan.pdf", open).length(SIZE);
    let request_of_item = request().item("application/octet-stream", item);
    flow.request(request_of_item).await.expect("an answer");
    for n in 0..2 {
        assert_eq!(server.seen(n).body, SIZE);
        assert_eq!(
            server.seen(n).header("content-type"),
            "application/octet-stream"
        );
    }
    let most = peak_memory();
    assert!(most.is_none_or(|most| most < SIZE / 1024), "{most:?} KiB");

    let once = PostboxItem::reader("a", tokio::io::repeat(7).take(9)).length(9);
    let server = Server::answering(&[&answer("503 Busy", "")]).await;
    let flow = server.flow().await;
    let error = flow
        .request(request().item("a/b", once))
        .await
        .expect_err("busy");
    assert!(
        matches!(error, Error::Request(RequestError::Refused { .. })),
        "{error}"
    );
    assert_eq!(server.requests(), 1, "what can be read once is sent once");

    let gone = PostboxItem::file("/no/such/file");
    let error = flow
        .request(request().item("a/b", gone))
        .await
        .expect_err("no file");
    assert!(
        matches!(error, Error::Item(ItemError::Unreadable { .. })),
        "{error}"
    );
}

/// The most memory that this process has had, in KiB.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[tokio::test]
async fn a_request_that_is_dropped_is_not_sent_again() {
    let server = Server::answering(&[""]).await;
    let flow = server.flow().await;
    tokio::select! {
        _ = flow.request(read()) => panic!("nobody answers"),
        () = until(async || server.requests() == 1) => {}
    }
    until(async || server.closed.load(Relaxed) == 1).await;
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_patient_request_can_be_sent_in_a_task_of_its_own() {
    let server = Server::answering(&[&answer("200 OK", "{}")]).await;
    let flow = server.flow().await;
    let exchange = Request::post(
        ["oauth", "token"],
        Operation::custom("exchange").once("spent"),
    );
    let exchange = exchange.claims(&json!({"code": "c"})).patient();
    let task = tokio::spawn(async move { flow.request(exchange).await });
    let answer = task.await.expect("the task").expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(server.seen(0).claims("authorization")["code"], "c");
}

#[derive(Deserialize)]
struct TokenOfAnswer {
    token: String,
}

#[derive(Deserialize)]
struct Preauthorization {
    preauthorization_code: String,
}

fn authorize() -> Request {
    Request::post(["oauth", "authorize"], Operation::custom("authorize"))
        .claims(&json!({
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "response_mode": "query",
            "response_type": "code",
            "state": "some-state",
        }))
        .secret("some-state")
}

#[tokio::test]
async fn a_token_in_an_answer_is_verified() {
    let sandbox = sandbox().await;
    let flow = receipts(&sandbox).flow(&client(&sandbox));
    let answer = flow.request(authorize()).await.expect("an answer");
    let TokenOfAnswer { token } = answer.json().expect("a token");
    let claims: Preauthorization = flow.verify(&answer, &token).await.expect("claims");
    assert!(!claims.preauthorization_code.is_empty());
    assert_eq!(sandbox.violations(), [""; 0]);

    sandbox.inject(Endpoint::Authorize, Fault::ForgedToken);
    let answer = flow.request(authorize()).await.expect("an answer");
    let TokenOfAnswer { token } = answer.json().expect("a token");
    let forged = flow.verify::<Preauthorization>(&answer, &token).await;
    let error = forged.map(drop).expect_err("a forged token");
    assert!(
        matches!(error, Error::Request(RequestError::Untrusted { .. })),
        "{error}"
    );
    assert!(
        error.to_string().starts_with("can't authorize: "),
        "{error}"
    );
}

#[tokio::test]
async fn an_access_token_that_has_expired_is_refreshed_before_it_is_used() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let first = flow.valid_access_token().await.expect("a token");
    assert_eq!(first, flow.access_token());
    assert_eq!(sandbox.refreshes(), 0);
    let short = digime_sandbox::Sandbox::builder().access_token_lifetime(Duration::from_secs(20));
    let short = short.start().await.expect("a free port");
    let flow = authorized(&short).await;
    let first = flow.access_token();
    let (one, other) = tokio::join!(flow.valid_access_token(), flow.valid_access_token());
    assert_ne!(one.expect("a token"), first);
    assert_ne!(other.expect("a token"), first);
}

#[tokio::test]
async fn a_token_that_the_platform_refuses_is_replaced_once_for_all_callers() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let stale = flow.access_token();
    let (one, other) = tokio::join!(
        flow.replace_access_token(&stale),
        flow.replace_access_token(&stale)
    );
    let late = flow.replace_access_token(&stale).await.expect("a token");
    assert_ne!(late, stale);
    assert_eq!(one.expect("a token"), late);
    assert_eq!(other.expect("a token"), late);
    assert_eq!(sandbox.refreshes(), 1);
}
