//! Sends one request over HTTP and interprets its answer.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

use super::Platform;
use super::attempts::{Deadline, Doubt, Retries};
use super::client::{self, Client};
use super::error::{Cause, Operation, PlatformError, Refusal, RequestError, SentAs};
use super::redaction::Redaction;
use super::request::{Answer, Request};
use super::stall::{StallWatch, Stalled};
use super::transport::{Attempt, Body, BoxError, TransportError};

use crate::observe;
use crate::postbox::{BodyMonitor, EncryptionError, PreparedItem};
use crate::unix_time;

/// The longest answer that is read. Real answers have some kilobytes; a platform that sends more is broken or hostile.
const LONGEST_ANSWER: usize = 1 << 20;

/// How long to wait for the answer to a request that can be sent only once. The caller waits for as long as the application
/// allows. After that the request continues in its own task, since no other answer has its tokens.
pub(super) const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// An answer that was received and not looked at.
pub(super) struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Bytes, PlatformError>,
    /// When it came by this machine's clock, in Unix milliseconds. The caller may see it much later.
    came_at: u64,
}

impl Platform {
    /// Sends a request until its answer is final.
    pub(crate) async fn request(&self, request: &Request) -> Result<Answer, PlatformError> {
        let doubt = Doubt::default();
        doubt.settle(self.request_with_doubt(request, &doubt).await)
    }

    /// Sends a request until its answer is final. Attempts of unknown effect are noted in `doubt`.
    pub(crate) async fn request_with_doubt(
        &self,
        request: &Request,
        doubt: &Doubt,
    ) -> Result<Answer, PlatformError> {
        // The time for an upload depends on its size: it ends when it stalls.
        let deadline = match request.sent_item() {
            Some(_) => Deadline::NEVER,
            None => Deadline::after(self.client.call_timeout()),
        };
        self.attempts(request, deadline, false, doubt, Ok).await
    }

    /// Sends a request until its answer is final, or until the deadline, and reads the answer. If it is persistent, it is sent
    /// again after any failure, even of reading.
    pub(super) async fn request_until<T>(
        &self,
        request: &Request,
        deadline: Deadline,
        is_persistent: bool,
        read: impl Fn(Answer) -> Result<T, PlatformError>,
    ) -> Result<T, PlatformError> {
        let doubt = Doubt::default();
        let result = self
            .attempts(request, deadline, is_persistent, &doubt, read)
            .await;
        doubt.settle(result)
    }

    async fn attempts<T>(
        &self,
        request: &Request,
        deadline: Deadline,
        is_persistent: bool,
        doubt: &Doubt,
        read: impl Fn(Answer) -> Result<T, PlatformError>,
    ) -> Result<T, PlatformError> {
        request.check()?;
        let retries = Retries {
            operation: request.operation,
            deadline,
            doubt,
            is_persistent,
        };
        let is_possible = || request.sent_item().is_none_or(|item| item.is_readable());
        let read = &read;
        let attempt =
            |number| async move { read(self.request_once(request, number, deadline).await?) };
        self.retry(&retries, is_possible, attempt).await
    }

    async fn request_once(
        &self,
        request: &Request,
        number: u32,
        deadline: Deadline,
    ) -> Result<Answer, PlatformError> {
        let (operation, secrets) = (request.operation, request.secrets());
        let sent = async {
            let (http, item) = self.attempt(request, deadline).await?;
            let http = self.numbered(operation, number, http)?;
            if let Some(before_sending) = &request.before_sending {
                before_sending();
            }
            let Some((item, monitor)) = item else {
                let limit = self.limit(request, deadline);
                return self.send(operation, http, limit).await;
            };
            self.upload(operation, http, &item, monitor).await
        };
        let mut received = sent
            .await
            .map_err(|error| without_secrets(error, &secrets))?;
        if request.is_status_enough {
            received.body = received.body.or_else(|_| Ok(Bytes::new()));
        }
        let answer = self.accept(operation, received, &secrets)?;
        Ok(Answer {
            is_patient: request.is_patient,
            secrets: request.copied_secrets(),
            deadline,
            ..answer
        })
    }

