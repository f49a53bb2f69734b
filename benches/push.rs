//! The cost of a push for this process, to a postbox and by import, with a platform in another one: `cargo bench --bench push`.
//!
//! With `RUSTFLAGS='--cfg digime_bench'` it also measures parts that are not in the library's API.
//!
//! Each figure is a median. Its runs take turns with those that it is compared with, so that noise affects both.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::cipher::{AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PSS_SHA512, RsaKeyPair};
use cpu_time::ProcessTime;
use digime::{
    ApplicationId, Authorized, Callback, Client, ContractId, Flow, PostboxItem, PrivateKey,
    RedirectUri, digime_contract,
};
use digime_import::{Connected, Import, ImportFlow, OnboardingUrl};
use digime_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::Url;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const CHUNK: usize = 256 * 1024;

#[digime_contract(ongoing)]
#[derive(serde::Deserialize)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(once)]
#[derive(serde::Deserialize)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(kind = Import)]
#[derive(serde::Deserialize)]
struct Imported {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("platform") {
        return platform();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::new();
    // Counts are exact, and need no quiet machine.
    if std::env::args().any(|argument| argument == "allocations") {
        bench.allocations();
        return ImportBench::new(&bench).allocations();
    }
    if std::env::args().any(|argument| argument == "import") {
        let import = ImportBench::new(&bench);
        import.pushes(folder.path());
        import.beside_the_socket(folder.path());
        return import.starting();
    }
    bench.pushes(folder.path());
    bench.beside_the_cipher_and_the_socket(folder.path());
    bench.internals();
    bench.starting_an_ongoing_flow();
    bench.links();
    bench.allocations();
    let import = ImportBench::new(&bench);
    import.pushes(folder.path());
    import.beside_the_socket(folder.path());
    import.starting();
    import.allocations();
}

/// The other process: the sandbox, and a socket whose data is discarded.
fn platform() {
    let sink = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = sink.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in sink.incoming() {
            let mut stream = stream.expect("a connection");
            let mut buffer = vec![0; CHUNK];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
            let _ = stream.write_all(b"!");
        }
    });
    runtime().block_on(async {
        let sandbox = Sandbox::start().await.expect("a port");
        let mut told = sandbox.describe();
        told["sink"] = json!(address.to_string());
        println!("{told}");
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
            .await
            .expect("the other end closes")
            .expect("the other end closes");
    });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

struct Platform {
    process: Child,
    told: Value,
}

impl Platform {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .arg("platform")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        let told = serde_json::from_str(&line).expect("JSON");
        Self { process, told }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Bench {
    runtime: Runtime,
    platform: Platform,
    client: Client,
    receipts: Receipts,
    flow: Flow<Receipts, Authorized>,
}

/// The measured cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

fn measure(work: impl FnOnce()) -> Cost {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    work();
    Cost {
        wall: wall.elapsed(),
        cpu: cpu.elapsed(),
    }
}

fn median(mut costs: Vec<Cost>) -> Cost {
    let middle = costs.len() / 2;
    let mut by = |key: fn(&Cost) -> Duration| {
        costs.sort_by_key(key);
        key(&costs[middle])
    };
    Cost {
        wall: by(|cost| cost.wall),
        cpu: by(|cost| cost.cpu),
    }
}

/// The medians of two measurements that take turns.
fn compare(runs: usize, mut one: impl FnMut(), mut other: impl FnMut()) -> (Cost, Cost) {
    one();
    other();
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ones.push(measure(&mut one));
        others.push(measure(&mut other));
    }
    (median(ones), median(others))
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn file_of(folder: &Path, size: u64) -> PathBuf {
    let path = folder.join(format!("{size}.bin"));
    if !path.exists() {
        let mut file = std::fs::File::create(&path).expect("a file");
        let block = vec![7; usize::try_from(size.min(MIB)).expect("a size")];
        for _ in 0..size.div_ceil(MIB) {
            file.write_all(&block).expect("room");
        }
    }
    path
}

/// The peak memory of the process since the last reset, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.expect("a peak").parse().expect("a number")
}

