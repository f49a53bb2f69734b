//! The connection to the platform and how it is used: time-outs, retries, clock and the platform's keys.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use backon::ExponentialBuilder;
use digime_rules::is_loopback;
use thiserror::Error;
use url::Url;

use crate::platform::{Connections, Exchanges, KeyCache, Transport};
use crate::unix_time;

/// Where digi.me's platform is.
const DIGI_ME: &str = "https://api.digi.me/v1.5";

/// The connection to the digi.me platform. It is made once and shared: a clone is the same client.
///
/// ```
/// use digime::Client;
///
/// let digi_me = Client::new();
/// let other = Client::builder().base_url("http://localhost:8080/v1.5").build()?;
/// # Ok::<(), digime::InvalidClient>(())
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    /// Writes requests.
    http: reqwest::Client,
    /// Sends them.
    transport: Arc<dyn Transport>,
    connections: Connections,
    base_url: Url,
    settings: Settings,
    keys: KeyCache,
    exchanges: Exchanges,
    /// By how many milliseconds the platform's clock is ahead of this machine's, as its last answer told.
    platform_ahead: AtomicI64,
}

#[derive(Clone)]
struct Settings {
    connect_timeout: Duration,
    timeout: Duration,
    call_timeout: Duration,
    stall_timeout: Duration,
    retries: usize,
    retry_delays: (Duration, Duration),
    longest_retry_after: Duration,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    transport: Option<Arc<dyn Transport>>,
}

/// The difference of two clocks that is put down to the travel time of an answer, and to the resolution of its date.
const SAME_TIME_MILLIS: i64 = 3_000;

/// Why a client can't be set up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidClient {
    /// The base URL is no URL that requests can go to.
    #[error("the base URL is malformed ({0}): write it as in `https://api.digi.me/v1.5`")]
    BaseUrl(String),
    /// The base URL is http and leads off this machine, so that anyone on the way can read and change what is sent.
    #[error(
        "the base URL is plain http: use https, or http on the loopback (`127.0.0.1`, `[::1]`, `localhost`)"
    )]
    PlainHttp,
    /// This machine's TLS can't be used.
    #[error("TLS can't be set up ({0}): check that this machine has root certificates")]
    Tls(String),
}

impl Client {
    /// A client of `https://api.digi.me/v1.5`.
    ///
    /// # Panics
    /// When this machine's TLS can't be set up, for want of root certificates; [`Client::builder`] says so instead.
    #[must_use]
    pub fn new() -> Self {
        Self::builder()
            .build()
            .expect("the machine has root certificates")
    }

    /// A client with other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Where the platform is.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.0.base_url
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        self.0.transport.clone()
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    pub(crate) fn keys(&self) -> &KeyCache {
        &self.0.keys
    }

    pub(crate) fn exchanges(&self) -> &Exchanges {
        &self.0.exchanges
    }

    /// How long one attempt at a small request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.settings.timeout
    }

    /// How long a call may take with all its attempts.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.0.settings.call_timeout
    }

    /// How long an upload may stand still.
    pub(crate) fn stall_timeout(&self) -> Duration {
        self.0.settings.stall_timeout
    }

    pub(crate) fn longest_retry_after(&self) -> Duration {
        self.0.settings.longest_retry_after
    }

    /// The pauses between attempts: doubling, with jitter so that many clients don't come back together.
    pub(crate) fn backoff(&self) -> ExponentialBuilder {
        let (shortest, longest) = self.0.settings.retry_delays;
        ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_max_times(self.0.settings.retries)
            .with_jitter()
    }

    /// The longest pause between attempts.
    pub(crate) fn longest_delay(&self) -> Duration {
        self.0.settings.retry_delays.1
    }

    /// Now by this machine's clock, in Unix milliseconds.
    pub(crate) fn now(&self) -> u64 {
        unix_time::millis((self.0.settings.clock)())
    }

    /// Now by the platform's clock, in Unix milliseconds. It decides what has expired, since the platform sets the
    /// times and this machine's clock may be wrong.
    pub(crate) fn platform_now(&self) -> u64 {
        self.now()
            .saturating_add_signed(self.0.platform_ahead.load(Relaxed))
    }

    /// Learns the platform's time from the date of an answer and the time at which it came by this machine's clock, both in
    /// Unix milliseconds. Gives by how many milliseconds this machine's clock is ahead.
    pub(crate) fn learn_platform_time(&self, date: u64, came_at: u64) -> i64 {
        let difference = i64::try_from(i128::from(date) - i128::from(came_at)).unwrap_or_default();
        let platform_ahead = if difference.abs() <= SAME_TIME_MILLIS {
            0
        } else {
            difference
        };
        self.0.platform_ahead.store(platform_ahead, Relaxed);
        platform_ahead.saturating_neg()
    }

    /// The URL of an endpoint, from the segments below the base URL's path.
    pub(crate) fn endpoint(&self, segments: &[&str]) -> Url {
        let mut url = self.0.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.0.base_url.as_str())
            .finish_non_exhaustive()
    }
}