    /// How long an attempt may wait for its answer.
    fn limit(&self, request: &Request, deadline: Deadline) -> Duration {
        if request.is_patient {
            PATIENCE
        } else if request.operation.is_repeatable() {
            deadline.limit(self.client.timeout())
        } else {
            // There may be no other attempt.
            deadline.limit(self.client.call_timeout())
        }
    }

    /// Sends a request once and reads its whole answer.
    async fn send(
        &self,
        operation: Operation,
        request: http::Request<Body>,
        limit: Duration,
    ) -> Result<Received, PlatformError> {
        let client = self.client.clone();
        in_a_task(operation, async move {
            let exchange = async {
                let sent = client.transport().send(request).await;
                let response = sent.map_err(|error| failed(operation, &client, &error))?;
                Ok(Received::read(operation, response, client.now(), limit).await)
            };
            tokio::time::timeout(limit, exchange)
                .await
                .unwrap_or_else(|_| Err(lost(operation, Cause::new("timed out"))))
        })
        .await
    }

    /// Builds a request that says which attempt it is.
    pub(super) fn numbered(
        &self,
        operation: Operation,
        number: u32,
        request: RequestBuilder,
    ) -> Result<http::Request<Body>, PlatformError> {
        let request = request.build().and_then(http::Request::try_from);
        let mut request = request.map_err(|error| unsendable(operation, &error))?;
        let attempt = Attempt::new(operation, number, self.credentials.clone());
        request.extensions_mut().insert(attempt);
        Ok(request.map(Body::from_inner))
    }

    /// Sends an upload and reads its answer.
    pub(super) async fn upload(
        &self,
        operation: Operation,
        request: http::Request<Body>,
        item: &PreparedItem,
        monitor: BodyMonitor,
    ) -> Result<Received, PlatformError> {
        let client = self.client.clone();
        let received = in_a_task(operation, async move {
            let sending = client.transport().send(request);
            let connections = client.connections().clone();
            let watch = StallWatch::new(client.stall_timeout(), monitor, connections);
            let response = match watch.until(sending).await {
                Ok(sent) => sent.map_err(|error| failed(operation, &client, &error))?,
                Err(stalled) => return Ok(Err(stalled)),
            };
            let limit = client.timeout();
            Ok(Ok(
                Received::read(operation, response, client.now(), limit).await
            ))
        });
        received.await?.map_err(|stalled| match stalled {
            Stalled::Line(cause) => lost(operation, Cause::new(cause)),
            Stalled::Item => item.silent(self.client.stall_timeout()).into(),
        })
    }

    /// An answer whose status is 2xx; a refusal otherwise.
    pub(super) fn accept(
        &self,
        operation: Operation,
        received: Received,
        secrets: &[&str],
    ) -> Result<Answer, PlatformError> {
        let Received {
            status,
            headers,
            body,
            came_at,
        } = received;
        Span::current().record("status", status.as_u16());
        let redaction = Redaction::new(secrets);
        let date = date(&headers);
        let platform_ahead = date
            .filter(|_| !headers.contains_key(AGE))
            .map(|date| client::platform_ahead(unix_time::millis(date), came_at));
        // A cached key set has the `Date` of the original answer.
        let believed = platform_ahead.filter(|_| operation != Operation::FetchKeys);
        warn_of_sdk_status(&headers, &redaction);
        if status.is_success() {
            return Ok(Answer {
                operation,
                status,
                headers,
                body: body.map_err(|error| without_secrets(error, secrets))?,
                came_at,
                platform_ahead: believed,
                client: self.client.clone(),
                deadline: Deadline::NEVER,
                is_patient: false,
                secrets: Vec::new(),
            });
        }
        // The status is enough if the body is lost.
        let refusal = refusal(status, &body.unwrap_or_default(), &redaction);
        let mut refusal = Box::new(refusal);
        if let Some(ahead) = believed
            // A refusal without a code comes from a gateway.
            && !refusal.code.is_empty()
        {
            self.client.learn_platform_time(ahead);
        }
        refusal.sent_as = SentAs::from(&*self.credentials);
        refusal.clock_ahead = platform_ahead
            .map(|millis| millis.saturating_neg() / 1000)
            .filter(|ahead| ahead.abs() >= 60);
        let now = date.unwrap_or_else(|| self.client.clock().now());
        refusal.retry_after = retry_after(&headers, now, self.client.longest_delay());
        Err(RequestError::Refused { operation, refusal }.into())
    }
}

