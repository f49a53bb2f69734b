//! The client: its settings, and what all of its calls share.

mod builder;
mod http_client;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use thiserror::Error;
use url::Url;

pub use builder::ClientBuilder;
use http_client::NetworkSettings;

use super::transport::Transport;
use super::{Connections, Exchanges, KeyCache};
use crate::clock::Clock;
use crate::observe;
use crate::pkce::CodeVerifier;
use crate::random::Random;
use crate::unix_time;

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
    extensions: http::Extensions,
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
    /// What [`dangerously_allow_http_to`](ClientBuilder::dangerously_allow_http_to) got is not a host name alone.
    #[error(
        "`dangerously_allow_http_to` takes a host name alone, such as `sandbox`, without scheme, port, path or user, and no IP address"
    )]
    NotAHostName,
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

    /// The setting of a library, as given to [`ClientBuilder::extension`], if the client has it.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.settings.extensions.get()
    }

    /// The time by the platform's clock, as far as it is known from the platform's answers. It decides what has expired.
    ///
    /// ```
    /// let client = digime::Client::new();
    /// println!("it is about {:?} at digi.me", client.platform_clock());
    /// ```
    #[must_use]
    pub fn platform_clock(&self) -> SystemTime {
        unix_time::time(Duration::from_millis(self.platform_now()))
    }

    /// A new code verifier (RFC 7636), for an authorization request that a library adds. [`CodeVerifier`] has an example.
    #[must_use]
    pub fn code_verifier(&self) -> CodeVerifier {
        CodeVerifier::new(self.random())
    }

    /// A `state` that can't be guessed, for an authorization request that a library adds (RFC 6749, section 10.12): 43
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
        let reason = wrong_time(expires, came_at, estimate);
        tracing::warn!(target: observe::REQUEST, reason, "what was just issued seems expired");
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::SystemTime;

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

    #[test]
    fn plain_http_goes_to_the_host_that_was_named_and_to_no_other() {
        let build = |host: &str, url: &str| {
            let builder = Client::builder().dangerously_allow_http_to(host);
            builder.base_url(url).build()
        };
        for (host, url) in [
            ("sandbox", "http://sandbox:8700/v1.5"),
            ("SANDBOX", "http://Sandbox/v1.5"),
            ("sandbox.test.svc", "http://sandbox.test.svc:8700"),
            ("sandbox", "https://api.digi.me/v1.5"),
            ("sandbox", "http://127.0.0.1:8700/v1.5"),
        ] {
            build(host, url).expect(url);
        }
        for url in [
            "http://api.digi.me/v1.5",
            "http://sandbox.example:8700/v1.5",
            "http://a.sandbox/v1.5",
            "http://sandbox./v1.5",
            "http://10.0.0.1/v1.5",
        ] {
            let refused = build("sandbox", url).unwrap_err();
            assert!(
                matches!(refused, ClientError::PlainHttp),
                "{url}: {refused}"
            );
        }
        for host in [
            "",
            "sandbox:8700",
            "http://sandbox",
            "sandbox/v1.5",
            "user@sandbox",
            " sandbox",
            "10.0.0.1",
            "[::1]",
            "*",
            "*.example",
        ] {
            let refused = build(host, "http://sandbox:8700/v1.5").unwrap_err();
            assert!(
                matches!(refused, ClientError::NotAHostName),
                "{host}: {refused}"
            );
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