/// Sets up a [`Client`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build()` is called"]
pub struct ClientBuilder {
    base_url: String,
    settings: Settings,
}

impl ClientBuilder {
    fn new() -> Self {
        Self {
            base_url: DIGI_ME.to_owned(),
            settings: Settings {
                connect_timeout: Duration::from_secs(5),
                timeout: Duration::from_secs(10),
                call_timeout: Duration::from_secs(30),
                stall_timeout: Duration::from_mins(1),
                retries: 4,
                retry_delays: (Duration::from_millis(250), Duration::from_secs(8)),
                longest_retry_after: Duration::from_mins(1),
                clock: Arc::new(SystemTime::now),
                transport: None,
            },
        }
    }

    /// Where the platform is: `https`, or `http` on the loopback. Default: `https://api.digi.me/v1.5`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// How long connecting may take. Default: 5 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long one attempt at a request may take, other than an upload. Default: 10 seconds.
    ///
    /// A request that spends a code or a refresh token has only one attempt, so the whole
    /// [`call_timeout`](Self::call_timeout) is its limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long a call may take in all, with its retries and pauses. A push counts its upload apart, which ends by
    /// [`stall_timeout`](Self::stall_timeout); each request before the upload has this limit. Default: 30 seconds.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.settings.call_timeout = timeout;
        self
    }

    /// How long an upload may go without the platform taking a byte, and then wait for its answer. Default: 60 seconds.
    ///
    /// On Linux, data that waits in the sockets of this process counts as not taken yet. Elsewhere only what this process
    /// hands to a socket is seen.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.settings.stall_timeout = timeout;
        self
    }

    /// How often a request that failed by what may pass is sent again: connection faults, 408, 429 and 5xx.
    /// Default: 4 times; 0 switches it off.
    pub fn retries(mut self, retries: usize) -> Self {
        self.settings.retries = retries;
        self
    }

    /// The pause before the first retry, which doubles with each up to the longest. Default: 250 ms to 8 s.
    pub fn retry_delays(mut self, shortest: Duration, longest: Duration) -> Self {
        self.settings.retry_delays = (shortest, longest);
        self
    }

    /// The longest `Retry-After` that is waited for; where the platform asks for more, the request fails at once and
    /// says so. Default: 60 seconds.
    pub fn longest_retry_after(mut self, longest: Duration) -> Self {
        self.settings.longest_retry_after = longest;
        self
    }

    /// What time it is, for requests that say so and for what expires. Default: [`SystemTime::now`]; tests give
    /// another.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Sends requests in another way than over the network.
    #[cfg(test)]
    pub(crate) fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.settings.transport = Some(transport);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`InvalidClient`] says which setting can't be.
    pub fn build(self) -> Result<Client, InvalidClient> {
        let base_url = check_base_url(&self.base_url)?;
        let connections = Connections::default();
        let mut http = reqwest::Client::builder()
            .connector_layer(connections.clone())
            .user_agent(concat!("digime-rust/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.settings.connect_timeout)
            // A redirected request would carry its token to a place that nobody checked.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base_url) {
            http = http.no_proxy();
        }
        if base_url.scheme() == "http" {
            // There is no TLS to set up, nor need for root certificates on the machine.
            http = http.tls_certs_only([]);
        }
        let http = http
            .build()
            .map_err(|error| InvalidClient::Tls(innermost(&error)))?;
        let transport = match &self.settings.transport {
            Some(transport) => transport.clone(),
            None => Arc::new(http.clone()),
        };
        Ok(Client(Arc::new(Inner {
            http,
            transport,
            connections,
            base_url,
            settings: self.settings,
            keys: KeyCache::default(),
            exchanges: Exchanges::default(),
            platform_ahead: AtomicI64::new(0),
        })))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// The reason below all others, which is the one that helps.
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

fn check_base_url(url: &str) -> Result<Url, InvalidClient> {
    let url = Url::parse(url).map_err(|error| InvalidClient::BaseUrl(error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidClient::BaseUrl("it has user info".into()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidClient::BaseUrl(
            "it has a query or a fragment".into(),
        ));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(InvalidClient::PlainHttp),
        _ => Err(InvalidClient::BaseUrl(
            "it is neither https nor http".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_stand_below_the_base_url() {
        for base in ["http://localhost:1/v1.5", "http://localhost:1/v1.5/"] {
            let client = Client::builder().base_url(base).build().expect("a client");
            assert_eq!(
                client.endpoint(&["a", "b/c"]).as_str(),
                "http://localhost:1/v1.5/a/b%2Fc"
            );
        }
    }

    #[test]
    fn a_base_url_that_would_leak_is_refused() {
        let refused = |url: &str| Client::builder().base_url(url).build().unwrap_err();
        assert_eq!(refused("http://api.digi.me/v1.5"), InvalidClient::PlainHttp);
        for url in [
            "api.digi.me",
            "ftp://localhost",
            "https://a@b",
            "https://a/?b",
            "https://a/#b",
            "",
        ] {
            assert!(matches!(refused(url), InvalidClient::BaseUrl(_)), "{url}");
        }
    }
}
