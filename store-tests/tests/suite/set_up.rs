//! Where the stores are, and other processes.

use std::io::Write;
use std::process::{Output, Stdio};

use digime::{Authorized, Callback, Flow};
use digime_outbox::Outbox;
use digime_sandbox::Sandbox;
use digime_store_tests::{Place, Receipts};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// A store that every process can open.
pub(crate) struct Shared {
    pub url: String,
    _folder: Option<TempDir>,
}

#[allow(clippy::unnecessary_wraps, reason = "as those that may not be there")]
pub(crate) fn sqlite() -> Option<Shared> {
    let folder = tempfile::tempdir().expect("a folder");
    Some(Shared {
        url: format!("sqlite:{}", folder.path().join("store.db").display()),
        _folder: Some(folder),
    })
}

pub(crate) fn postgres() -> Option<Shared> {
    server("PostgreSQL", "DIGIME_TEST_POSTGRES")
}

pub(crate) fn redis() -> Option<Shared> {
    server("Redis", "DIGIME_TEST_REDIS")
}

/// A server that one test stops and starts.
pub(crate) struct Restartable {
    pub url: String,
    script: String,
}

impl Restartable {
    fn at(variable: &str) -> Option<Self> {
        Some(Self {
            url: std::env::var(format!("{variable}_TO_RESTART")).ok()?,
            script: std::env::var(format!("{variable}_SCRIPT")).ok()?,
        })
    }

    pub(crate) async fn stop(&self) {
        self.run("stop").await;
    }

    pub(crate) async fn start(&self) {
        self.run("start").await;
    }

    async fn run(&self, command: &str) {
        let status = Command::new(&self.script).arg(command).status().await;
        assert!(status.expect("a script").success(), "{command}");
    }
}

pub(crate) fn postgres_to_restart() -> Option<Restartable> {
    Restartable::at("DIGIME_TEST_POSTGRES")
}

pub(crate) fn redis_to_restart() -> Option<Restartable> {
    Restartable::at("DIGIME_TEST_REDIS")
}

pub(crate) fn redis_tls() -> Option<Shared> {
    server("Redis with TLS", "DIGIME_TEST_REDIS_TLS")
}

pub(crate) fn redis_cluster() -> Option<Shared> {
    server("Redis Cluster", "DIGIME_TEST_REDIS_CLUSTER")
}

fn server(name: &str, variable: &str) -> Option<Shared> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        // Straight to the terminal: what a passing test prints is not shown.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no {name}. `{variable}` says where it is; `store-tests/with-servers` starts one."
        );
    }
    url.map(|url| Shared { url, _folder: None })
}

/// Makes a test of each function for each store that processes share.
macro_rules! on_each_store {
    ($($test:ident)*) => {
        on_each_store!(@store sqlite $($test)*);
        on_each_store!(@store postgres $($test)*);
        on_each_store!(@store redis $($test)*);
    };
    (@store $store:ident $($test:ident)*) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    if let Some(shared) = crate::set_up::$store() {
                        super::$test(&shared.url).await;
                    }
                }
            )*
        }
    };
}

pub(crate) use on_each_store;

/// An outbox of a test's own, and where another process finds it.
pub(crate) async fn outbox(shared: &Shared) -> (Outbox, String) {
    let url = if shared.url.starts_with("postgres:") {
        // Workers take whatever is due in their table.
        let schema = format!("outbox_{:x}", fastrand::u64(..));
        let mut connection = PgConnection::connect(&shared.url).await.expect("a server");
        let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        let created = sqlx::query(create).execute(&mut connection).await;
        created.expect("a schema");
        format!("{}?options[search_path]={schema}", shared.url)
    } else {
        shared.url.clone()
    };
    (digime_store_tests::outbox(&url).await, url)
}

/// Makes a test of each function for each database that an outbox can be in.
macro_rules! on_each_database {
    ($($test:ident)*) => {
        on_each_database!(@database sqlite $($test)*);
        on_each_database!(@database postgres $($test)*);
    };
    (@database $database:ident $($test:ident)*) => {
        mod $database {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    if let Some(shared) = crate::set_up::$database() {
                        let (outbox, url) = crate::set_up::outbox(&shared).await;
                        super::$test(outbox, &url).await;
                    }
                }
            )*
        }
    };
}

pub(crate) use on_each_database;

pub(crate) async fn sandbox() -> (Sandbox, Place) {
    let sandbox = Sandbox::start().await.expect("a free port");
    let place = Place::of(&sandbox);
    (sandbox, place)
}

pub(crate) async fn authorized(sandbox: &Sandbox, place: &Place) -> Flow<Receipts, Authorized> {
    let flow = place.receipts().flow(&place.client());
    let session = flow.establish_session().await.expect("a session");
    let awaiting = flow.create_postbox(session).await.expect("a link");
    let callback = sandbox.consent(awaiting.url()).await.expect("a callback");
    let callback = Callback::from_url(callback).expect("a callback");
    awaiting.exchange_code(callback).await.expect("tokens")
}

/// A user that no other test has.
pub(crate) fn user() -> String {
    use std::time::SystemTime;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("customer {:?}", now.expect("a clock"))
}

/// Starts another process with a job. It dies with its handle.
pub(crate) async fn start(place: &Place, store: &str, work: Value) -> Child {
    start_as(
        Command::new(env!("CARGO_BIN_EXE_worker")),
        place,
        store,
        work,
    )
    .await
}

/// Starts the worker with what a command already sets, such as variables.
pub(crate) async fn start_as(
    mut command: Command,
    place: &Place,
    store: &str,
    work: Value,
) -> Child {
    let job = json!({"place": place, "store": store, "work": work}).to_string();
    let mut child = command
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(job.as_bytes()).await.expect("it reads");
    child
}

/// Does a job in another process.
pub(crate) async fn run(place: &Place, store: &str, work: Value) -> Output {
    let child = start(place, store, work).await;
    child.wait_with_output().await.expect("it ends")
}

/// What a process printed that did its job.
pub(crate) fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