fn forget_peak_memory() {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
}

impl Bench {
    fn new() -> Self {
        let (runtime, platform) = (runtime(), Platform::start());
        let base_url = platform.told["base_url"].as_str().expect("a URL");
        let client = Client::builder().base_url(base_url).build();
        let client = client.expect("a client");
        let contract = platform.told["contracts"]["ongoing"].clone();
        let mut contract = contract;
        contract["application_id"] = platform.told["application_id"].clone();
        let receipts: Receipts = serde_json::from_value(contract).expect("a contract");
        let flow = runtime.block_on(async {
            let flow = receipts.flow(&client);
            let session = flow.establish_session().await.expect("a session");
            let awaiting = flow.create_postbox(session).await.expect("a link");
            let callback = consent(&platform.told, awaiting.url().as_str());
            awaiting.exchange_code(callback).await.expect("tokens")
        });
        Self {
            runtime,
            platform,
            client,
            receipts,
            flow,
        }
    }

    fn push(&self, item: PostboxItem) {
        let delivery = self.runtime.block_on(self.flow.push(item));
        let _ = black_box(delivery.expect("a delivery"));
    }

    fn pushes(&self, folder: &Path) {
        println!("\n## Pushes of a file\n");
        push_files(folder, |file| self.push(PostboxItem::file(file)));
    }

    /// The target: at most 1.5 times the CPU.
    fn beside_the_cipher_and_the_socket(&self, folder: &Path) {
        let file = file_of(folder, GIB);
        let address = self.platform.told["sink"].as_str().expect("an address");
        let (push, raw) = compare(
            5,
            || self.push(PostboxItem::file(&file)),
            || encrypt_and_send(address, GIB),
        );
        println!("\n## A push of 1 GiB beside AES-256-CBC and a socket\n");
        println!("| | wall | CPU |");
        println!("| --- | --- | --- |");
        println!("| push of a file | {:.2?} | {:.2?} |", push.wall, push.cpu);
        println!("| cipher and socket | {:.2?} | {:.2?} |", raw.wall, raw.cpu);
        println!(
            "| ratio | {:.2} | {:.2} |",
            ratio(push.wall, raw.wall),
            ratio(push.cpu, raw.cpu)
        );
    }

    /// Parts of the library alone, which are not in its API.
    #[cfg(digime_bench)]
    fn internals(&self) {
        Self::encryption();
        self.request_tokens();
    }

    #[cfg(not(digime_bench))]
    #[allow(clippy::unused_self, reason = "it takes the place of the measurement")]
    fn internals(&self) {
        println!("\n(encryption and request tokens alone: with RUSTFLAGS='--cfg digime_bench')");
    }

    #[cfg(digime_bench)]
    fn encryption() {
        let chunk = vec![7; CHUNK];
        let times = 256;
        let (ours, raw) = compare(
            9,
            || {
                black_box(digime::measured::seal(&chunk, times).expect("ciphertext"));
            },
            || {
                let mut sealed = vec![0; CHUNK + 16];
                let mut cipher = cipher();
                for _ in 0..times {
                    black_box(cipher.update(&chunk, &mut sealed).expect("ciphertext"));
                }
            },
        );
        println!("\n## Encryption alone: 64 MiB\n");
        println!("| digime | raw cipher | ratio of CPU |");
        println!("| --- | --- | --- |");
        println!(
            "| {:.2?} | {:.2?} | {:.2} |",
            ours.cpu,
            raw.cpu,
            ratio(ours.cpu, raw.cpu)
        );
    }

