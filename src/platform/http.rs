//! One request and its attempts: what is sent again, what an answer means.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use backon::Retryable;
use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span, field};

use super::Platform;
use crate::error::{Error, Operation, Refusal, RequestError};

/// The longest answer that is read. Real ones are some kilobytes; a platform that sends more is broken or hostile.
const LONGEST_ANSWER: usize = 1 << 20;

/// The longest text of the platform's that is taken into an error.
const LONGEST_TEXT: usize = 300;

impl Platform {
    /// Sends a request until its answer is final, and reads the answer. `request` is called for each attempt.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        operation: Operation,
        request: impl Fn() -> Result<RequestBuilder, Error> + Sync,
    ) -> Result<T, Error> {
        let request = &request;
        self.retry(
            operation,
            || true,
            || async move {
                let request = request()?.timeout(self.client.timeout());
                let response = request
                    .send()
                    .await
                    .map_err(|error| failed(operation, &error))?;
                read(operation, response).await
            },
        )
        .await
    }

    /// Tries again, with pauses, while it is possible and what went wrong may pass.
    pub(super) async fn retry<T, A>(
        &self,
        operation: Operation,
        is_possible: impl Fn() -> bool,
        attempt: impl Fn() -> A,
    ) -> Result<T, Error>
    where
        A: Future<Output = Result<T, Error>>,
    {
        let longest = self.client.longest_retry_after();
        let attempts = AtomicU32::new(0);
        let observed = || {
            let number = attempts.fetch_add(1, Relaxed) + 1;
            self.observed(operation, number, attempt())
        };
        observed
            .retry(self.client.backoff())
            .when(
                |error| matches!(error, Error::Request(error) if error.may_pass() && is_possible()),
            )
            .adjust(|error, pause| match (error, pause) {
                (Error::Request(error), Some(pause)) => match error.retry_after() {
                    Some(asked) if asked > longest => None,
                    asked => Some(pause.max(asked.unwrap_or_default())),
                },
                _ => None,
            })
            .notify(|error, pause| tracing::warn!(%error, ?pause, "trying again"))
            .await
    }

    /// Makes one attempt, in a span that says which it is and what came of it.
    async fn observed<T>(
        &self,
        operation: Operation,
        attempt: u32,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let span = tracing::debug_span!(
            "request",
            %operation,
            contract = %self.credentials.contract_id,
            attempt,
            bytes = field::Empty,
            status = field::Empty,
        );
        let begun = Instant::now();
        let result = work.instrument(span.clone()).await;
        let duration = begun.elapsed();
        match &result {
            Ok(_) => tracing::debug!(parent: &span, ?duration, "answered"),
            Err(error) => tracing::debug!(parent: &span, ?duration, %error, "failed"),
        }
        result
    }
}

/// Reads an answer: JSON with a 2xx, a refusal otherwise.
pub(super) async fn read<T: DeserializeOwned>(
    operation: Operation,
    response: Response,
) -> Result<T, Error> {
    let status = response.status();
    Span::current().record("status", status.as_u16());
    let retry_after = retry_after(response.headers());
    warn_of_sdk_status(response.headers());
    let body = body(operation, response).await;
    if status.is_success() {
        return Ok(
            serde_json::from_slice(&body?).map_err(|error| RequestError::Malformed {
                operation,
                // serde's own text may quote what it read.
                reason: format!("not the JSON that was expected, at byte {}", error.column()),
            })?,
        );
    }
    // The status says enough where the body is lost.
    let refusal = refusal(status, &body.unwrap_or_default(), retry_after);
    Err(RequestError::Refused { operation, refusal }.into())
}

async fn body(operation: Operation, mut response: Response) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| answer_lost(operation, &error))?
    {
        if body.len() + chunk.len() > LONGEST_ANSWER {
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

/// What a request that got no answer says of itself.
pub(super) fn failed(operation: Operation, error: &reqwest::Error) -> Error {
    if let Some(Error::Item(item)) = find_source(error) {
        return item.clone().into();
    }
    if error.is_connect() || error.is_builder() {
        return RequestError::NotSent {
            operation,
            cause: cause(error),
        }
        .into();
    }
    answer_lost(operation, error)
}

fn answer_lost(operation: Operation, error: &reqwest::Error) -> Error {
    RequestError::AnswerLost {
        operation,
        cause: cause(error),
    }
    .into()
}

/// The innermost reason, which is the one that helps: the outer ones repeat "error sending request".
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".into();
    }
    let innermost = sources(error).last();
    innermost.map_or_else(
        || "no reason given".into(),
        |source| one_line(&source.to_string()),
    )
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&source| source.source())
}

/// The error of this library's own that stopped a request, where one did: an item that could not be read.
fn find_source(error: &reqwest::Error) -> Option<&Error> {
    sources(error).find_map(|source| source.downcast_ref())
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

pub(crate) fn refusal(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Refusal {
    let RefusalBody { error } = serde_json::from_slice(body).unwrap_or_default();
    Refusal {
        status: status.as_u16(),
        code: one_line(&error.code),
        message: one_line(&error.message),
        reference: error.reference.as_deref().map(one_line),
        retry_after,
    }
}

/// A text from outside as it may stand in an error: one line, not endless, and without anything that may be a token
/// that the platform echoes.
fn one_line(text: &str) -> String {
    let word = |word: &str| match word.len() {
        0..=64 => word.to_owned(),
        _ => "[redacted]".to_owned(),
    };
    let line = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .map(word)
        .collect::<Vec<_>>()
        .join(" ");
    line.trim().chars().take(LONGEST_TEXT).collect()
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn warn_of_sdk_status(headers: &HeaderMap) {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(one_line)
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
    fn a_text_from_outside_becomes_one_line_without_tokens() {
        let token = "ey.".repeat(40);
        assert_eq!(
            one_line(&format!("bad\n token {token}\u{7}!")),
            "bad  token [redacted] !"
        );
        assert_eq!(one_line(&"a ".repeat(1000)).chars().count(), LONGEST_TEXT);
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date() {
        let asked = |text: &str| {
            let headers =
                HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header value"))]);
            retry_after(&headers)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn a_refusal_is_read_from_any_body() {
        let body = br#"{"error":{"code":"InvalidContractId","message":"no such contract","reference":"r1"}}"#;
        let told = refusal(StatusCode::NOT_FOUND, body, None);
        assert_eq!(
            told.to_string(),
            "404 InvalidContractId: no such contract, reference r1"
        );
        for body in ["", "<html>", "{}", r#"{"error":1}"#] {
            assert_eq!(
                refusal(StatusCode::BAD_GATEWAY, body.as_bytes(), None).to_string(),
                "502"
            );
        }
    }
}
