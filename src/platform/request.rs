//! A request to the platform, as this library and others describe it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;
use zeroize::Zeroizing;

use super::attempts::Deadline;
use super::client::Client;
use super::error::{Cause, Operation, PlatformError, RequestError};
use super::http::without_secrets;
use super::oauth::AccessToken;
use super::{Platform, jws};
use crate::internal::InternalError;
use crate::postbox::{BodyMonitor, PostboxItem, PreparedItem};

/// The headers that the client sets. Others could make two servers read one request differently.
const HEADERS_OF_THE_CLIENT: [HeaderName; 12] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The claims that every request token has.
const CLAIMS_OF_THE_CLIENT: [&str; 3] = ["client_id", "nonce", "timestamp"];

/// A request to the platform: an endpoint that this library does not have.
///
/// [`Flow::request`](crate::Flow::request) sends it as the library's own requests are sent. Each attempt has a request token
/// of its own, with the contract's ids, a new nonce and the time, signed by the contract's [`Signer`](crate::Signer). It is
/// retried, limited, traced and refused as [`ClientBuilder`](crate::ClientBuilder) and [`Operation`] say. Redirections are
/// not followed, and an answer of more than 1 MiB is refused.
///
/// A library adds an endpoint in some twenty lines:
///
/// ```
/// use digime::error::Operation;
/// use digime::request::Request;
/// use digime::{Authorized, Error, Flow};
///
/// #[derive(serde::Deserialize)]
/// pub struct Account {
///     pub id: String,
/// }
///
/// /// The accounts that the user has added to their digi.me.
/// pub async fn accounts<C>(flow: &Flow<C, Authorized>) -> Result<Vec<Account>, Error> {
///     let path = ["permission-access", "accounts"];
///     let request = Request::get(path, Operation::custom("list the accounts"))
///         .access_token(&flow.valid_access_token().await?)
///         .without_redirect_uri();
///     Ok(flow.request(request).await?.json()?)
/// }
///
/// /// Deletes an account. If the answer is lost, this is not tried again.
/// pub async fn delete_account<C>(flow: &Flow<C, Authorized>, account: &Account) -> Result<(), Error> {
///     let operation = Operation::custom("delete the account").once("the account may already be deleted");
///     let request = Request::delete(["permission-access", "service", "h:accountId"], operation)
///         .header("accountId", &account.id)
///         .access_token(&flow.valid_access_token().await?)
///         .without_redirect_uri();
///     flow.request(request).await.map(drop)
/// }
/// ```
///
/// What can't be sent, such as an invalid header, is an error of [`Flow::request`](crate::Flow::request), and not of the
/// method that was called with it: [`RequestError::Unsendable`] says what is wrong.
#[must_use = "a request does nothing until it is sent: `flow.request(request).await?`"]
pub struct Request {
    pub(super) operation: Operation,
    method: Method,
    target: Target,
    query: Vec<(String, String)>,
    /// JSON objects whose members are the claims. `None` if the request has no token.
    claims: Option<Vec<Zeroizing<Vec<u8>>>>,
    has_redirect_uri: bool,
    headers: HeaderMap,
    /// Headers whose value is a signed token, and the payload of that.
    signed_headers: Vec<(HeaderName, Zeroizing<Vec<u8>>)>,
    body: Body,
    secrets: Vec<SecretString>,
    /// Whether the answer is awaited for minutes, since nobody can ask for it again.
    pub(super) is_patient: bool,
    /// Whether an answer whose body is lost counts, since its status says everything.
    pub(super) is_status_enough: bool,
    /// Called when an attempt is signed and about to be sent.
    pub(super) before_sending: Option<Box<dyn Fn() + Send + Sync>>,
    /// The first thing that is wrong with it.
    mistake: Option<PlatformError>,
}

enum Target {
    /// Segments below the base URL.
    Path(Vec<String>),
    /// The platform's keys.
    Keys(Url),
}

enum Body {
    Empty,
    Bytes(Bytes),
    Item(Arc<PreparedItem>),
}