    #[cfg(digime_bench)]
    fn request_tokens(&self) {
        let times = 200;
        let key = self.raw_key();
        let (ours, raw) = compare(
            9,
            || {
                for _ in 0..times {
                    let token = digime::measured::request_token(&self.receipts, &self.client);
                    black_box(self.runtime.block_on(token).expect("a token"));
                }
            },
            || (0..times).for_each(|_| sign(&key)),
        );
        println!("\n## Request tokens, on one core\n");
        println!("| tokens/s | RSA-PSS signatures/s | ratio of CPU |");
        println!("| --- | --- | --- |");
        println!(
            "| {:.0} | {:.0} | {:.3} |",
            per_second(ours.cpu, times),
            per_second(raw.cpu, times),
            ratio(ours.cpu, raw.cpu)
        );
    }

    /// The target: at most 1.2 times the CPU of the signature.
    fn starting_an_ongoing_flow(&self) {
        const TIMES: usize = 100;
        let key = self.raw_key();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = self.another_client();
        let (mut sessions, mut announced, mut signed) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..9 {
            let mut established = Vec::new();
            sessions.push(measure(|| {
                runtime.block_on(async {
                    for _ in 0..TIMES {
                        let flow = self.receipts.flow(&client);
                        let session = flow.establish_session().await.expect("a session");
                        established.push((flow, session));
                    }
                });
            }));
            announced.push(measure(|| {
                runtime.block_on(async {
                    for (flow, session) in established {
                        let awaiting = flow.create_postbox(session).await.expect("a link");
                        black_box(awaiting.url());
                    }
                });
            }));
            signed.push(measure(|| (0..TIMES).for_each(|_| sign(&key))));
        }
        let [session, announce, signature] = [sessions, announced, signed]
            .map(|costs| median(costs).cpu / u32::try_from(TIMES).expect("a few"));
        println!("\n## Starting an ongoing flow, CPU on one thread\n");
        println!(
            "| establish_session: a request | create_postbox: a request and a signature | a signature alone | ratio of the last two | without a request's share |"
        );
        println!("| --- | --- | --- | --- | --- |");
        println!(
            "| {session:.2?} | {announce:.2?} | {signature:.2?} | {:.2} | {:.2} |",
            ratio(announce, signature),
            ratio(announce.saturating_sub(session), signature)
        );
    }

    /// A new client for another runtime, since a connection belongs to the runtime that made it.
    fn another_client(&self) -> Client {
        let base_url = self.client.base_url().as_str();
        Client::builder()
            .base_url(base_url)
            .build()
            .expect("a client")
    }

    fn links(&self) {
        let mut contract = self.platform.told["contracts"]["once"].clone();
        contract["application_id"] = self.platform.told["application_id"].clone();
        let welcome: Welcome = serde_json::from_value(contract).expect("a contract");
        let times = 200;
        let costs = (0..9).map(|_| {
            self.runtime.block_on(async {
                let mut sessions = Vec::new();
                for _ in 0..times {
                    let flow = welcome.flow(&self.client);
                    let session = flow.establish_session().await.expect("a session");
                    sessions.push((flow, session));
                }
                let begun = (Instant::now(), ProcessTime::now());
                for (flow, session) in sessions {
                    let awaiting = flow.create_postbox(session).await.expect("a link");
                    black_box(awaiting.url());
                }
                Cost {
                    wall: begun.0.elapsed(),
                    cpu: begun.1.elapsed(),
                }
            })
        });
        let cost = median(costs.collect());
        println!("\n## One-off links, on one core\n");
        println!("{:.0}/s", per_second(cost.cpu, times));
    }

    fn allocations(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = self.another_client();
        let suspended = self.flow.suspend();
        let flow = suspended.resume(&self.receipts, &client).expect("the flow");
        let push = || {
            let item = PostboxItem::bytes("receipt.txt", "1 coffee");
            let delivery = runtime.block_on(flow.push(item));
            let _ = black_box(delivery.expect("a delivery"));
        };
        push();
        let counted = allocation_counter::measure(push);
        println!("\n## Allocations of a push of 8 bytes\n");
        println!("{}, {} KiB", counted.count_total, counted.bytes_total / KIB);
    }

