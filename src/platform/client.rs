//! The connection to the platform and how it is used: time-outs, retries, clock and the platform's keys.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use backon::ExponentialBuilder;
use digime_rules::is_loopback;
use thiserror::Error;
use url::Url;

use super::{Connections, Exchanges, KeyCache, Transport};
use crate::clock::Clock;

/// Where digi.me's platform is.
const DIGI_ME: &str = "https://api.digi.me/v1.5";

/// The connection to the digi.me platform. It is made once and shared: a clone is the same client.
///
/// ```
/// use digime::Client;
///
/// let digi_me = Client::new();
/// let other = Client::builder().base_url("http://localhost:8080/v1.5").build()?;
/// # Ok::<(), digime::error::ClientError>(())
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
    /// By how many milliseconds the platform's clock is ahead of this machine's, as its answers told.
    platform_ahead: AtomicI64,
    /// Whether an answer had a date.
    has_date: AtomicBool,
}

#[derive(Clone)]
struct Settings {
    connect_timeout: Duration,
    timeout: Duration,
    call_timeout: Duration,
    stall_timeout: Duration,
    max_retries: usize,
    retry_delays: (Duration, Duration),
    max_retry_after: Duration,
    clock: Clock,
    transport: Option<Arc<dyn Transport>>,
}

/// The difference of two clocks that is put down to the travel time of an answer, and to the resolution of its date.
const SAME_TIME_MILLIS: i64 = 3_000;

/// How long a session or token that has just been given is taken to last, where the times that are known say that it is
/// over already.
const ASSUMED_LIFE_MILLIS: u64 = 10 * 60 * 1000;

