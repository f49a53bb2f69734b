//! Headless Chromium, driven through `chromedriver`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};

/// A running `chromedriver`. It ends when it is dropped, and its browsers with it.
pub struct Driver {
    process: Child,
    address: String,
}

impl Driver {
    /// Starts `chromedriver` on a free port. `None` if this machine has none, which is printed.
    pub fn start() -> Option<Self> {
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut process) = started else {
            // Straight to the terminal: what a passing test prints is not shown.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: there is no `chromedriver` (Debian's packages `chromium` and `chromium-driver`)"
            );
            return None;
        };
        let output = process.stdout.take().expect("a pipe");
        let port = BufReader::new(output)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            });
        let port = port.expect("chromedriver prints its port");
        Some(Self {
            process,
            address: format!("127.0.0.1:{port}"),
        })
    }

    /// A browser with a window as on a desk, and no cookies.
    pub async fn desktop(&self) -> Client {
        self.browser(json!({"args": arguments("1180,900")})).await
    }

    /// A browser with the screen of a phone, and no cookies.
    pub async fn phone(&self) -> Client {
        let screen = json!({"width": 390, "height": 780, "pixelRatio": 2.0, "mobile": true});
        let emulation = json!({"deviceMetrics": screen});
        self.browser(json!({"args": arguments("390,780"), "mobileEmulation": emulation}))
            .await
    }

    async fn browser(&self, options: Value) -> Client {
        let mut capabilities = Map::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://{}", self.address))
            .await
            .expect("a browser")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Killed, it would leave its browsers behind.
        let request = b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let asked =
            TcpStream::connect(&self.address).and_then(|mut driver| driver.write_all(request));
        if asked.is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// A machine of tests has no network, no screen and perhaps no user but root.
fn arguments(size: &str) -> [String; 10] {
    [
        "--headless".into(),
        "--no-sandbox".into(),
        "--disable-gpu".into(),
        "--disable-quic".into(),
        "--disable-dev-shm-usage".into(),
        "--no-first-run".into(),
        "--disable-background-networking".into(),
        "--disable-component-update".into(),
        "--hide-scrollbars".into(),
        format!("--window-size={size}"),
    ]
}