    fn raw_key(&self) -> RsaKeyPair {
        let pem = &self.platform.told["contracts"]["ongoing"]["private_key"];
        let pem = pem::parse(pem.as_str().expect("PEM")).expect("PEM");
        match pem.tag() {
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(pem.contents()),
            _ => RsaKeyPair::from_der(pem.contents()),
        }
        .expect("a key")
    }
}

/// Pushes files of several sizes, and prints what each costs.
fn push_files(folder: &Path, push: impl Fn(&Path)) {
    println!("| size | wall | CPU of this process | peak memory |");
    println!("| --- | --- | --- | --- |");
    for (name, size, runs, batch) in [
        ("4 KiB", 4 * KIB, 9, 100),
        ("1 MiB", MIB, 9, 20),
        ("64 MiB", 64 * MIB, 7, 1),
        ("1 GiB", GIB, 3, 1),
    ] {
        let file = file_of(folder, size);
        push(&file);
        forget_peak_memory();
        let costs = (0..runs).map(|_| measure(|| (0..batch).for_each(|_| push(&file))));
        let cost = median(costs.collect());
        let peak = peak_memory();
        println!(
            "| {name} | {:.2?} | {:.2?} | {:.1} MiB |",
            cost.wall / batch,
            cost.cpu / batch,
            f64::from(u32::try_from(peak).expect("less than 4 TiB")) / 1024.0,
        );
    }
}

/// The flow of API 1.7, on the platform of the other benchmark.
struct ImportBench<'a> {
    bench: &'a Bench,
    receipts: Imported,
    flow: Flow<Imported, Connected>,
}

impl<'a> ImportBench<'a> {
    fn new(bench: &'a Bench) -> Self {
        let told = &bench.platform.told;
        let contract = told["contracts"]["import"].clone();
        let receipts: Imported = serde_json::from_value(contract).expect("a contract");
        let client = Self::client(told);
        let flow = bench.runtime.block_on(async {
            let awaiting = receipts.flow(&client).authorize().await.expect("a page");
            let callback = consent(told, awaiting.url().as_str());
            awaiting.exchange_code(callback).await.expect("tokens")
        });
        Self {
            bench,
            receipts,
            flow,
        }
    }

    fn client(told: &Value) -> Client {
        let text = |name: &str| told[name].as_str().expect("a URL");
        let pages = OnboardingUrl::new(text("onboarding_url")).expect("a URL");
        let client = digime_import::client().base_url(text("import_base_url"));
        client.extension(pages).build().expect("a client")
    }

    fn push(&self, item: PostboxItem) {
        let pushing = self.flow.push(item.account("customer-42"));
        let delivery = self.bench.runtime.block_on(pushing);
        let _ = black_box(delivery.expect("a delivery"));
    }

    fn pushes(&self, folder: &Path) {
        println!("\n## Pushes of a file by import\n");
        push_files(folder, |file| self.push(PostboxItem::file(file)));
    }

    fn beside_the_socket(&self, folder: &Path) {
        let file = file_of(folder, GIB);
        let address = self.bench.platform.told["sink"].as_str();
        let address = address.expect("an address");
        let (push, raw) = compare(
            5,
            || self.push(PostboxItem::file(&file)),
            || read_and_send(&file, address),
        );
        println!("\n## A push of 1 GiB by import beside a file and a socket\n");
        println!("| | wall | CPU |");
        println!("| --- | --- | --- |");
        println!("| push of a file | {:.2?} | {:.2?} |", push.wall, push.cpu);
        println!("| file and socket | {:.2?} | {:.2?} |", raw.wall, raw.cpu);
        println!(
            "| ratio | {:.2} | {:.2} |",
            ratio(push.wall, raw.wall),
            ratio(push.cpu, raw.cpu)
        );
    }