/// Why a client can't be set up.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The base URL is no URL that requests can go to.
    #[error("the base URL is malformed: write it as in `https://api.digi.me/v1.5`")]
    BaseUrl(#[source] BaseUrlError),
    /// The base URL is http and leads off this machine, so that anyone on the way can read and change what is sent.
    #[error(
        "the base URL is plain http: use https, or http on the loopback (`127.0.0.1`, `[::1]`, `localhost`)"
    )]
    PlainHttp,
    /// This machine's TLS can't be used.
    #[error("TLS can't be set up: check that this machine has root certificates")]
    Tls(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with a base URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It is no absolute URL.
    #[error(transparent)]
    Malformed(#[from] url::ParseError),
    /// It has a user name or a password.
    #[error("it has userinfo")]
    Userinfo,
    /// It has a query or a fragment.
    #[error("it has a query or a fragment")]
    QueryOrFragment,
    /// Its scheme is another one.
    #[error("it is neither https nor http")]
    Scheme,
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

    pub(crate) fn max_retry_after(&self) -> Duration {
        self.0.settings.max_retry_after
    }

    /// The pauses between attempts: doubling, with jitter so that many clients don't come back together.
    pub(crate) fn backoff(&self) -> ExponentialBuilder {
        let (shortest, longest) = self.0.settings.retry_delays;
        ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_max_times(self.0.settings.max_retries)
            .with_jitter()
    }

    /// The longest pause between attempts.
    pub(crate) fn longest_delay(&self) -> Duration {
        self.0.settings.retry_delays.1
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.settings.clock
    }

    /// Now by this machine's clock, in Unix milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock().millis()
    }

    /// Now by the platform's clock, in Unix milliseconds. It decides what has expired, since the platform sets the
    /// times and this machine's clock may be wrong.
    pub(crate) fn platform_now(&self) -> u64 {
        self.platform_time(self.now())
    }

    /// A time by this machine's clock as one by the platform's, both in Unix milliseconds.
    pub(crate) fn platform_time(&self, own_time: u64) -> u64 {
        own_time.saturating_add_signed(self.0.platform_ahead.load(Relaxed))
    }

    /// Learns from the date of an answer by how many milliseconds the platform's clock is ahead of this machine's.
    pub(crate) fn learn_platform_time(&self, platform_ahead: i64) {
        self.0.platform_ahead.store(platform_ahead, Relaxed);
        self.0.has_date.store(true, Relaxed);
    }

    /// A time by the platform's clock as one by this machine's, both in Unix milliseconds.
    pub(crate) fn own_time(&self, platform_time: u64) -> u64 {
        platform_time.saturating_add_signed(self.0.platform_ahead.load(Relaxed).saturating_neg())
    }

    /// When something ends by this machine's clock that the platform gave in an answer which came at a time by this
    /// machine's clock.
    ///
    /// What has just been given is not over. Where it seems so, this machine's clock or a date was wrong, unless the two
    /// agree. Then the platform's time is corrected.
    pub(crate) fn end_of_new(&self, expires: u64, came_at: u64) -> u64 {
        let seems_over = self.own_time(expires) <= came_at;
        let is_over = expires <= came_at && self.0.has_date.load(Relaxed);
        if seems_over && !is_over {
            self.refute_time(expires, came_at);
        }
        self.own_time(expires)
    }

    /// Corrects the platform's time so that what it has just given is not over, and says what is wrong.
    fn refute_time(&self, expires: u64, came_at: u64) {
        let estimate = self.platform_time(came_at);
        tracing::warn!("{}", refutation(expires, came_at, estimate));
        let now = expires.saturating_sub(ASSUMED_LIFE_MILLIS);
        self.0
            .platform_ahead
            .store(difference(now, came_at), Relaxed);
    }

    /// When something ends by this machine's clock, of which somebody with another clock says that it is not over.
    pub(crate) fn end_of_unended(&self, expires: u64) -> u64 {
        let now = self.now();
        match self.own_time(expires) {
            ends if ends > now => ends,
            _ => now.saturating_add(ASSUMED_LIFE_MILLIS),
        }
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

/// By how many milliseconds the platform's clock is ahead of this machine's, from the date of an answer and the time at
/// which it came, both in Unix milliseconds.
pub(crate) fn platform_ahead(date: u64, came_at: u64) -> i64 {
    let difference = difference(date, came_at);
    if difference.abs() <= SAME_TIME_MILLIS {
        0
    } else {
        difference
    }
}

/// Why what has just been given seems over: by this machine's clock, or else by a date.
fn refutation(expires: u64, came_at: u64, estimate: u64) -> String {
    if let Some(ahead) = came_at.checked_sub(expires) {
        format!(
            "this machine's clock is ahead of the platform's by at least {} seconds: set it",
            ahead / 1000
        )
    } else {
        format!(
            "the `Date` of an answer was ahead of the platform's clock by at least {} seconds: check what stands between",
            estimate.saturating_sub(expires) / 1000
        )
    }
}

fn difference(one: u64, other: u64) -> i64 {
    i64::try_from(i128::from(one) - i128::from(other)).unwrap_or_default()
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
                stall_timeout: Duration::from_secs(60),
                max_retries: 4,
                retry_delays: (Duration::from_millis(250), Duration::from_secs(8)),
                max_retry_after: Duration::from_secs(60),
                clock: Clock::default(),
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
    /// Where it is the item's reader that gives nothing for so long, the push fails with
    /// [`ItemError::Unreadable`](crate::error::ItemError::Unreadable).
    ///
    /// On Linux, data that waits in the sockets of this process counts as not taken yet: the platform may take it, or that of
    /// other uploads, for ten times as long. Elsewhere only what this process hands to a socket is seen.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.settings.stall_timeout = timeout;
        self
    }

    /// How often a request that failed by what may pass is sent again: connection faults, 408, 429 and 5xx.
    /// Default: 4 times; 0 switches it off.
    pub fn max_retries(mut self, retries: usize) -> Self {
        self.settings.max_retries = retries;
        self
    }

    /// The pause before the first retry, which doubles with each up to the longest. Default: 250 ms to 8 s.
    pub fn retry_delays(mut self, shortest: Duration, longest: Duration) -> Self {
        self.settings.retry_delays = (shortest, longest);
        self
    }

    /// The longest `Retry-After` that is waited for; where the platform asks for more, the request fails at once and
    /// says so. Default: 60 seconds.
    pub fn max_retry_after(mut self, longest: Duration) -> Self {
        self.settings.max_retry_after = longest;
        self
    }

    /// What time it is, for requests that say so and for what expires. Default: [`SystemTime::now`]; tests give
    /// another.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.settings.clock = Clock::new(clock);
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
    /// [`ClientError`] says which setting can't be.
    pub fn build(self) -> Result<Client, ClientError> {
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
            .map_err(|error| ClientError::Tls(Arc::new(error)))?;
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
            has_date: AtomicBool::new(false),
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

fn check_base_url(url: &str) -> Result<Url, ClientError> {
    let url = parse_base_url(url).map_err(ClientError::BaseUrl)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(ClientError::PlainHttp);
    }
    Ok(url)
}

fn parse_base_url(url: &str) -> Result<Url, BaseUrlError> {
    let url = Url::parse(url)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BaseUrlError::Userinfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BaseUrlError::QueryOrFragment);
    }
    if !matches!(url.scheme(), "https" | "http") {
        return Err(BaseUrlError::Scheme);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use reqwest::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::error::Error;
    use crate::platform::scripted::{self, Answer, Receipts};
    use crate::store::MemoryStore;
    use crate::store::ParkedFlows;
    use crate::{AwaitingCallback, PostboxItem, SealingKeys, Suspended, Verifier};

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
        assert!(matches!(
            refused("http://api.digi.me/v1.5"),
            ClientError::PlainHttp
        ));
        for url in [
            "api.digi.me",
            "ftp://localhost",
            "https://a@b",
            "https://a/?b",
            "https://a/#b",
            "",
        ] {
            assert!(matches!(refused(url), ClientError::BaseUrl(_)), "{url}");
        }
    }

    const TWO_DAYS: Duration = Duration::from_hours(48);

    /// A platform whose answers to a path have the `Date` that `date` says.
    fn platform(date: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> ClientBuilder {
        scripted::client(move |path| {
            let answer = scripted::good(path);
            match date(path) {
                Some(date) => scripted::with_header(answer, "date", &date),
                None => answer,
            }
        })
    }

    fn date(ahead: Duration) -> String {
        httpdate::fmt_http_date(SystemTime::now() + ahead)
    }

    /// Goes from a session to a delivery, by way of a store.
    async fn deliver(client: &Client) -> Result<(), Error> {
        let contract = scripted::receipts();
        let flows = ParkedFlows::new(MemoryStore::new());
        let flow = contract.flow(client);
        let session = flow.establish_session().await?;
        let awaiting = flow.create_postbox(session).await?;
        let callback = scripted::callback(awaiting.state(), "p");
        let keys = SealingKeys::new("key", [7; 32]);
        let suspended = awaiting.suspend();
        let sealed = suspended.seal(&keys, Duration::from_secs(60))?;
        Suspended::<Receipts, AwaitingCallback<Verifier>>::unseal(&sealed, &keys).map(drop)?;
        flows.park(suspended.with(7)).await?;
        let (awaiting, _): (_, i32) = flows.claim(&callback, &contract, client).await?;
        flows.park(awaiting.suspend().with(8)).await?;
        let (awaiting, _): (_, i32) = flows.claim(&callback, &contract, client).await?;
        let authorized = awaiting.exchange_code(callback).await?;
        let _ = authorized.push(PostboxItem::bytes("a", "b")).await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_of_a_platform_without_a_date_ends_nothing() {
        for date in [None, Some("no date")] {
            let tokens = Arc::new(AtomicU32::new(0));
            let count = tokens.clone();
            let client = platform(move |path| {
                count.fetch_add(u32::from(path.ends_with("/token")), Relaxed);
                date.map(str::to_owned)
            });
            let client = client.clock(|| SystemTime::now() + TWO_DAYS);
            let delivered = deliver(&client.build().expect("a client")).await;
            assert!(delivered.is_ok(), "{delivered:?}");
            assert_eq!(tokens.load(Relaxed), 1, "fresh tokens were refreshed");
        }
    }

    #[tokio::test]
    async fn one_date_that_lies_ends_nothing() {
        for liar in ["session", "authorize", "token", "jwks"] {
            let client = platform(move |path| {
                let lies = path.ends_with(liar);
                Some(date(if lies { TWO_DAYS } else { Duration::ZERO }))
            });
            let delivered = deliver(&client.build().expect("a client")).await;
            assert!(delivered.is_ok(), "{liar}: {delivered:?}");
        }
    }

    #[tokio::test]
    async fn a_date_that_lies_to_another_call_ends_no_session() {
        let sessions = AtomicU32::new(0);
        let client = platform(move |_| Some(date(TWO_DAYS * sessions.fetch_add(1, Relaxed))));
        let client = client.build().expect("a client");
        let flow = scripted::receipts().flow(&client);
        let session = flow.establish_session().await.expect("a session");
        let _ = flow.establish_session().await.expect("another");
        let created = flow.create_postbox(session).await;
        assert!(created.is_ok(), "{created:?}");
    }

    #[tokio::test]
    async fn a_session_ends_when_its_time_is_over() {
        let minutes = Arc::new(AtomicU32::new(0));
        let passed = minutes.clone();
        let clock = move || SystemTime::now() + Duration::from_mins(passed.load(Relaxed).into());
        let client = platform(|_| Some(date(Duration::ZERO))).clock(clock);
        let client = client.build().expect("a client");
        let flow = scripted::receipts().flow(&client);
        let session = flow.establish_session().await.expect("a session");
        minutes.store(31, Relaxed);
        let rejected = flow.create_postbox(session).await.expect_err("it is over");
        assert!(matches!(rejected.error(), Error::SessionExpired));
        let told = rejected.error().to_string();
        assert!(told.contains("establish another"), "{told}");
        assert!(told.contains("check this machine's clock"), "{told}");
    }

    #[tokio::test]
    async fn the_time_is_learned_only_from_fresh_answers_of_the_platform() {
        let lies = |answer: Answer| scripted::with_header(answer, "date", &date(TWO_DAYS));
        let refused = |status, code: &str| {
            let mut answer = scripted::ok(&json!({"error": {"code": code, "message": "no"}}));
            *answer.status_mut() = status;
            answer
        };
        for (answer, is_believed) in [
            (
                lies(refused(StatusCode::BAD_REQUEST, "InvalidContractId")),
                true,
            ),
            (lies(refused(StatusCode::BAD_REQUEST, "")), false),
            (lies(scripted::status(502)), false),
            (lies(scripted::ok(&json!("a page of a gateway"))), false),
            (
                scripted::with_header(
                    lies(refused(StatusCode::BAD_REQUEST, "InvalidContractId")),
                    "age",
                    "1",
                ),
                false,
            ),
        ] {
            let shown = format!("{answer:?}");
            let client = scripted::client(move |_| answer.clone());
            let client = client.max_retries(0).build().expect("a client");
            let flow = scripted::receipts().flow(&client);
            let _ = flow.establish_session().await.expect_err("no session");
            let ahead = client.platform_now().saturating_sub(client.now());
            assert_eq!(ahead > 1000, is_believed, "{shown}");
        }
    }

    #[test]
    fn what_refutes_the_time_leads_to_the_cause() {
        let of_the_clock = refutation(1_000_000, 9_000_000, 9_000_000);
        assert_eq!(
            of_the_clock,
            "this machine's clock is ahead of the platform's by at least 8000 seconds: set it"
        );
        let of_a_date = refutation(1_000_000, 900_000, 3_000_000);
        assert!(of_a_date.contains("2000 seconds"), "{of_a_date}");
        assert!(of_a_date.starts_with("the `Date`"), "{of_a_date}");
    }
}
