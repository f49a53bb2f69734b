//! The sandbox as a program.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_digime-sandbox");

/// A running sandbox, which is killed when a test fails.
struct Running {
    child: Child,
    described: Value,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(Command::new(PROGRAM).args(arguments))
    }

    fn spawn(program: &mut Command) -> Self {
        let mut child = program
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line);
        read.expect("a line");
        let described = serde_json::from_str(&line);
        let described = described.unwrap_or_else(|_| panic!("{line}"));
        Self { child, described }
    }

    fn text(&self, name: &str) -> &str {
        self.described[name].as_str().expect(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program that can't start.
fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM).args(arguments).output();
    let Output { status, stderr, .. } = output.expect("the program runs");
    (status.code(), String::from_utf8(stderr).expect("text"))
}

/// A folder that is removed with the test's target folder.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn it_prints_where_it_is_as_one_line_and_serves() {
    let running = Running::start(&[]);
    let base_url = running.text("base_url");
    assert!(
        base_url.starts_with("http://127.0.0.1:") && base_url.ends_with("/v1.5"),
        "{base_url}"
    );
    let origin = base_url.trim_end_matches("/v1.5");
    for (name, path) in [
        ("phone_url", "/phone"),
        ("inbox_page_url", "/inbox"),
        ("consent_url", "/sandbox/consent"),
        ("inbox_url", "/sandbox/inbox"),
        ("faults_url", "/sandbox/faults"),
        ("clock_url", "/sandbox/clock"),
        ("import_base_url", "/v1.7"),
        ("onboarding_url", "/apps/saas/"),
    ] {
        assert_eq!(running.text(name), format!("{origin}{path}"));
    }
    for kind in ["once", "ongoing", "import"] {
        let contract = &running.described["contracts"][kind];
        assert_eq!(contract["kind"], kind);
        assert_eq!(contract["application_id"], running.text("application_id"));
        assert!(contract["contract_id"].is_string() && contract["redirect_uri"].is_string());
        let key = contract["private_key"].as_str().expect("a key");
        assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"), "{key}");
    }
    let address = origin.trim_start_matches("http://");
    std::net::TcpStream::connect(address).expect("it serves");
}

#[test]
fn it_has_the_contracts_of_a_file() {
    let folder = folder("contracts");
    fs::write(folder.join("bills.pem"), include_str!("keys/pkcs8.pem")).expect("a file");
    let file = folder.join("contracts.toml");
    let text = r#"
        [[contract]]
        kind = "ongoing"
        contract_id = "corner-shop-receipts"
        application_id = "corner-shop"
        name = "Receipts"
        application_name = "Corner Shop"
        redirect_uris = ["http://localhost:3000/digime/callback", "https://shop.example/callback"]

        [[contract]]
        kind = "once"
        contract_id = "bills"
        application_id = "utility"
        private_key_file = "bills.pem"

        [[contract]]
        kind = "import"
        contract_id = "documents"
        application_id = "utility"
    "#;
    fs::write(&file, text).expect("a file");
    let running = Running::start(&["--contracts", file.to_str().expect("a path")]);
    let contracts = &running.described["contracts"];
    let receipts = &contracts["corner-shop-receipts"];
    assert_eq!(receipts["name"], "Receipts");
    assert_eq!(receipts["application_id"], "corner-shop");
    assert_eq!(
        receipts["redirect_uri"],
        "http://localhost:3000/digime/callback"
    );
    assert_eq!(
        receipts["redirect_uris"][1],
        "https://shop.example/callback"
    );
    assert_eq!(contracts["bills"]["kind"], "once");
    assert_eq!(contracts["documents"]["kind"], "import");
    assert!(contracts["once"]["private_key"].is_string());
}

