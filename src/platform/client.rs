//! The client: its settings (timeouts, retries, clock), and what all of its calls share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use digime_rules::is_loopback;
use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use super::transport::{
    Body, Network, SharedNetwork, Tower, Transport, TransportService, follows_redirections,
};
use super::{Connections, Exchanges, KeyCache};
use crate::clock::Clock;
use crate::pkce::CodeVerifier;
use crate::random::Random;

/// The base URL of digi.me's platform.
const DIGI_ME: &str = "https://api.digi.me/v1.5";

/// A client of the digi.me platform. Make one for the application and share it: clones share their connections, keys and
/// settings.
///
/// ```
/// use digime::Client;
///
/// let digi_me = Client::new();
/// let other = Client::builder().base_url("http://localhost:8080/v1.5").build()?;
/// # Ok::<(), digime::error::ClientError>(())
/// ```
///
/// [`ClientBuilder`] lists the timeouts, retries and pauses, with their defaults.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    /// Builds requests.
    http: reqwest::Client,
    /// Sends them.
    transport: Arc<dyn Transport>,
    connections: Connections,
    base_url: Url,
    settings: Settings,
    keys: KeyCache,
    exchanges: Exchanges,
    /// By how many milliseconds the platform's clock is ahead of this machine's, as learned from its answers.
    platform_ahead: AtomicI64,
    /// Whether any answer so far had a `Date`.
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
    retry_pauses: Option<Arc<dyn Fn() -> Pauses + Send + Sync>>,
    clock: Clock,
    random: Random,
    network: NetworkSettings,
    layers: Vec<Wrap>,
}

/// What sends the requests.
#[derive(Clone)]
enum NetworkSettings {
    /// An HTTP client with our settings.
    Ours,
    /// The same, and the application changes it.
    Changed(Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>),
    /// The application's HTTP client.
    Shared(reqwest::Client),
    /// Anything else.
    Foreign(Arc<dyn Transport>),
}

/// Wraps a transport in a layer.
type Wrap = Arc<dyn Fn(Arc<dyn Transport>) -> Arc<dyn Transport> + Send + Sync>;

/// The pauses between the attempts at one request.
pub(crate) type Pauses = Box<dyn Iterator<Item = Duration> + Send + Sync>;

/// A smaller difference than this is explained by the time that an answer travels and by the resolution of its `Date`, so
/// the two clocks count as equal.
const SAME_TIME_MILLIS: i64 = 3_000;

/// How long a new session or token is assumed to last if the known times say that it has already expired.
const ASSUMED_LIFE_MILLIS: u64 = 10 * 60 * 1000;

/// Why a [`Client`] can't be built.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The base URL is malformed.
    #[error("the base URL is malformed: write it as in `https://api.digi.me/v1.5`")]
    BaseUrl(#[source] BaseUrlError),
    /// The base URL is plain http to another machine, so anyone on the way could read and change what is sent.
    #[error(
        "the base URL is plain http: use https, or http on the loopback (`127.0.0.1`, `[::1]`, `localhost`)"
    )]
    PlainHttp,
    /// TLS can't be set up on this machine.
    #[error("TLS can't be set up: check that this machine has root certificates")]
    Tls(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The HTTP client can't be built as [`http_settings`](ClientBuilder::http_settings) says.
    #[error("the HTTP client can't be built: check what `http_settings` sets")]
    HttpSettings(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The [`http_client`](ClientBuilder::http_client) follows redirections, and would carry secrets to servers that
    /// nobody checked.
    #[error(
        "the HTTP client follows redirections, which would carry secrets to other servers: build it with `.redirect(reqwest::redirect::Policy::none())`, or use `http_settings`"
    )]
    FollowsRedirections,
}