    fn starting(&self) {
        const TIMES: usize = 100;
        let key = self.bench.raw_key();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = Self::client(&self.bench.platform.told);
        let (start, signature) = compare(
            9,
            || {
                runtime.block_on(async {
                    for _ in 0..TIMES {
                        let flow = self.receipts.flow(&client);
                        let awaiting = flow.authorize().await.expect("a page");
                        black_box(awaiting.url());
                    }
                });
            },
            || (0..TIMES).for_each(|_| sign(&key)),
        );
        let [start, signature] =
            [start, signature].map(|cost| cost.cpu / u32::try_from(TIMES).expect("a few"));
        println!("\n## Starting a flow of the import, CPU on one thread\n");
        println!("| authorize: a request and a signature | a signature alone | ratio |");
        println!("| --- | --- | --- |");
        println!(
            "| {start:.2?} | {signature:.2?} | {:.2} |",
            ratio(start, signature)
        );
    }

    fn allocations(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = Self::client(&self.bench.platform.told);
        let flow = self.flow.suspend().resume(&self.receipts, &client);
        let flow = flow.expect("the flow");
        let push = || {
            let item = PostboxItem::bytes("receipt.txt", "1 coffee").account("customer-42");
            let delivery = runtime.block_on(flow.push(item));
            let _ = black_box(delivery.expect("a delivery"));
        };
        push();
        let counted = allocation_counter::measure(push);
        println!("\n## Allocations of a push of 8 bytes by import\n");
        println!("{}, {} KiB", counted.count_total, counted.bytes_total / KIB);
    }
}

/// The least that a push by import must do: pass each chunk of a file into a socket.
fn read_and_send(file: &Path, address: &str) {
    let mut socket = TcpStream::connect(address).expect("a connection");
    let mut file = std::fs::File::open(file).expect("a file");
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).expect("it reads") {
            0 => break,
            read => socket.write_all(&chunk[..read]).expect("it reads"),
        }
    }
    socket
        .shutdown(std::net::Shutdown::Write)
        .expect("a socket");
    let _ = socket.read(&mut [0]);
}

fn per_second(cpu: Duration, times: i32) -> f64 {
    f64::from(times) / cpu.as_secs_f64()
}

fn sign(key: &RsaKeyPair) {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PSS_SHA512,
        &SystemRandom::new(),
        &[7; 400],
        &mut signature,
    )
    .expect("a signature");
    black_box(signature);
}

fn cipher() -> StreamingEncryptingKey {
    let key = UnboundCipherKey::new(&AES_256, &[7; 32]).expect("a key");
    let context = EncryptionContext::Iv128(FixedLength::from([7; 16]));
    StreamingEncryptingKey::less_safe_cbc_pkcs7(key, context).expect("a cipher")
}

/// The least that a push must do: pass each chunk through the cipher and into a socket.
fn encrypt_and_send(address: &str, size: u64) {
    let mut socket = TcpStream::connect(address).expect("a connection");
    let (chunk, mut sealed) = (vec![7; CHUNK], vec![0; CHUNK + 16]);
    let mut cipher = cipher();
    for _ in 0..size / CHUNK as u64 {
        let update = cipher.update(&chunk, &mut sealed).expect("ciphertext");
        socket.write_all(update.written()).expect("it reads");
    }
    socket
        .shutdown(std::net::Shutdown::Write)
        .expect("a socket");
    let _ = socket.read(&mut [0]);
}

fn consent(told: &Value, link: &str) -> Callback {
    let consent_url = told["consent_url"].as_str().expect("a URL");
    let mut url = Url::parse(consent_url).expect("a URL");
    url.query_pairs_mut().append_pair("link", link);
    let address = url.socket_addrs(|| None).expect("an address");
    let mut stream = TcpStream::connect(&*address).expect("a connection");
    let path = &url[url::Position::BeforePath..];
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body: Value = serde_json::from_str(body.trim()).expect("JSON");
    Callback::from_url(body["callback"].as_str().expect("a URL")).expect("a callback")
}
