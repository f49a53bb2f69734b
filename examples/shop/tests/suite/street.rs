use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use digime_sandbox::Sandbox;
use reqwest::Url;
use shop::demo::Demo;
use shop::{Api, Config, Shop};
use sqlx::{Connection, SqliteConnection};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::browser::{Browser, Page};

/// For what both APIs have in common.
pub const BOTH: [Api; 2] = [Api::Postbox, Api::Import];

pub const CORNER_SHOP: &str = "/corner-shop";
pub const BOOK_BARN: &str = "/book-barn";

/// How long a condition is waited for. A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shop with its sandbox. Both end with it.
pub struct Street {
    demo: Demo,
    pub config: Config,
    address: SocketAddr,
    running: Option<Running>,
}

pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub async fn start(config: Config, listener: TcpListener) -> Self {
        let shop = Shop::build(config, listener).await.expect("a shop");
        let token = CancellationToken::new();
        let task = tokio::spawn(shop.run(token.clone()));
        Self { stop: token, task }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a graceful end");
    }
}

impl Street {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With one API or the other.
    pub async fn open_for(api: Api) -> Self {
        Self::open_for_with(api, |_| {}).await
    }

    /// With other settings than the demo's.
    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::open_for_with(Api::Postbox, change).await
    }

    pub async fn open_for_with(api: Api, change: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let demo = Demo::start(api, address).await.expect("a sandbox");
        let mut config = demo.config(address).expect("settings");
        change(&mut config);
        let running = Some(Running::start(config.clone(), listener).await);
        Self {
            demo,
            config,
            address,
            running,
        }
    }

    pub fn sandbox(&self) -> &Sandbox {
        &self.demo.sandbox
    }

    pub fn address(&self, path: &str) -> Url {
        let base = Url::parse(&format!("http://{}", self.address));
        base.expect("a URL").join(path).expect("a path")
    }

    pub fn browser(&self) -> Browser {
        Browser::new(&self.address("/"))
    }

    /// A browser of a customer who has bought something and has it saved.
    pub async fn connected(&self, shop: &str, product: &str) -> Browser {
        let desktop = self.browser();
        buy(&desktop, shop, product).await;
        let page = ask(&desktop, shop).await;
        let done = self.consent(&page.link()).await;
        assert!(done.has("result-connected"), "{}", done.html);
        desktop
    }

    /// The person opens a link on the phone and consents. Returns what the phone's browser shows.
    pub async fn consent(&self, link: &str) -> Page {
        self.browser().get(self.callback(link).await).await
    }

    /// The URL that is called back when the person consents.
    pub async fn callback(&self, link: &str) -> Url {
        self.sandbox().consent(link).await.expect("a good link")
    }

    pub async fn decline(&self, link: &str) -> Page {
        let callback = self.sandbox().decline(link).await.expect("a good link");
        self.browser().get(callback).await
    }

    pub async fn stop(&mut self) {
        self.running.take().expect("a running shop").stop().await;
    }

    /// Starts the shop again, on the same database and port.
    pub async fn start(&mut self) {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the same port");
        self.running = Some(Running::start(self.config.clone(), listener).await);
    }

    /// Changes something in the shop's database. Returns the number of rows.
    pub async fn execute(&self, sql: &'static str) -> u64 {
        let connection = SqliteConnection::connect(&self.config.database_url).await;
        let mut connection = connection.expect("the database is there");
        let executed = sqlx::query(sql).execute(&mut connection).await;
        executed.expect("it is good SQL").rows_affected()
    }

    pub async fn wait_for_inbox(&self, names: &[&str]) {
        let contains_all = || async {
            let inbox = self.sandbox().inbox();
            let contents = inbox.iter().filter_map(|item| self.sandbox().content(item));
            let contents: Vec<_> = contents
                .map(|it| String::from_utf8_lossy(&it).into_owned())
                .collect();
            names
                .iter()
                .all(|name| contents.iter().any(|content| content.contains(name)))
        };
        eventually("the receipts arrive", contains_all).await;
    }
}

pub async fn buy(browser: &Browser, shop: &str, product: &str) -> Page {
    let page = browser
        .post(&format!("{shop}/buy"), &[("product", product)])
        .await;
    assert!(page.has("orders"), "{}", page.html);
    page
}

/// Asks for a link: the page with the QR code, or that of digi.me.
pub async fn ask(browser: &Browser, shop: &str) -> Page {
    let page = browser.post(&format!("{shop}/connect"), &[]).await;
    assert!(page.has("qr-code") || page.is_of_digi_me(), "{}", page.html);
    page
}

pub async fn receipts(browser: &Browser, shop: &str) -> Page {
    browser.get(format!("{shop}/receipts")).await
}

/// The states of a customer's receipts, the latest order first.
pub async fn states(browser: &Browser, shop: &str) -> Vec<String> {
    receipts(browser, shop).await.all("data-state")
}

pub async fn wait_for_states(browser: &Browser, shop: &str, expected: &[&str]) {
    let are = || async { states(browser, shop).await == expected };
    eventually(&format!("the receipts are {expected:?}"), are).await;
}

pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// Says that a test that needs a server was skipped.
pub fn skipped() {
    // Straight to the terminal: what a passing test prints is not shown.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: there is no PostgreSQL: run with `store-tests/with-servers`"
    );
}