/// What is wrong with a base URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It is not an absolute URL.
    #[error(transparent)]
    Malformed(#[from] url::ParseError),
    /// It has a user name or a password.
    #[error("it has userinfo")]
    Userinfo,
    /// It has a query or a fragment.
    #[error("it has a query or a fragment")]
    QueryOrFragment,
    /// Its scheme is neither https nor http.
    #[error("it is neither https nor http")]
    Scheme,
}

impl Client {
    /// Makes a client of `https://api.digi.me/v1.5` with the default settings.
    ///
    /// ```
    /// let client = digime::Client::new();
    /// assert_eq!(client.base_url().as_str(), "https://api.digi.me/v1.5");
    /// ```
    ///
    /// # Panics
    /// Panics if TLS can't be set up because this machine has no root certificates. [`ClientBuilder::build`] returns an
    /// error instead.
    #[must_use]
    pub fn new() -> Self {
        Self::builder()
            .build()
            .expect("this machine has root certificates")
    }

    /// Makes a client with other settings.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use digime::Client;
    /// let client = Client::builder()
    ///     .call_timeout(Duration::from_secs(10))
    ///     .max_retries(1)
    ///     .build()?;
    /// # Ok::<(), digime::error::ClientError>(())
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// The base URL of the platform, as set by [`ClientBuilder::base_url`].
    ///
    /// ```
    /// # use digime::Client;
    /// let client = Client::builder().base_url("http://localhost:8080/v1.5").build()?;
    /// assert_eq!(client.base_url().port(), Some(8080));
    /// # Ok::<(), digime::error::ClientError>(())
    /// ```
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.0.base_url
    }

    /// A new code verifier (RFC 7636), for an authorization request of a library's own. [`CodeVerifier`] has an example.
    #[must_use]
    pub fn code_verifier(&self) -> CodeVerifier {
        CodeVerifier::new(self.random())
    }

    /// A `state` that can't be guessed, for an authorization request of a library's own (RFC 6749, section 10.12): 43
    /// characters of base64url, which hold 256 random bits.
    ///
    /// ```
    /// # use digime::Client;
    /// let client = Client::new();
    /// assert_ne!(client.random_state(), client.random_state());
    /// ```
    #[must_use]
    pub fn random_state(&self) -> String {
        self.random().url_safe_256()
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.0.transport
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

    /// The limit of one attempt at a small request.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.settings.timeout
    }

    /// The limit of a call with all its attempts.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.0.settings.call_timeout
    }

    /// How long an upload may make no progress.
    pub(crate) fn stall_timeout(&self) -> Duration {
        self.0.settings.stall_timeout
    }

    pub(crate) fn max_retry_after(&self) -> Duration {
        self.0.settings.max_retry_after
    }

    /// The pauses between attempts. Their end means that there are no more attempts.
    pub(crate) fn pauses(&self) -> Pauses {
        match &self.0.settings.retry_pauses {
            Some(pauses) => pauses(),
            None => Box::new(self.doubling_pauses().build()),
        }
    }

    /// The same for a request that is tried for minutes, however many attempts that takes.
    pub(crate) fn endless_pauses(&self) -> Pauses {
        match &self.0.settings.retry_pauses {
            Some(pauses) => Box::new(pauses().chain(std::iter::repeat(self.longest_delay()))),
            None => Box::new(self.doubling_pauses().without_max_times().build()),
        }
    }

    /// Pauses that double. Jitter keeps many clients from retrying at the same moment.
    fn doubling_pauses(&self) -> ExponentialBuilder {
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

    /// The source of nonces, of `state` and of verifiers.
    pub(crate) fn random(&self) -> &Random {
        &self.0.settings.random
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

    /// Converts a time of this machine's clock to the platform's clock, both in Unix milliseconds.
    pub(crate) fn platform_time(&self, own_time: u64) -> u64 {
        own_time.saturating_add_signed(self.0.platform_ahead.load(Relaxed))
    }

    /// Learns from the `Date` of an answer by how many milliseconds the platform's clock is ahead of this machine's.
    pub(crate) fn learn_platform_time(&self, platform_ahead: i64) {
        self.0.platform_ahead.store(platform_ahead, Relaxed);
        self.0.has_date.store(true, Relaxed);
    }

    /// Converts a time of the platform's clock to this machine's clock, both in Unix milliseconds.
    pub(crate) fn own_time(&self, platform_time: u64) -> u64 {
        platform_time.saturating_add_signed(self.0.platform_ahead.load(Relaxed).saturating_neg())
    }

    /// When a new session or token expires, by this machine's clock. The answer that brought it came at `came_at`.
    ///
    /// What the platform has just issued has not expired. If it seems expired, this machine's clock or a `Date` was wrong,
    /// and the estimate of the platform's time is corrected. If the clock and a `Date` agree, the expiry is believed.
    pub(crate) fn end_of_new(&self, expires: u64, came_at: u64) -> u64 {
        let seems_over = self.own_time(expires) <= came_at;
        let is_over = expires <= came_at && self.0.has_date.load(Relaxed);
        if seems_over && !is_over {
            self.correct_time(expires, came_at);
        }
        self.own_time(expires)
    }

    /// Corrects the platform's time so that what it has just issued has not expired, and logs what is wrong.
    fn correct_time(&self, expires: u64, came_at: u64) {
        let estimate = self.platform_time(came_at);
        tracing::warn!("{}", wrong_time(expires, came_at, estimate));
        let now = expires.saturating_sub(ASSUMED_LIFE_MILLIS);
        self.0
            .platform_ahead
            .store(difference(now, came_at), Relaxed);
    }

    /// When something ends by this machine's clock, given that another clock says that it has not ended.
    pub(crate) fn end_of_unended(&self, expires: u64) -> u64 {
        let now = self.now();
        match self.own_time(expires) {
            ends if ends > now => ends,
            _ => now.saturating_add(ASSUMED_LIFE_MILLIS),
        }
    }

    /// The URL of an endpoint. Its segments follow the base URL's path.
    pub(crate) fn endpoint(&self, segments: &[impl AsRef<str>]) -> Url {
        let mut url = self.0.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// By how many milliseconds the platform's clock is ahead of this machine's, from the `Date` of an answer and the time at
/// which it came, both in Unix milliseconds.
pub(crate) fn platform_ahead(date: u64, came_at: u64) -> i64 {
    let difference = difference(date, came_at);
    if difference.abs() <= SAME_TIME_MILLIS {
        0
    } else {
        difference
    }
}

/// Says why what was just issued seems expired: this machine's clock is ahead, or else a `Date` was.
fn wrong_time(expires: u64, came_at: u64, estimate: u64) -> String {
    if let Some(ahead) = came_at.checked_sub(expires) {
        format!(
            "this machine's clock is ahead of the platform's by at least {} seconds: set it",
            ahead / 1000
        )
    } else {
        format!(
            "the `Date` of an answer was ahead of the platform's clock by at least {} seconds: check the proxies in between",
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
///
/// ```
/// use std::time::Duration;
/// use digime::Client;
///
/// let client = Client::builder()
///     .base_url("https://api.digi.me/v1.5")
///     .timeout(Duration::from_secs(5))
///     .max_retries(2)
///     .retry_delays(Duration::from_millis(500), Duration::from_secs(4))
///     .build()?;
/// # Ok::<(), digime::error::ClientError>(())
/// ```
///
/// # Timeouts, retries and pauses
///
/// | setting | default | applies to |
/// | --- | --- | --- |
/// | [`connect_timeout`](Self::connect_timeout) | 5 s | making one connection |
/// | [`timeout`](Self::timeout) | 10 s | one signature; one attempt at establishing a session, authorizing, fetching the platform's keys, or a [`Request`](crate::request::Request) of a library's own |
/// | [`call_timeout`](Self::call_timeout) | 30 s | a call with all attempts and pauses; for an upload, each request before it |
/// | [`stall_timeout`](Self::stall_timeout) | 60 s | an upload that makes no progress, and then the wait for its answer |
/// | [`max_retries`](Self::max_retries) | 4 | how many times a transient failure is retried |
/// | [`retry_delays`](Self::retry_delays) | 250 ms to 8 s | the pauses between attempts |
/// | [`max_retry_after`](Self::max_retry_after) | 60 s | the longest `Retry-After` that is waited for |
///
/// The first pause is 250 ms, and each pause doubles the one before, up to 8 s. Jitter lengthens each pause by a random
/// part of itself, up to twice its length. If the answer has a `Retry-After`, the pause lasts at least that long.
///
/// | request | is retried after | is not retried after |
/// | --- | --- | --- |
/// | establish a session, authorize, fetch keys | a failed connection, a lost answer, 408, 429, any 5xx but 501 | any other refusal, an answer that makes no sense |
/// | push | the same, if the item can be read again; it may then arrive twice | the same |
/// | exchange a code, refresh a token | a failed connection, 408, 429, 503 | anything after which the code or token may be spent |
/// | a library's own | as the first row says; with an item, as a push | the same |
/// | a library's own, [`once`](crate::error::Operation::once) | as the third row says | anything after which it may have been acted upon |
///
/// Each attempt is signed anew. A signature that fails for now or takes longer than `timeout` is retried too, for every request,
/// since nothing was sent. One that the [`Signer`](crate::Signer) refuses is not.
///
/// A request of a library's own that is `once` may wait for its answer until `call_timeout`. One that is
/// [`patient`](crate::request::Request::patient) waits for five minutes, as the next paragraph says of tokens.
///
/// A request that exchanges a code or refreshes a token has no limit for an attempt, because its answer can't be asked
/// for again. The caller gets an error after `call_timeout`; the request waits up to five minutes for its answer in a task
/// of its own.
///
/// An upload has no limit in all, because its time depends on its size.
///
/// # What sends the requests
///
/// An HTTP client of digime's own does, unless [another one or a transport](crate::transport) is set. Redirections are
/// never followed.
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
                retry_pauses: None,
                clock: Clock::default(),
                random: Random::default(),
                network: NetworkSettings::Ours,
                layers: Vec::new(),
            },
        }
    }

    /// The base URL of the platform: `https`, or `http` on the loopback. Default: `https://api.digi.me/v1.5`.
    ///
    /// ```
    /// # use digime::Client;
    /// let local = Client::builder().base_url("http://127.0.0.1:8080/v1.5").build()?;
    /// assert!(Client::builder().base_url("http://api.digi.me/v1.5").build().is_err());
    /// # Ok::<(), digime::error::ClientError>(())
    /// ```
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// How long making a connection may take. Default: 5 seconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = digime::Client::builder().connect_timeout(Duration::from_secs(2));
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long one attempt at a request may take, other than an upload. Default: 10 seconds.
    ///
    /// A request that spends a code or a refresh token is not limited by this. The caller waits for it until
    /// [`call_timeout`](Self::call_timeout).
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = digime::Client::builder().timeout(Duration::from_secs(5));
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long a call may take in all, with its retries and pauses. Default: 30 seconds.
    ///
    /// For a push, this limits each request before the upload, such as a refresh. The upload itself is limited by
    /// [`stall_timeout`](Self::stall_timeout).
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = digime::Client::builder().call_timeout(Duration::from_secs(20));
    /// ```
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.settings.call_timeout = timeout;
        self
    }

    /// How long the platform may take no byte of an upload, and then how long it may take to answer. Default: 60 seconds.
    ///
    /// If it is the item's reader that gives no data for this long, the push fails with
    /// [`ItemError::Unreadable`](crate::error::ItemError::Unreadable).
    ///
    /// The operating system buffers data, so a full buffer is no sign of a stalled upload. On Linux the client looks at what
    /// is left in its sockets' buffers: while the platform takes data from any of them, the upload may continue, for ten times
    /// this timeout at most. On other systems, and if the connections are not made by this client's own HTTP client, only the
    /// data that is handed over counts as progress.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = digime::Client::builder().stall_timeout(Duration::from_secs(30));
    /// ```
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.settings.stall_timeout = timeout;
        self
    }

    /// How many times a transient failure is retried: a connection fault, 408, 429, or any 5xx but 501. Default: 4; with 0
    /// nothing is retried.
    ///
    /// A code and a refresh token are sent again only if the failure proves that they were not used. The table on
    /// [`ClientBuilder`] lists what is retried for which request.
    ///
    /// ```
    /// // Every push is sent once at most, so none arrives twice.
    /// let builder = digime::Client::builder().max_retries(0);
    /// ```
    pub fn max_retries(mut self, retries: usize) -> Self {
        self.settings.max_retries = retries;
        self
    }

    /// The pause before the first retry, and the longest pause. Default: 250 ms and 8 s.
    ///
    /// The pause doubles with each retry, up to the longest. Jitter then lengthens it by a random part of itself, up to
    /// twice its length.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = digime::Client::builder().retry_delays(Duration::from_millis(100), Duration::from_secs(2));
    /// ```
    pub fn retry_delays(mut self, shortest: Duration, longest: Duration) -> Self {
        self.settings.retry_delays = (shortest, longest);
        self
    }

    /// The longest `Retry-After` that is waited for. Default: 60 seconds.
    ///
    /// If the platform asks for a longer pause, the request fails at once. The error has the pause in
    /// [`Refusal::retry_after`](crate::error::Refusal::retry_after).
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = digime::Client::builder().max_retry_after(Duration::from_secs(5));
    /// ```
    pub fn max_retry_after(mut self, longest: Duration) -> Self {
        self.settings.max_retry_after = longest;
        self
    }

    /// The clock, for the timestamps of requests and for what expires. Default: [`SystemTime::now`]. A test can set
    /// another.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// let tomorrow = || SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    /// let builder = digime::Client::builder().clock(tomorrow);
    /// ```
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.settings.clock = Clock::new(clock);
        self
    }

    /// The source of random bytes for nonces, `state` and code verifiers, so that a test can repeat a request. Default: the
    /// system's. Use another in tests only.
    ///
    /// What can be guessed protects nothing: a guessed `state` lets an attacker bring a callback of their own, and a guessed
    /// verifier lets them use a stolen code. And the platform refuses a nonce that comes twice, as it does in every retry
    /// if the source always gives the same. The keys that encrypt items, and the signatures, stay random.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU8, Ordering};
    ///
    /// let next = AtomicU8::new(0);
    /// let builder = digime::Client::builder()
    ///     .random(move |bytes| bytes.fill_with(|| next.fetch_add(1, Ordering::Relaxed)));
    /// ```
    pub fn random(mut self, fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        self.settings.random = Random::new(fill);
        self
    }

    /// The pauses between the attempts at one request, in place of [`max_retries`](Self::max_retries) and
    /// [`retry_delays`](Self::retry_delays). `pauses` is called for each request. When its pauses end, there are no more
    /// attempts. No jitter is added.
    ///
    /// It decides how often and when a request is sent again, but not whether that is safe: the table on [`ClientBuilder`]
    /// applies. A pause is longer if the answer has a `Retry-After`, and none goes beyond the
    /// [`call_timeout`](Self::call_timeout). A push has no such limit, so pauses without an end try it for ever. The
    /// keys that verify tokens are fetched for five minutes, even if the pauses end.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let every_second = || std::iter::repeat_n(Duration::from_secs(1), 10);
    /// let builder = digime::Client::builder().retry_pauses(every_second);
    /// ```
    pub fn retry_pauses<I>(mut self, pauses: impl Fn() -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item = Duration>,
        I::IntoIter: Send + Sync + 'static,
    {
        self.settings.retry_pauses = Some(Arc::new(move || Box::new(pauses().into_iter())));
        self
    }

    /// Changes the HTTP client that digime makes: its proxy, root certificates, client certificate, user agent or
    /// connection pool.
    ///
    /// `change` gets digime's settings and may replace any of them, with two exceptions. Redirections are never followed, since a
    /// redirected request would carry its secrets to another server. And the HTTP client sends nothing again, since that
    /// is decided for each request. Set no total `timeout`, which would also end long uploads.
    ///
    /// If the base URL is on the loopback, these settings leave out the proxies of the system, and a proxy that `change` adds
    /// is used. A `change` that begins with a builder of its own has to leave them out itself: on the loopback requests are not
    /// encrypted. Which certificates are trusted is what `change` makes of it.
    ///
    /// This replaces an earlier [`http_client`](Self::http_client), [`transport`](Self::transport) or
    /// [`service`](Self::service), and is replaced by a later one.
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let proxy = reqwest::Proxy::https("http://proxy.shop.example:3128")?;
    /// let client = digime::Client::builder()
    ///     .http_settings(move |http| http.proxy(proxy.clone()).user_agent("shop/1.0"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// # run().unwrap();
    /// ```
    pub fn http_settings(
        mut self,
        change: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.settings.network = NetworkSettings::Changed(Arc::new(change));
        self
    }

    /// Sends requests through the application's own HTTP client, and so through its connection pool.
    ///
    /// It must be built with `redirect(Policy::none())`. [`build`](Self::build) refuses any other, since a client that is
    /// built can't be told to follow no redirections. If the rest of the application needs them, let digime have a client
    /// of its own, with [`http_settings`](Self::http_settings). A retry policy of the client is not applied.
    ///
    /// All other settings are the client's: its proxies, also for a base URL on the loopback, its user agent, and its limits of
    /// time, which apply beside digime's. So give it no total `timeout`, which would also end long uploads.
    /// [`connect_timeout`](Self::connect_timeout) has no effect. digime does not see the client's connections,
    /// so for an upload only the data that is handed over counts as progress, as
    /// [`stall_timeout`](Self::stall_timeout) describes.
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    /// let client = digime::Client::builder().http_client(http).build()?;
    ///
    /// let follows = digime::Client::builder().http_client(reqwest::Client::new()).build();
    /// assert!(follows.is_err());
    /// # Ok(())
    /// # }
    /// # run().unwrap();
    /// ```
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.settings.network = NetworkSettings::Shared(http);
        self
    }

    /// Sends requests through a [`Transport`], which has an example.
    ///
    /// Time limits, the limit of an answer's length, retries and verification hold as they do on the network. What a transport
    /// must do itself is listed at [`Transport`]. [`connect_timeout`](Self::connect_timeout) has no effect. For an upload
    /// only the data that the transport takes counts as progress.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.settings.network = NetworkSettings::Foreign(Arc::new(transport));
        self
    }

    /// Sends requests through a `tower` service, under the duties of a [`Transport`].
    ///
    /// It is cloned for each attempt, and called when it is ready. If it fails before it is ready, nothing was sent. Its
    /// error counts as lost, so that the request may have been received, with these exceptions:
    /// [`TransportError`](crate::transport::TransportError) means what it says, and an error of `reqwest` or `hyper-util`
    /// in connecting means that nothing was sent.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// use std::future::{ready, Ready};
    /// use std::task::{Context, Poll};
    /// use digime::transport::{http, tower::Service, Body};
    ///
    /// /// A platform for a test, which refuses everything.
    /// #[derive(Clone)]
    /// struct Closed;
    ///
    /// impl Service<http::Request<Body>> for Closed {
    ///     type Response = http::Response<Body>;
    ///     type Error = Infallible;
    ///     type Future = Ready<Result<Self::Response, Infallible>>;
    ///
    ///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
    ///         Poll::Ready(Ok(()))
    ///     }
    ///
    ///     fn call(&mut self, _: http::Request<Body>) -> Self::Future {
    ///         let mut answer = http::Response::new(Body::from("closed"));
    ///         *answer.status_mut() = http::StatusCode::FORBIDDEN;
    ///         ready(Ok(answer))
    ///     }
    /// }
    ///
    /// let client = digime::Client::builder().service(Closed).build()?;
    /// # Ok::<(), digime::error::ClientError>(())
    /// ```
    pub fn service<S, B>(self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.transport(Tower(service))
    }

    /// Puts a `tower` layer around whatever sends the requests. It sees each attempt, with its
    /// [`Attempt`](crate::transport::Attempt) in the request's extensions.
    ///
    /// Each layer wraps those that were added before, so the last one sees a request first. A layer may add headers, wait,
    /// count, or answer by itself; its time counts in the limits of the attempt. It has the duties of a [`Transport`],
    /// which says what must not be logged. Its errors are read as those of a [`service`](Self::service).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use std::task::{Context, Poll};
    /// use digime::Client;
    /// use digime::transport::{http, tower::{Layer, Service}, Attempt};
    ///
    /// /// Counts the attempts that are retries.
    /// #[derive(Clone, Default)]
    /// struct CountRetries(Arc<AtomicU32>);
    ///
    /// #[derive(Clone)]
    /// struct Counting<S>(S, CountRetries);
    ///
    /// impl<S> Layer<S> for CountRetries {
    ///     type Service = Counting<S>;
    ///
    ///     fn layer(&self, inner: S) -> Counting<S> {
    ///         Counting(inner, self.clone())
    ///     }
    /// }
    ///
    /// impl<S: Service<http::Request<B>>, B> Service<http::Request<B>> for Counting<S> {
    ///     type Response = S::Response;
    ///     type Error = S::Error;
    ///     type Future = S::Future;
    ///
    ///     fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
    ///         self.0.poll_ready(context)
    ///     }
    ///
    ///     fn call(&mut self, request: http::Request<B>) -> S::Future {
    ///         if request.extensions().get::<Attempt>().is_some_and(|attempt| attempt.number() > 1) {
    ///             self.1.0.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///         self.0.call(request)
    ///     }
    /// }
    ///
    /// let retries = CountRetries::default();
    /// let client = Client::builder().layer(retries.clone()).build()?;
    /// # Ok::<(), digime::error::ClientError>(())
    /// ```
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<TransportService> + Send + Sync + 'static,
        L::Service: Service<http::Request<Body>, Response = http::Response<B>>
            + Clone
            + Send
            + Sync
            + 'static,
        <L::Service as Service<http::Request<Body>>>::Error:
            Into<Box<dyn std::error::Error + Send + Sync>>,
        <L::Service as Service<http::Request<Body>>>::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.settings.layers.push(Arc::new(move |inner| {
            Arc::new(Tower(layer.layer(TransportService::new(inner))))
        }));
        self
    }

    /// Builds the client.
    ///
    /// ```
    /// # use digime::Client;
    /// use digime::error::ClientError;
    ///
    /// let refused = Client::builder().base_url("http://api.digi.me/v1.5").build();
    /// assert!(matches!(refused, Err(ClientError::PlainHttp)));
    /// ```
    ///
    /// # Errors
    /// - [`ClientError::BaseUrl`] if the base URL is malformed.
    /// - [`ClientError::PlainHttp`] if it is plain http to another machine.
    /// - [`ClientError::Tls`] if TLS can't be set up on this machine.
    /// - [`ClientError::HttpSettings`] if the HTTP client can't be built as [`http_settings`](Self::http_settings) says.
    /// - [`ClientError::FollowsRedirections`] if the [`http_client`](Self::http_client) follows redirections.
    pub fn build(self) -> Result<Client, ClientError> {
        let base_url = check_base_url(&self.base_url)?;
        let connections = Connections::default();
        let (http, transport) = self.network(&base_url, &connections)?;
        let layers = self.settings.layers.iter();
        let transport = layers.fold(transport, |inner, wrap| wrap(inner));
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

    /// What builds requests, and what sends them.
    fn network(
        &self,
        base_url: &Url,
        connections: &Connections,
    ) -> Result<(reqwest::Client, Arc<dyn Transport>), ClientError> {
        let tls = |error| ClientError::Tls(Arc::new(error));
        let http = match &self.settings.network {
            NetworkSettings::Ours => {
                let http = bound(self.http(base_url), connections);
                http.build().map_err(tls)?
            }
            NetworkSettings::Changed(change) => {
                let http = bound(change(self.http(base_url)), connections);
                // What may be sent again is decided for each request.
                let http = http.retry(reqwest::retry::never()).build();
                http.map_err(|error| ClientError::HttpSettings(Arc::new(error)))?
            }
            NetworkSettings::Shared(http) if follows_redirections(http) => {
                return Err(ClientError::FollowsRedirections);
            }
            NetworkSettings::Shared(http) => {
                return Ok((http.clone(), Arc::new(SharedNetwork(http.clone()))));
            }
            NetworkSettings::Foreign(transport) => {
                // It connects to nothing, so it needs no root certificates.
                let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
                return Ok((http.build().map_err(tls)?, transport.clone()));
            }
        };
        Ok((http.clone(), Arc::new(Network(http))))
    }

    /// Our settings of an HTTP client, which the application may change.
    fn http(&self, base_url: &Url) -> reqwest::ClientBuilder {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("digime-rust/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.settings.connect_timeout);
        if is_loopback(base_url) {
            http = http.no_proxy();
        }
        if base_url.scheme() == "http" {
            // Plain http needs no TLS, so no root certificates on this machine either.
            http = http.tls_certs_only([]);
        }
        http
    }
}

/// An HTTP client with the settings that nobody may change.
fn bound(http: reqwest::ClientBuilder, connections: &Connections) -> reqwest::ClientBuilder {
    http.connector_layer(connections.clone())
        // A redirected request would carry its token to a server that nobody checked.
        .redirect(reqwest::redirect::Policy::none())
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
    use crate::store::{MemoryStore, ParkedFlows};
    use crate::{AwaitingCallback, PostboxItem, SealingKeys, Suspended, Verifier};

    #[test]
    fn endpoints_are_below_the_base_url() {
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

    /// A platform that answers each path with the `Date` that `date` returns for it.
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

    /// Goes through a whole flow, from a session to a delivery, and suspends it on the way.
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
    async fn a_clock_ahead_of_a_platform_without_a_date_ends_nothing() {
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
    async fn one_wrong_date_ends_nothing() {
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
    async fn a_wrong_date_of_another_answer_ends_no_session() {
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
        let message = rejected.error().to_string();
        assert!(message.contains("establish another"), "{message}");
        assert!(message.contains("check this machine's clock"), "{message}");
    }

    #[tokio::test]
    async fn the_platforms_time_is_learned_only_from_its_own_fresh_answers() {
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
    fn a_warning_of_a_wrong_time_names_the_cause() {
        let of_the_clock = wrong_time(1_000_000, 9_000_000, 9_000_000);
        assert_eq!(
            of_the_clock,
            "this machine's clock is ahead of the platform's by at least 8000 seconds: set it"
        );
        let of_a_date = wrong_time(1_000_000, 900_000, 3_000_000);
        assert!(of_a_date.contains("2000 seconds"), "{of_a_date}");
        assert!(of_a_date.starts_with("the `Date`"), "{of_a_date}");
    }
}
