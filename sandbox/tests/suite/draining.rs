//! A refusal reaches a client that sends all of its body before it reads the answer.

use digime_sandbox::{Endpoint, Fault, Sandbox};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BODY: usize = 1 << 20;

/// Sends a head and, slowly, a body. Then reads the answer.
async fn send_and_read(sandbox: &Sandbox, path: &str) -> String {
    let (mut connection, address) = connect(sandbox).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\nContent-Length: {BODY}\r\nConnection: close\r\n\r\n"
    );
    connection
        .write_all(head.as_bytes())
        .await
        .expect("the head is read");
    let http = reqwest::Client::new();
    let part = vec![b'x'; BODY / 64];
    for _ in 0..64 {
        // The sandbox has answered another request after each part, so it had the time to refuse this one.
        let other = http.get(format!("http://{address}/sandbox/inbox"));
        other.send().await.expect("an answer");
        let written = connection.write_all(&part).await;
        written.expect("the body is read");
    }
    let mut answer = String::new();
    let read = connection.read_to_string(&mut answer).await;
    read.expect("an answer");
    answer
}

async fn connect(sandbox: &Sandbox) -> (TcpStream, &str) {
    let address = sandbox.base_url().trim_start_matches("http://");
    let address = address.trim_end_matches("/v1.5");
    let connection = TcpStream::connect(address).await;
    (connection.expect("it listens"), address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_is_read_to_its_end() {
    let sandbox = Sandbox::start().await.expect("a port");
    let path = "/v1.5/permission-access/postbox/nope";
    let answer = send_and_read(&sandbox, path).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("InvalidJWT"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_reads_a_body_to_its_end() {
    let sandbox = Sandbox::start().await.expect("a port");
    for (path, status) in [
        ("/v1.5/oauth/token", "401"),
        ("/v1.5/permission-access/session", "400"),
        ("/v1.5/jwks/oauth", "405"),
        ("/nothing/is/here", "404"),
        ("/sandbox/inbox", "405"),
        ("/phone", "415"),
    ] {
        let answer = send_and_read(&sandbox, path).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_refusal_reads_a_body_to_its_end() {
    let sandbox = Sandbox::start().await.expect("a port");
    sandbox.inject(Endpoint::Push, Fault::Refuse(503, "InvalidRequest"));
    let path = "/v1.5/permission-access/postbox/any";
    let answer = send_and_read(&sandbox, path).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_reading_comes_before_the_body_has_ended() {
    let sandbox = Sandbox::start().await.expect("a port");
    sandbox.inject(Endpoint::Push, Fault::RefuseUnread(413));
    let (mut connection, address) = connect(&sandbox).await;
    let head = format!(
        "POST /v1.5/permission-access/postbox/any HTTP/1.1\r\nHost: {address}\r\nContent-Length: {BODY}\r\n\r\n"
    );
    connection
        .write_all(head.as_bytes())
        .await
        .expect("the head is read");
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_is_not_read_for_ever() {
    let sandbox = Sandbox::start().await.expect("a port");
    let (mut connection, address) = connect(&sandbox).await;
    let head =
        format!("POST /nothing HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection
        .write_all(head.as_bytes())
        .await
        .expect("the head is read");
    let mut chunk = b"100000\r\n".to_vec();
    chunk.resize(chunk.len() + (1 << 20), b'x');
    chunk.extend(b"\r\n");
    let mut sent = 0;
    while connection.write_all(&chunk).await.is_ok() {
        sent += 1;
        assert!(sent < 1024, "a gigabyte is read");
    }
    assert!(sent >= 64, "{sent}");
}