impl Request {
    /// A request with any method. The path is below the client's base URL. Its segments are percent-encoded.
    ///
    /// ```
    /// use digime::error::Operation;
    /// use digime::transport::http::Method;
    /// use digime::request::Request;
    ///
    /// let operation = Operation::custom("look at the file");
    /// let request = Request::new(Method::HEAD, ["permission-access", "query", "key", "a file"], operation);
    /// ```
    pub fn new(
        method: Method,
        path: impl IntoIterator<Item = impl Into<String>>,
        operation: Operation,
    ) -> Self {
        let path: Vec<String> = path.into_iter().map(Into::into).collect();
        let is_bad = |segment: &String| {
            matches!(segment.as_str(), "" | "." | "..") || segment.contains(char::is_control)
        };
        let bad = path.iter().any(is_bad) || path.is_empty();
        let request = Self::to(Target::Path(path), method, operation);
        if bad {
            return request.with_mistake(
                "the path is empty, or has a segment that is empty, `.` or `..`, or has a control character",
            );
        }
        request
    }

    /// A `GET` request.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let operation = Operation::custom("read the contract");
    /// let request = Request::get(["permission-access", "contract"], operation);
    /// ```
    pub fn get(path: impl IntoIterator<Item = impl Into<String>>, operation: Operation) -> Self {
        Self::new(Method::GET, path, operation)
    }

    /// A `POST` request.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// # use serde_json::json;
    /// let request = Request::post(["discovery", "sources"], Operation::custom("find sources"))
    ///     .json(&json!({"limit": 10}));
    /// ```
    pub fn post(path: impl IntoIterator<Item = impl Into<String>>, operation: Operation) -> Self {
        Self::new(Method::POST, path, operation)
    }

    /// A `DELETE` request.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let operation = Operation::custom("delete the user").once("the user may already be deleted");
    /// let request = Request::delete(["user"], operation);
    /// ```
    pub fn delete(path: impl IntoIterator<Item = impl Into<String>>, operation: Operation) -> Self {
        Self::new(Method::DELETE, path, operation)
    }

    /// The request for a key set of the platform.
    pub(super) fn keys(jku: Url) -> Self {
        Self::to(Target::Keys(jku), Method::GET, Operation::FetchKeys).without_token()
    }

    fn to(target: Target, method: Method, operation: Operation) -> Self {
        Self {
            operation,
            method,
            target,
            query: Vec::new(),
            claims: Some(Vec::new()),
            has_redirect_uri: true,
            headers: HeaderMap::new(),
            signed_headers: Vec::new(),
            body: Body::Empty,
            secrets: Vec::new(),
            is_patient: false,
            is_status_enough: false,
            before_sending: None,
            mistake: None,
        }
    }

    /// Adds a parameter to the query.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let request = Request::get(["export", "medmij", "report"], Operation::custom("read the report"))
    ///     .query("format", "xml");
    /// ```
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds claims to the request token: the members of a JSON object. The token has the contract's `client_id`, a `nonce` and a
    /// `timestamp` besides, which can't be replaced, and the contract's `redirect_uri` if the claims have no other.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// # use serde_json::json;
    /// let request = Request::post(["oauth", "authorize"], Operation::custom("authorize"))
    ///     .claims(&json!({"response_type": "code", "response_mode": "query"}));
    /// ```
    pub fn claims(mut self, claims: &impl Serialize) -> Self {
        let Ok(json) = serde_json::to_vec(claims).map(Zeroizing::new) else {
            return self.with_mistake("the claims can't be written as JSON");
        };
        match members(&json) {
            Some(members)
                if CLAIMS_OF_THE_CLIENT
                    .iter()
                    .any(|it| members.contains_key(*it)) =>
            {
                self.with_mistake(
                    "the claims `client_id`, `nonce` and `timestamp` are the client's",
                )
            }
            Some(members) => {
                self.has_redirect_uri &= !members.contains_key("redirect_uri");
                self.claims.get_or_insert_default().push(json);
                self
            }
            None => self.with_mistake("the claims are not a JSON object"),
        }
    }

