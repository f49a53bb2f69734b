//! Sends one request over HTTP and interprets its answer.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

use super::Platform;
use super::attempts::{Deadline, Doubt, Retries};
use super::client;
use super::error::{Cause, Operation, PlatformError, Refusal, RequestError};
use super::redaction::Redaction;
use super::transport::{Attempt, Body, BoxError, TransportError};

use crate::postbox::EncryptionError;
use crate::unix_time;

/// The longest answer that is read. Real answers have some kilobytes; a platform that sends more is broken or hostile.
const LONGEST_ANSWER: usize = 1 << 20;

/// How long to wait for the answer to a request that can be sent only once. The caller waits for as long as the application
/// allows. After that the request continues in its own task, since no other answer has its tokens.
pub(super) const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// A small request.
pub(super) struct Call<'a> {
    pub operation: Operation,
    pub deadline: Deadline,
    /// The secrets in the request, which no error may show.
    pub secrets: &'a [&'a str],
    /// Whether it is retried until the deadline after any failure.
    pub is_persistent: bool,
}

/// The answer to a request.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Bytes, PlatformError>,
    /// When it came by this machine's clock, in Unix milliseconds. The caller may see it much later.
    came_at: u64,
}

impl Platform {
    /// Sends a request until its answer is final, and reads the answer. `request` is called for each attempt. Returns the
    /// answer's content, and when the answer came by this machine's clock, in Unix milliseconds.
    pub(super) async fn call<T, R>(
        &self,
        call: &Call<'_>,
        request: impl Fn() -> R,
    ) -> Result<(T, u64), PlatformError>
    where
        T: DeserializeOwned,
        R: Future<Output = Result<RequestBuilder, PlatformError>>,
    {
        let Call {
            operation,
            deadline,
            is_persistent,
            ..
        } = *call;
        let doubt = Doubt::default();
        let retries = Retries {
            operation,
            deadline,
            doubt: &doubt,
            is_persistent,
        };
        let request = &request;
        let result = self
            .retry(
                &retries,
                || true,
                |number| async move {
                    let limit = if operation.is_repeatable() {
                        deadline.limit(self.client.timeout())
                    } else {
                        PATIENCE
                    };
                    let sent =
                        async { self.send(operation, number, request().await?, limit).await };
                    let answer = sent
                        .await
                        .map_err(|error| without_secrets(error, call.secrets))?;
                    let came_at = answer.came_at;
                    let content = self.understand(operation, answer, call.secrets)?;
                    Ok((content, came_at))
                },
            )
            .await;
        doubt.settle(result)
    }

    /// Sends a request once and reads its whole answer.
    async fn send(
        &self,
        operation: Operation,
        number: u32,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Answer, PlatformError> {
        let request = self.numbered(operation, number, request)?;
        let client = self.client.clone();
        in_a_task(operation, async move {
            let exchange = async {
                let sent = client.transport().send(request).await;
                let response = sent.map_err(|error| failed(operation, &error))?;
                Ok(Answer::read(operation, response, client.now()).await)
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

    /// Reads an answer: JSON if the status is 2xx, a refusal otherwise.
    pub(super) fn understand<T: DeserializeOwned>(
        &self,
        operation: Operation,
        answer: Answer,
        secrets: &[&str],
    ) -> Result<T, PlatformError> {
        let Answer {
            status,
            headers,
            body,
            came_at,
        } = answer;
        Span::current().record("status", status.as_u16());
        let redaction = Redaction::new(secrets);
        let date = date(&headers);
        let platform_ahead = date
            .filter(|_| !headers.contains_key(AGE))
            .map(|date| client::platform_ahead(unix_time::millis(date), came_at));
        // A cached key set has the `Date` of the original answer.
        let learn = || match platform_ahead {
            Some(ahead) if operation != Operation::FetchKeys => {
                self.client.learn_platform_time(ahead);
            }
            _ => {}
        };
        warn_of_sdk_status(&headers, &redaction);
        if status.is_success() {
            let content =
                serde_json::from_slice(&body.map_err(|error| without_secrets(error, secrets))?)
                    .map_err(|error| RequestError::Malformed {
                        operation,
                        // serde's own message may quote the answer.
                        reason: format!(
                            "not the JSON that was expected, at byte {}",
                            error.column()
                        ),
                    })?;
            learn();
            return Ok(content);
        }
        // The status is enough if the body is lost.
        let mut refusal = refusal(status, &body.unwrap_or_default(), &redaction);
        if !refusal.code.is_empty() {
            // A refusal without a code comes from a gateway.
            learn();
        }
        refusal.clock_ahead = platform_ahead
            .map(|millis| millis.saturating_neg() / 1000)
            .filter(|ahead| ahead.abs() >= 60);
        let now = date.unwrap_or_else(|| self.client.clock().now());
        refusal.retry_after = retry_after(&headers, now, self.client.longest_delay());
        Err(RequestError::Refused { operation, refusal }.into())
    }
}

impl Answer {
    /// Reads an answer that came at a time by this machine's clock.
    pub(super) async fn read(
        operation: Operation,
        response: http::Response<Body>,
        came_at: u64,
    ) -> Self {
        let (head, content) = response.into_parts();
        Self {
            came_at,
            status: head.status,
            headers: head.headers,
            body: body(operation, content).await,
        }
    }
}

/// Does the work of an attempt in a task, which ends when this future is dropped. So its timeouts measure the network, and
/// not how often the application polls the call.
pub(super) fn in_a_task<T: Send + 'static>(
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
pub(super) fn failed(operation: Operation, error: &TransportError) -> PlatformError {
    match error {
        TransportError::Unsendable(cause) => unsendable(operation, &**cause),
        TransportError::NotConnected(cause) => RequestError::NotSent {
            operation,
            source: innermost(&**cause),
        }
        .into(),
        TransportError::Lost(cause) => match item_error(cause) {
            Some(error) => error.clone().into(),
            None => lost(operation, innermost(&**cause)),
        },
    }
}

pub(super) fn unsendable(operation: Operation, cause: &(dyn StdError + 'static)) -> PlatformError {
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
        let message = text("x-digi-sdk-status-message").unwrap_or_default();
        tracing::warn!(
            status,
            message,
            "the platform warns about this version of digime"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
