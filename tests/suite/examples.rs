//! Runs the examples as a user would.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use digime_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::set_up::sandbox;

fn example(name: &str) -> Command {
    let cargo = std::env::var("CARGO").expect("cargo runs the tests");
    let mut command = Command::new(cargo);
    command
        .args(["run", "--quiet", "--example", name, "--"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the example runs")
}

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_shortest_programs_of_both_flows_deliver() {
    let once = stdout(&output(&mut example("once")));
    assert!(
        once.starts_with("Pending: ") && once.contains("welcome.txt"),
        "{once}"
    );
    let ongoing = stdout(&output(&mut example("ongoing")));
    assert!(
        ongoing.starts_with("Delivered: ") && ongoing.contains("receipt.txt"),
        "{ongoing}"
    );
}

#[test]
fn the_loopback_is_reached_without_a_proxy() {
    let mut once = example("once");
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        once.env(variable, "http://127.0.0.1:1");
    }
    for variable in ["no_proxy", "NO_PROXY"] {
        once.env_remove(variable);
    }
    assert!(stdout(&output(&mut once)).starts_with("Pending: "));
}

#[test]
fn push_prints_each_state_and_what_was_received() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("say \"hi\".txt");
    std::fs::write(&path, "abc").expect("a file");
    let received = "received: say \"hi\".txt (3 bytes) sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    for (kind, states) in [
        (
            "ongoing",
            "state: Unstarted\nstate: AwaitingCallback<Verifier>\nstate: Authorized\n",
        ),
        (
            "once",
            "state: Unstarted\nstate: AwaitingCallback<NoVerifier>\nstate: PostboxReady\n",
        ),
        (
            "import",
            "state: Unstarted\nstate: AwaitingConsent<Verifier>\nstate: Connected\n",
        ),
    ] {
        let printed = stdout(&output(example("push").args(["--kind", kind]).arg(&path)));
        assert_eq!(printed, format!("{states}{received}"));
    }
}