    /// Adds the user's access token to the claims. It is a [`secret`](Self::secret).
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request, AccessToken};
    /// # fn run(token: &AccessToken) {
    /// let request = Request::get(["storage"], Operation::custom("find the storage")).access_token(token);
    /// # }
    /// ```
    pub fn access_token(self, token: &AccessToken) -> Self {
        #[derive(Serialize)]
        struct Claims<'a> {
            access_token: &'a str,
        }
        let access_token = token.secret();
        self.claims(&Claims { access_token }).secret(access_token)
    }

    /// Leaves the `redirect_uri` out of the request token.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let request = Request::post(["storage"], Operation::custom("create a storage")).without_redirect_uri();
    /// ```
    pub fn without_redirect_uri(mut self) -> Self {
        self.has_redirect_uri = false;
        self
    }

    /// Sends no request token, and nothing of its claims.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let request = Request::get(["status"], Operation::custom("look at the status")).without_token();
    /// ```
    pub fn without_token(mut self) -> Self {
        self.claims = None;
        self
    }

    /// Adds a header. One that is added twice is sent twice. Those that the client sets itself (`authorization`, `host`,
    /// `content-length`, and what belongs to the connection) are refused, and so is `content-type`, which [`body`](Self::body)
    /// sets.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let request = Request::get(["export", "medmij", "report"], Operation::custom("read the report"))
    ///     .header("accept", "application/octet-stream");
    /// ```
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match (header_name(name.as_ref()), value.as_ref().parse()) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
                self
            }
            (Err(mistake), _) => self.with_mistake(mistake),
            (_, Err(_)) => self.with_mistake("a header's value has a character that no header has"),
        }
    }

    /// Adds a header whose value is a token of the payload alone, signed as request tokens are. Each attempt signs it anew.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// # use serde_json::json;
    /// let descriptor = json!({"metadata": {"mimeType": "text/plain", "accounts": [{"accountId": "customer-42"}]}});
    /// let request = Request::post(["permission-access", "import"], Operation::custom("import the file"))
    ///     .signed_header("FileDescriptor", &descriptor)
    ///     .body("application/octet-stream", "hello");
    /// ```
    pub fn signed_header(mut self, name: impl AsRef<str>, payload: &impl Serialize) -> Self {
        match (header_name(name.as_ref()), serde_json::to_vec(payload)) {
            (Ok(name), Ok(payload)) => {
                self.signed_headers.push((name, payload.into()));
                self
            }
            (Err(mistake), _) => self.with_mistake(mistake),
            (_, Err(_)) => self.with_mistake("a signed header can't be written as JSON"),
        }
    }

    /// Sends JSON.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// # use serde_json::json;
    /// let request = Request::post(["reference"], Operation::custom("make a reference"))
    ///     .json(&json!({"type": "accountId", "value": "1"}));
    /// ```
    pub fn json(self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => self.body("application/json", json),
            Err(_) => self.with_mistake("the body can't be written as JSON"),
        }
    }

    /// Sends bytes. An attempt may take as long as the client's `timeout`, so that large bodies are better an
    /// [`item`](Self::item).
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let request = Request::post(["permission-access", "import"], Operation::custom("import the file"))
    ///     .body("application/octet-stream", "hello");
    /// ```
    pub fn body(mut self, content_type: &str, bytes: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self.content_type(content_type)
    }

    /// Sends the bytes of an item as they are, in flat memory. Its name and descriptor are not sent.
    ///
    /// As in a push, each attempt opens the item again, and there is no limit of time as long as the upload makes progress. An
    /// item that can be read only once is sent once.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request, PostboxItem};
    /// let request = Request::post(["permission-access", "import"], Operation::custom("import the file"))
    ///     .item("application/octet-stream", PostboxItem::file("scan.pdf"));
    /// ```
    pub fn item(mut self, content_type: &str, item: PostboxItem) -> Self {
        match item.prepare() {
            Ok(item) => self.body = Body::Item(item),
            Err(error) => self.mistake = self.mistake.or(Some(error.into())),
        }
        self.content_type(content_type)
    }

    fn content_type(mut self, content_type: &str) -> Self {
        match content_type.parse() {
            Ok(content_type) => {
                self.headers.insert(CONTENT_TYPE, content_type);
                self
            }
            Err(_) => self.with_mistake("the content type has a character that no header has"),
        }
    }

    /// Names a secret of the request, which no error and no log shows, even if the platform repeats it.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// # fn run(session_key: &str) {
    /// let path = ["permission-access", "query", session_key];
    /// let request = Request::get(path, Operation::custom("list the files")).secret(session_key);
    /// # }
    /// ```
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(SecretString::from(secret.into()));
        self
    }

    /// Waits for the answer, and for the keys that verify it, for five minutes each, in place of the client's timeouts.
    ///
    /// This is for answers with tokens, which nobody can ask for again. The caller sends the request in a task of its own, so
    /// that nothing else ends it.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request};
    /// let operation = Operation::custom("exchange the code").once("the code may already be spent");
    /// let request = Request::post(["oauth", "token"], operation).patient();
    /// ```
    pub fn patient(mut self) -> Self {
        self.is_patient = true;
        self
    }

    /// Looks at the status of the answer alone. If it is 2xx and its body is lost, too long or takes too long, the request was
    /// successful all the same, and is not sent again. The body of the [`Answer`] is then empty.
    ///
    /// ```
    /// # use digime::{error::Operation, request::Request, PostboxItem};
    /// let request = Request::post(["permission-access", "import"], Operation::custom("import the file"))
    ///     .item("application/octet-stream", PostboxItem::file("scan.pdf"))
    ///     .status_only();
    /// ```
    pub fn status_only(mut self) -> Self {
        self.is_status_enough = true;
        self
    }

    fn with_mistake(mut self, mistake: impl Into<String>) -> Self {
        let operation = self.operation;
        self.mistake.get_or_insert_with(|| {
            let source = Cause::new(mistake);
            RequestError::Unsendable { operation, source }.into()
        });
        self
    }

    /// The secrets, which no error may show.
    pub(super) fn secrets(&self) -> Vec<&str> {
        self.secrets
            .iter()
            .map(ExposeSecret::expose_secret)
            .collect()
    }

    /// Hides what the request of an answer hides.
    pub(super) fn with_secrets_of(mut self, answer: &Answer) -> Self {
        self.secrets.clone_from(&answer.secrets);
        self
    }

    pub(super) fn copied_secrets(&self) -> Vec<SecretString> {
        self.secrets.clone()
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), PlatformError> {
        self.mistake.clone().map_or(Ok(()), Err)
    }

    /// The item that is sent as it is.
    pub(super) fn sent_item(&self) -> Option<&Arc<PreparedItem>> {
        match &self.body {
            Body::Item(item) => Some(item),
            _ => None,
        }
    }

    fn url(&self, client: &Client) -> Url {
        let mut url = match &self.target {
            Target::Path(path) => client.endpoint(path),
            Target::Keys(jku) => jku.clone(),
        };
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    /// The headers. Those with a secret are marked, so that `Debug` of an HTTP request does not show them.
    fn marked_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let secrets = self.secrets();
        for value in headers.values_mut() {
            let text = String::from_utf8_lossy(value.as_bytes());
            let has_secret = secrets.iter().any(|secret| text.contains(secret));
            value.set_sensitive(has_secret);
        }
        headers
    }

    /// The claims of the request token.
    fn merged_claims(&self) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
        let parts = self.claims.as_ref()?.iter();
        Some(parts.filter_map(|part| members(part)).flatten().collect())
    }
}