impl Received {
    /// Reads an answer that came at a time by this machine's clock. Its body may take as long as `limit`.
    async fn read(
        operation: Operation,
        response: http::Response<Body>,
        came_at: u64,
        limit: Duration,
    ) -> Self {
        let (head, content) = response.into_parts();
        let body = tokio::time::timeout(limit, body(operation, content));
        let timed_out = |_| Err(lost(operation, Cause::new("timed out")));
        Self {
            came_at,
            status: head.status,
            headers: head.headers,
            body: body.await.unwrap_or_else(timed_out),
        }
    }
}

/// Does the work of an attempt in a task, which ends when this future is dropped. So its timeouts measure the network, and
/// not how often the application polls the call.
fn in_a_task<T: Send + 'static>(
    operation: Operation,
    work: impl Future<Output = Result<T, PlatformError>> + Send + 'static,
) -> impl Future<Output = Result<T, PlatformError>> + Send {
    // Spawned here and not in the future, which would otherwise have to hold the work.
    let task = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
    async move {
        task.await.unwrap_or_else(|_| {
            Err(lost(
                operation,
                Cause::new("the request's task ended early"),
            ))
        })
    }
}

async fn body(operation: Operation, mut content: Body) -> Result<Bytes, PlatformError> {
    let mut body = BytesMut::new();
    while let Some(frame) = content.frame().await {
        // A body that always has another empty part must not keep the time limit from being looked at.
        tokio::task::consume_budget().await;
        let frame = frame.map_err(|error| lost(operation, innermost(&*error)))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if body.len().saturating_add(chunk.len()) > LONGEST_ANSWER {
            return Err(RequestError::Malformed {
                operation,
                reason: "longer than 1 MiB".into(),
            }
            .into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Removes the secrets of the request from its error.
pub(super) fn without_secrets(mut error: PlatformError, secrets: &[&str]) -> PlatformError {
    if let PlatformError::Request(error) = &mut error {
        error.redact(&Redaction::new(secrets));
    }
    error
}

/// The error of a request that got no answer.
fn failed(operation: Operation, client: &Client, error: &TransportError) -> PlatformError {
    match error {
        TransportError::Unsendable(cause) => unsendable(operation, &**cause),
        TransportError::NotConnected(cause) => RequestError::NotSent {
            operation,
            source: innermost(&**cause).about(client.base_url().authority()),
        }
        .into(),
        TransportError::Lost(cause) => match item_error(cause) {
            Some(error) => error.clone().into(),
            None => lost(operation, innermost(&**cause)),
        },
    }
}

fn unsendable(operation: Operation, cause: &(dyn StdError + 'static)) -> PlatformError {
    RequestError::Unsendable {
        operation,
        source: innermost(cause),
    }
    .into()
}

pub(super) fn lost(operation: Operation, source: Cause) -> PlatformError {
    RequestError::AnswerLost { operation, source }.into()
}

/// The innermost cause, which says most: the outer ones only repeat "error sending request".
fn innermost(error: &(dyn StdError + 'static)) -> Cause {
    if error
        .downcast_ref::<reqwest::Error>()
        .is_some_and(reqwest::Error::is_timeout)
    {
        return Cause::new("timed out");
    }
    let innermost = sources(error).last().unwrap_or(error);
    Cause::new(Redaction::default().line(&innermost.to_string()))
}

fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&source| source.source())
}

/// The error of the item, if the request failed because its item can't be read.
fn item_error(error: &BoxError) -> Option<&EncryptionError> {
    sources(&**error).find_map(|source| source.downcast_ref())
}

#[derive(Default, Deserialize)]
struct RefusalBody {
    #[serde(default)]
    error: RefusalError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefusalError {
    code: String,
    message: String,
    reference: Option<String>,
}

pub(crate) fn refusal(status: StatusCode, body: &[u8], redaction: &Redaction<'_>) -> Refusal {
    let RefusalBody { error } = serde_json::from_slice(body).unwrap_or_default();
    Refusal {
        status: status.as_u16(),
        code: redaction.line(&error.code),
        message: redaction.line(&error.message),
        reference: error.reference.map(|text| redaction.line(&text)),
        retry_after: None,
        clock_ahead: None,
        sent_as: SentAs::default(),
    }
}

/// When the platform answered, by its clock (RFC 9110, section 6.6.1).
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3). A value that can't be read still asks for a pause:
/// it counts as `unreadable`.
fn retry_after(headers: &HeaderMap, now: SystemTime, unreadable: Duration) -> Option<Duration> {
    let text = headers
        .get(RETRY_AFTER)?
        .to_str()
        .unwrap_or_default()
        .trim();
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date.duration_since(now).unwrap_or_default());
    }
    Some(match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => {
            Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(Duration::MAX)
        }
        _ => unreadable,
    })
}

fn warn_of_sdk_status(headers: &HeaderMap, redaction: &Redaction<'_>) {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(|text| redaction.line(text))
    };
    if let Some(status) = text("x-digi-sdk-status") {
        let notice = text("x-digi-sdk-status-message").unwrap_or_default();
        tracing::warn!(
            target: observe::REQUEST,
            sdk_status = status,
            notice,
            "the platform warns about this version of digime"
        );
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;
    use crate::Contract;
    use crate::platform::scripted;
    use crate::platform::transport::Transport;

    /// A platform whose answers are cut behind their status.
    struct CutsAnswers;

    #[async_trait]
    impl Transport for CutsAnswers {
        async fn send(
            &self,
            _: http::Request<Body>,
        ) -> Result<http::Response<Body>, TransportError> {
            let cut = Err(std::io::Error::other("cut"));
            let body = stream::iter([cut as Result<http_body::Frame<Bytes>, _>]);
            Ok(http::Response::new(Body::new(StreamBody::new(body))))
        }
    }

    #[tokio::test]
    async fn a_lost_body_matters_only_if_more_than_the_status_is_asked_for() {
        let client = Client::builder().transport(CutsAnswers).max_retries(0);
        let client = client.build().expect("a client");
        let flow = Contract::flow(&scripted::receipts(), &client);
        let request = || Request::post(["import"], Operation::custom("import"));
        let answer = flow.request(request().status_only()).await;
        assert!(answer.expect("the status is 200").bytes().is_empty());
        let error = flow.request(request()).await.expect_err("no body");
        assert!(error.may_have_taken_effect(), "{error}");
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:30 GMT").expect("a date");
        let asked = |text: &str| {
            let headers =
                HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header value"))]);
            retry_after(&headers, now, Duration::from_secs(8)).expect("a pause")
        };
        assert_eq!(asked("7"), Duration::from_secs(7));
        assert_eq!(asked("1.5"), Duration::from_secs(2));
        assert_eq!(
            asked("Sun, 06 Nov 1994 08:49:37 GMT"),
            Duration::from_secs(7)
        );
        assert_eq!(
            asked("Sun, 06 Nov 1994 08:00:00 GMT"),
            Duration::ZERO,
            "a date that has passed asks for no pause"
        );
        assert_eq!(asked("99999999999999999999999999"), Duration::MAX);
        for unreadable in ["soon", "-1", "NaN", ""] {
            assert_eq!(asked(unreadable), Duration::from_secs(8), "{unreadable}");
        }
    }

    #[test]
    fn a_refusal_is_read_from_any_body() {
        let nothing = Redaction::default();
        let body = br#"{"error":{"code":"InvalidContractId","message":"no such contract","reference":"r1"}}"#;
        assert_eq!(
            refusal(StatusCode::NOT_FOUND, body, &nothing).to_string(),
            "404 InvalidContractId: no such contract, reference r1"
        );
        for body in ["", "<html>", "{}", r#"{"error":1}"#] {
            assert_eq!(
                refusal(StatusCode::BAD_GATEWAY, body.as_bytes(), &nothing).to_string(),
                "502"
            );
        }
    }
}