#[test]
fn a_mistake_in_the_file_is_one_line_that_says_where() {
    let folder = folder("mistakes");
    let file = folder.join("contracts.toml");
    let path = file.to_str().expect("a path");
    let begin = "[[contract]]\nkind = \"once\"\ncontract_id = \"a\"\napplication_id = \"b\"\n";
    for (text, message) in [
        (
            format!("{begin}redirect_uri = \"x\"\n"),
            "line 5: unknown field `redirect_uri`",
        ),
        (
            begin.replace("once", "twice"),
            "line 2: unknown variant `twice`",
        ),
        (
            begin.replace("application_id", "app"),
            "line 4: unknown field `app`",
        ),
        (
            "[[contract]]\nkind = \"once\"\n".into(),
            "missing field `contract_id`",
        ),
        ("[[contract]\n".into(), "line 1: "),
        (
            format!("{begin}private_key = \"a\"\nprivate_key_file = \"b\"\n"),
            "both `private_key` and `private_key_file`",
        ),
        (
            format!("{begin}private_key_file = \"nope.pem\"\n"),
            "can't read `",
        ),
        (
            format!("{begin}private_key = \"secret\"\n"),
            "the private key of the contract `a` is not PEM",
        ),
        (
            format!("{begin}redirect_uris = [\"/a\"]\n"),
            "the redirect URI `/a` of the contract `a` is not an absolute URL",
        ),
        (format!("{begin}{begin}"), "two contracts have the id `a`"),
    ] {
        fs::write(&file, &text).expect("a file");
        let (code, error) = fails(&["--contracts", path]);
        assert_eq!(code, Some(1), "{error}");
        assert!(
            error.starts_with("error: ") && error.contains(message),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn unknown_arguments_are_refused() {
    for arguments in [
        &["--prot", "1"][..],
        &["serve"],
        &["--port", "many"],
        &["--bind", "nowhere"],
        &["--access-token-lifetime", "soon"],
        &["--consent-lifetime", "long"],
    ] {
        let (code, error) = fails(arguments);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.starts_with("error: "), "{error}");
    }
    for argument in ["--help", "--version"] {
        let output = Command::new(PROGRAM).arg(argument).output();
        assert!(output.expect("the program runs").status.success());
    }
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let (code, error) = fails(&["--port", &address.port().to_string()]);
    assert_eq!(code, Some(1));
    let begin = format!("error: can't listen on {address}: ");
    assert!(error.starts_with(&begin), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn an_address_that_others_can_reach_is_warned_about() {
    let mut running = Running::start(&["--bind", "0.0.0.0", "--public-url", "http://sandbox:8700"]);
    assert_eq!(running.text("base_url"), "http://sandbox:8700/v1.5");
    running.child.kill().expect("it runs");
    let mut warning = String::new();
    let stderr = running.child.stderr.as_mut().expect("its errors");
    stderr.read_to_string(&mut warning).expect("text");
    assert!(
        warning.starts_with("warning: whoever can reach 0.0.0.0"),
        "{warning}"
    );
}

#[cfg(unix)]
#[test]
fn it_ends_with_success_when_it_is_interrupted_or_terminated() {
    for signal in ["-INT", "-TERM"] {
        let mut running = Running::start(&[]);
        let killed = Command::new("kill")
            .args([signal, &running.child.id().to_string()])
            .status();
        assert!(killed.expect("kill runs").success());
        let status = running.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

/// A process may open only so many files.
#[cfg(target_os = "linux")]
#[test]
fn it_serves_again_after_too_many_connections() {
    use std::io::Write;
    use std::net::TcpStream;

    let program = format!("ulimit -n 40 && exec {PROGRAM}");
    let running = Running::spawn(Command::new("sh").args(["-c", &program]));
    let origin = running.text("base_url").trim_end_matches("/v1.5");
    let connect = || TcpStream::connect(origin.trim_start_matches("http://"));
    let others: Vec<_> = (0..60).map(|_| connect().expect("a connection")).collect();
    let mut last = connect().expect("a connection");
    let request = b"GET /style.css HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n";
    last.write_all(request).expect("it is sent");
    drop(others);
    let mut answer = String::new();
    last.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