/// A name of a header that a library may set, or what is wrong with it.
fn header_name(name: &str) -> Result<HeaderName, String> {
    let Ok(name) = HeaderName::try_from(name) else {
        return Err("a header's name has a character that no header has".to_owned());
    };
    if HEADERS_OF_THE_CLIENT.contains(&name) {
        return Err(format!("the header `{name}` is the client's"));
    }
    Ok(name)
}

/// The members of a JSON object.
fn members(json: &[u8]) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
    serde_json::from_slice(json).ok()
}

impl Platform {
    /// What one attempt at a request sends, and the item in it, if there is one, with what that tells about itself.
    pub(super) async fn attempt(
        &self,
        request: &Request,
        deadline: Deadline,
    ) -> Result<(RequestBuilder, Option<(Arc<PreparedItem>, BodyMonitor)>), PlatformError> {
        let operation = request.operation;
        let url = request.url(&self.client);
        let mut sent = self.client.http().request(request.method.clone(), url);
        sent = sent.headers(request.marked_headers());
        let limit = || deadline.limit_of_signing(self.client.timeout());
        if let Some(claims) = request.merged_claims() {
            let token = self.request_token(operation, limit(), request.has_redirect_uri, &claims);
            sent = sent.bearer_auth(&*token.await?);
        }
        for (name, payload) in &request.signed_headers {
            let token = self.signed(operation, limit(), jws::unsigned_json(payload));
            let token = token.await.map_err(|error| hide_signed(error, payload))?;
            let mut value = HeaderValue::try_from(&**token)
                .map_err(|_| InternalError("writing a signed header"))?;
            value.set_sensitive(true);
            sent = sent.header(name, value);
        }
        Ok(match &request.body {
            // A POST needs its length, even if it is empty (RFC 9110, section 8.6).
            Body::Empty if matches!(request.method, Method::POST | Method::PUT | Method::PATCH) => {
                (sent.header(CONTENT_LENGTH, 0), None)
            }
            Body::Empty => (sent, None),
            Body::Bytes(bytes) => (sent.body(bytes.clone()), None),
            Body::Item(item) => {
                let opened = item.open(self.client.stall_timeout()).await?;
                let (body, monitor, length) = opened.plain();
                if let Some(length) = length {
                    sent = sent.header(CONTENT_LENGTH, length);
                }
                let body = reqwest::Body::wrap_stream(body.into_stream());
                (sent.body(body), Some((item.clone(), monitor)))
            }
        })
    }
}

