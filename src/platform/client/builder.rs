//! How a client is set up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::{Duration, SystemTime};

use digime_rules::is_loopback;
use tower_layer::Layer;
use tower_service::Service;
use url::{Host, Url};

use super::http_client::NetworkSettings;
use super::{BaseUrlError, Client, ClientError, Inner, Settings};
use crate::clock::Clock;
use crate::observe;
use crate::platform::transport::{Body, Tower, Transport, TransportService};
use crate::platform::{Connections, Exchanges, KeyCache};
use crate::random::Random;

/// The base URL of digi.me's platform.
const DIGI_ME: &str = "https://api.digi.me/v1.5";

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
/// | [`timeout`](Self::timeout) | 10 s | one signature; one attempt at establishing a session, authorizing, fetching the platform's keys, or a [`Request`](crate::request::Request) that a library adds |
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
/// A library's request that is `once` may wait for its answer until `call_timeout`. One that is
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
    http_host: Option<String>,
    settings: Settings,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            base_url: DIGI_ME.to_owned(),
            http_host: None,
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
                extensions: http::Extensions::new(),
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

    /// Allows a base URL with plain http to one named host, for a platform that takes the place of digi.me in a test network, such
    /// as a container's. Never use it towards digi.me.
    ///
    /// Anyone on the way to that host can read and change what is sent, and can take over the tokens. The system's proxies are
    /// left out, as for the loopback, and building a client that makes use of this logs a warning.
    ///
    /// ```
    /// # use digime::Client;
    /// let client = Client::builder()
    ///     .base_url("http://sandbox:8700/v1.5")
    ///     .dangerously_allow_http_to("sandbox")
    ///     .build()?;
    /// # Ok::<(), digime::error::ClientError>(())
    /// ```
    pub fn dangerously_allow_http_to(mut self, host: impl Into<String>) -> Self {
        self.http_host = Some(host.into());
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
    /// If the base URL is plain http or on the loopback, these settings leave out the proxies of the system, and a proxy that `change` adds
    /// is used. A `change` that begins with a builder of its own has to leave them out itself: with plain http
    /// requests are not encrypted. Which certificates are trusted is what `change` makes of it.
    ///
    /// This replaces an earlier [`http_client`](Self::http_client), [`transport`](Self::transport) or
    /// [`service`](Self::service), and is replaced by a later one.
    ///
    /// ```
    /// let proxy = reqwest::Proxy::https("http://proxy.shop.example:3128")?;
    /// let client = digime::Client::builder()
    ///     .http_settings(move |http| http.proxy(proxy.clone()).user_agent("shop/1.0"))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
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
    /// let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    /// let client = digime::Client::builder().http_client(http).build()?;
    ///
    /// let follows = digime::Client::builder().http_client(reqwest::Client::new()).build();
    /// assert!(follows.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
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

    /// Adds a setting of a library, which finds it again by its type with [`Client::extension`]. It replaces an earlier one of the
    /// same type.
    ///
    /// ```
    /// use digime::Client;
    ///
    /// /// Where the pages of a library are.
    /// #[derive(Clone)]
    /// struct PagesUrl(String);
    ///
    /// let pages = PagesUrl("https://pages.example/".into());
    /// let client = Client::builder().extension(pages).build()?;
    /// assert_eq!(client.extension::<PagesUrl>().map(|it| it.0.as_str()), Some("https://pages.example/"));
    /// # Ok::<(), digime::error::ClientError>(())
    /// ```
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, setting: T) -> Self {
        self.settings.extensions.insert(setting);
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
    /// - [`ClientError::NotAHostName`] if [`dangerously_allow_http_to`](Self::dangerously_allow_http_to) got anything else.
    /// - [`ClientError::Tls`] if TLS can't be set up on this machine.
    /// - [`ClientError::HttpSettings`] if the HTTP client can't be built as [`http_settings`](Self::http_settings) says.
    /// - [`ClientError::FollowsRedirections`] if the [`http_client`](Self::http_client) follows redirections.
    pub fn build(self) -> Result<Client, ClientError> {
        let http_host = self.http_host.as_deref().map(host_name).transpose()?;
        let base_url = check_base_url(&self.base_url, http_host.as_deref())?;
        let connections = Connections::default();
        let network = &self.settings.network;
        let connect_timeout = self.settings.connect_timeout;
        let (http, transport) = network.build(&base_url, connect_timeout, &connections)?;
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
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// Checks a base URL. `http_host` is the host that plain http is allowed to.
fn check_base_url(url: &str, http_host: Option<&str>) -> Result<Url, ClientError> {
    let url = parse_base_url(url).map_err(ClientError::BaseUrl)?;
    if url.scheme() != "http" || is_loopback(&url) {
        return Ok(url);
    }
    if http_host.is_none() || url.host_str() != http_host {
        return Err(ClientError::PlainHttp);
    }
    tracing::warn!(
        target: observe::REQUEST,
        base_url = %url,
        "requests to the platform are not encrypted, because `dangerously_allow_http_to` is set"
    );
    Ok(url)
}

/// A host name as a URL would have it.
fn host_name(name: &str) -> Result<String, ClientError> {
    match Host::parse(name) {
        Ok(Host::Domain(domain)) if !domain.contains('*') => Ok(domain),
        _ => Err(ClientError::NotAHostName),
    }
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
