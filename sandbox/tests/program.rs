//! The sandbox as a program.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn it_prints_where_it_is_as_one_line_and_serves() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_digime-sandbox"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut line = String::new();
    BufReader::new(program.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("a line");
    let described: Value = serde_json::from_str(&line).expect("JSON");
    let base_url = described["base_url"].as_str().expect("a URL");
    assert!(
        base_url.starts_with("http://127.0.0.1:") && base_url.ends_with("/v1.5"),
        "{base_url}"
    );
    for name in ["consent_url", "inbox_url", "application_id"] {
        assert!(described[name].is_string(), "{name}");
    }
    for kind in ["once", "ongoing"] {
        let contract = &described["contracts"][kind];
        assert!(contract["contract_id"].is_string() && contract["redirect_uri"].is_string());
        let key = contract["private_key"].as_str().expect("a key");
        assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"), "{key}");
    }
    let address = base_url
        .trim_start_matches("http://")
        .trim_end_matches("/v1.5");
    std::net::TcpStream::connect(address).expect("it serves");
    program.kill().expect("it runs");
    program.wait().expect("it ends");
}