/// Hides what was to be signed, which a signer may repeat. It may say much about a person.
fn hide_signed(error: PlatformError, payload: &[u8]) -> PlatformError {
    let unsigned = jws::unsigned_json(payload);
    let message = String::from_utf8_lossy(unsigned.message());
    without_secrets(error, &[&message])
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path, the headers and the body may have secrets.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// The platform's answer to a [`Request`]: its status is 2xx, and its body was read.
///
/// ```
/// # use digime::{Error, Flow, error::Operation, request::Request};
/// # async fn run<C>(flow: &Flow<C>) -> Result<(), Error> {
/// let request = Request::get(["permission-access", "contract"], Operation::custom("read the contract"));
/// let answer = flow.request(request).await?;
/// let contract: serde_json::Value = answer.json()?;
/// # Ok(())
/// # }
/// ```
pub struct Answer {
    pub(super) operation: Operation,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When it came by this machine's clock, in Unix milliseconds. The caller may see it much later.
    pub(super) came_at: u64,
    /// By how many milliseconds the platform's clock is ahead, if the answer tells.
    pub(super) platform_ahead: Option<i64>,
    pub(super) client: Client,
    /// Until when what belongs to the answer may be fetched.
    pub(super) deadline: Deadline,
    pub(super) is_patient: bool,
    pub(super) secrets: Vec<SecretString>,
}

impl Answer {
    /// The HTTP status.
    ///
    /// ```
    /// # fn run(answer: &digime::request::Answer) {
    /// let is_accepted = answer.status() == 202;
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header, if the answer has it and it is text.
    ///
    /// ```
    /// # fn run(answer: &digime::request::Answer) {
    /// let metadata = answer.header("x-metadata");
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self, name: impl AsRef<str>) -> Option<&str> {
        self.headers.get(name.as_ref())?.to_str().ok()
    }

    /// The body.
    ///
    /// ```
    /// # fn run(answer: &digime::request::Answer) {
    /// let report = answer.bytes().to_vec();
    /// # }
    /// ```
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as JSON.
    ///
    /// ```
    /// # fn run(answer: &digime::request::Answer) -> Result<(), digime::error::RequestError> {
    /// let contract: serde_json::Value = answer.json()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Malformed`] if it is not.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        let operation = self.operation;
        let content = serde_json::from_slice(&self.body).map_err(|error| {
            // serde's own message may quote the answer.
            let reason = format!("not the JSON that was expected, at byte {}", error.column());
            RequestError::Malformed { operation, reason }
        })?;
        // An answer that is understood comes from the platform, and not from a gateway.
        if let Some(ahead) = self.platform_ahead {
            self.client.learn_platform_time(ahead);
        }
        Ok(content)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("operation", &self.operation)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn client() -> Client {
        let client = Client::builder().base_url("https://api.digi.me/v1.7/");
        client.build().expect("a client")
    }

    fn post(path: impl IntoIterator<Item = impl Into<String>>) -> Request {
        Request::post(path, Operation::custom("test"))
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_base_url(path in prop::collection::vec(r"(\.|%2e|%2E|/|\\|\?|#|@|:|;|\PC){0,4}", 0..4)) {
            let request = post(path.clone());
            if request.check().is_ok() {
                let client = client();
                let url = request.query("a", "b").url(&client);
                prop_assert_eq!(url.origin(), client.base_url().origin());
                let found: Vec<_> = url.path_segments().expect("a path").map(|segment| {
                    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
                }).collect();
                prop_assert_eq!(&found[0], "v1.7");
                prop_assert_eq!(&found[1..], &path[..]);
                prop_assert_eq!(url.query(), Some("a=b"));
            }
        }

        #[test]
        fn whatever_a_library_describes_is_a_request_or_a_mistake(
            text in r"(\r|\n|\x00|:| |é|\PC){0,20}",
            name in r"(content-type|Content-Length|HOST|connection|x-a|:path|\PC{0,5})",
        ) {
            let request = post(["a"])
                .header(&name, &text)
                .signed_header(&name, &text)
                .query(&text, &name)
                .body(&text, text.clone())
                .secret(&text);
            if request.check().is_ok() {
                for value in request.marked_headers().values() {
                    prop_assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
                }
            }
        }
    }

    #[test]
    fn claims_are_the_members_of_an_object_and_not_those_of_the_client() {
        let text = "x".repeat(1 << 20);
        let claims = json!({"text": text, "redirect_uri": "https://shop.example/other"});
        let request = post(["a"]).claims(&claims).claims(&json!({"b": null}));
        assert!(request.check().is_ok());
        assert!(!request.has_redirect_uri);
        let merged = serde_json::to_value(request.merged_claims()).expect("JSON");
        assert_eq!(merged["text"], text);
        assert_eq!(merged["b"], Value::Null);
        for wrong in [
            json!([1]),
            json!("text"),
            json!(null),
            json!(7),
            json!({"nonce": "n"}),
            json!({"client_id": null}),
            json!({"timestamp": 1}),
        ] {
            assert!(post(["a"]).claims(&wrong).check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_has_one_type_of_content() {
        let request = post(["a"])
            .json(&json!({}))
            .header("Content-Type", "text/plain");
        let error = request.check().expect_err("two types").to_string();
        assert!(error.contains("can't be built"), "{error}");
    }

    #[test]
    fn a_header_with_a_secret_is_not_shown() {
        let request = post(["a"])
            .header("x-session", "key 1234 of the session")
            .header("x-other", "5678")
            .secret("1234");
        let shown = format!("{:?}", request.marked_headers());
        assert!(!shown.contains("1234"), "{shown}");
        assert!(shown.contains("5678"), "{shown}");
    }
}