/// Starts `push` with the sandbox as another platform.
fn push_to(sandbox: &Sandbox, folder: &std::path::Path, kind: &str) -> Command {
    let (contract, base_url) = match kind {
        "once" => (&sandbox.contracts().once, sandbox.base_url()),
        "ongoing" => (&sandbox.contracts().ongoing, sandbox.base_url()),
        _ => (&sandbox.contracts().import, sandbox.import_base_url()),
    };
    let config = folder.join("contract.toml");
    std::fs::write(folder.join("key.pem"), &contract.private_key).expect("a file");
    let text = format!(
        "application_id = {:?}\ncontract_id = {:?}\nprivate_key_file = \"key.pem\"\nredirect_uri = {:?}\naccount = \"c-42\"\n",
        contract.application_id, contract.contract_id, contract.redirect_uri
    );
    std::fs::write(&config, text).expect("a file");
    let mut command = example("push");
    command
        .args(["--base-url", base_url, "--kind", kind, "--config"])
        .arg(config)
        .args(["--onboarding-url", sandbox.onboarding_url()]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn push_works_with_any_platform_and_a_person() {
    let sandbox = sandbox().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.txt");
    std::fs::write(&file, "abc").expect("a file");
    for (kind, status, expires) in [
        ("once", "pending", Some(604_800)),
        ("ongoing", "delivered", Some(604_800)),
        ("import", "delivered", None),
    ] {
        let mut push = push_to(&sandbox, folder.path(), kind)
            .arg(&file)
            .spawn()
            .expect("the example runs");
        let mut lines = BufReader::new(push.stdout.take().expect("its output")).lines();
        let asked = lines.next().expect("a line").expect("a line");
        let link = asked.strip_prefix("open ").expect("a link");
        let callback = sandbox.consent(link).await.expect("a callback");
        writeln!(push.stdin.take().expect("its input"), "{callback}").expect("it reads");
        let message: Value =
            serde_json::from_str(&lines.next().expect("a line").expect("a line")).expect("JSON");
        assert_eq!(
            message,
            json!({"file": file, "status": status, "expires": expires})
        );
        assert!(lines.next().is_none());
        assert!(push.wait().expect("it ends").success());
        let received = sandbox.inbox().pop().expect("a file");
        assert_eq!(
            received.descriptor["accounts"],
            json!([{"accountId": "c-42"}])
        );
    }
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_push_prints_one_line_that_says_why() {
    let sandbox = sandbox().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.txt");
    std::fs::write(&file, "abc").expect("a file");
    let no_callback = output(
        push_to(&sandbox, folder.path(), "once")
            .arg(&file)
            .stdin(Stdio::null()),
    );
    let no_file = output(example("push").arg("/no/such/file"));
    let no_config = output(
        example("push")
            .args(["--config", "/no/such/config"])
            .arg(&file),
    );
    for (output, why) in [
        (no_callback, "no callback URL on standard input"),
        (no_file, "can't read `/no/such/file`"),
        (no_config, "can't read `/no/such/config`"),
    ] {
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(why) && error.lines().count() == 1, "{error}");
    }
}

/// The numbers of a PKCS#1 private key: modulus, public and private exponent, primes and what is computed from them.
#[cfg(target_os = "linux")]
fn numbers(pem: &str) -> Vec<Vec<u8>> {
    let der = pem::parse(pem).expect("PEM").into_contents();
    // The header of an element is its tag and its length, in one byte or in as many as the first says.
    let header = |at: usize| match der[at + 1] {
        short @ 0..0x80 => (at + 2, usize::from(short)),
        long => {
            let bytes = &der[at + 2..][..usize::from(long & 0x7f)];
            let length = bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            (at + 2 + bytes.len(), length)
        }
    };
    let (mut at, _) = header(0);
    let mut numbers = Vec::new();
    while at < der.len() {
        let (begin, length) = header(at);
        numbers.push(der[begin..begin + length].to_vec());
        at = begin + length;
    }
    numbers
}

/// Whether a process has one of the strings in the memory that it can write. None if this machine does not show it.
#[cfg(target_os = "linux")]
fn has_in_memory(process: &str, wanted: &[Vec<u8>]) -> std::io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};

    let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut memory = std::fs::File::open(format!("/proc/{process}/mem"))?;
    let mut looked_at = 0;
    for line in maps.lines() {
        let mut columns = line.split(' ');
        let (range, rights) = (columns.next(), columns.next());
        let (begin, end) = range.and_then(|it| it.split_once('-')).expect("a range");
        if !rights.is_some_and(|rights| rights.starts_with("rw")) {
            continue;
        }
        let address = |hex| u64::from_str_radix(hex, 16).expect("an address");
        let (begin, end) = (address(begin), address(end));
        memory.seek(SeekFrom::Start(begin))?;
        let mut region = Vec::new();
        // A region may be gone by now.
        if (&mut memory)
            .take(end - begin)
            .read_to_end(&mut region)
            .is_err()
        {
            continue;
        }
        looked_at += region.len();
        if wanted
            .iter()
            .any(|it| memchr::memmem::find(&region, it).is_some())
        {
            return Ok(true);
        }
    }
    assert!(looked_at > 100_000, "{looked_at} bytes are not all");
    Ok(false)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_enters_the_process_of_a_flow_that_signs_in_another() {
    let sandbox = sandbox().await;
    let contract = &sandbox.contracts().ongoing;
    let folder = tempfile::tempdir().expect("a folder");
    let [config, key, file] =
        ["contract.toml", "key.pem", "a.txt"].map(|it| folder.path().join(it));
    let text = format!(
        "application_id = {:?}\ncontract_id = {:?}\nredirect_uri = {:?}\n",
        contract.application_id, contract.contract_id, contract.redirect_uri
    );
    std::fs::write(&config, text).expect("a file");
    std::fs::write(&key, &contract.private_key).expect("a file");
    std::fs::write(&file, "abc").expect("a file");

    let mut flow = example("kms")
        .args(["push", "--base-url", sandbox.base_url(), "--config"])
        .args([&config, std::path::Path::new("--key-file"), &key, &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example runs");
    let mut lines = BufReader::new(flow.stdout.take().expect("its output")).lines();
    let mut line = || lines.next().expect("a line").expect("a line");
    assert!(line().starts_with("key: "));
    let processes = line();
    let (pushing, signing) = processes["processes: ".len()..]
        .split_once(' ')
        .expect("two");
    let asked = line();
    let url = asked.strip_prefix("open ").expect("a link");

    // The private exponent and the primes, in both byte orders, and the lines of the PEM.
    let numbers = numbers(&contract.private_key);
    let secrets = [&numbers[3], &numbers[4], &numbers[5]].map(|it| it[it.len() - 64..].to_vec());
    let mut wanted = secrets.to_vec();
    wanted.extend(secrets.iter().map(|it| it.iter().rev().copied().collect()));
    // The first lines have the modulus, which is public.
    let lines_of_pem = contract.private_key.lines().skip(8).take(10);
    wanted.extend(lines_of_pem.map(|line| line.as_bytes().to_vec()));
    match (
        has_in_memory(pushing, &wanted),
        has_in_memory(signing, &wanted),
    ) {
        (Ok(is_in_flow), Ok(is_in_kms)) => {
            assert!(is_in_kms, "the key is not found where it is");
            assert!(!is_in_flow, "the key is in the process of the flow");
        }
        refused => println!("skipped: this machine does not show the memory: {refused:?}"),
    }

    let callback = sandbox.consent(url).await.expect("a callback");
    writeln!(flow.stdin.take().expect("its input"), "{callback}").expect("it reads");
    assert!(line().ends_with("a.txt: Delivered"));
    assert!(flow.wait().expect("it ends").success());
    assert_eq!(sandbox.violations(), [""; 0]);
    let command = format!("/proc/{signing}/cmdline");
    crate::set_up::until(async || std::fs::read(&command).unwrap_or_default().is_empty()).await;
}
