//! The errors of requests to the platform, and what a failed request may have used up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::redaction::Redaction;
use crate::chain::Chain;
use crate::contract::{Credentials, SignerError};
use crate::internal::InternalError;
use crate::postbox::{EncryptionError, ItemError};

/// Why a request to the platform failed, with all of its attempts.
#[derive(Clone, Debug, Error)]
#[expect(
    unnameable_types,
    reason = "its conversion into `Error` is public, as every impl is"
)]
pub enum PlatformError {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The item to push can't be read or sent.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// An earlier call exchanged the code and has its tokens.
    #[error("the code was exchanged before")]
    AlreadyExchanged,
    /// The last attempt failed without effect, but an earlier one may have taken effect.
    #[error("an earlier attempt may have taken effect")]
    EarlierAttempt {
        earlier: Box<RequestError>,
        source: Box<PlatformError>,
    },
    #[error(transparent)]
    Internal(#[from] InternalError),
}

impl From<EncryptionError> for PlatformError {
    fn from(error: EncryptionError) -> Self {
        match error {
            EncryptionError::Item(error) => error.into(),
            EncryptionError::Internal(error) => error.into(),
        }
    }
}

impl PlatformError {
    /// Whether the platform may have acted although no answer confirms it.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Request(error) => error.may_have_taken_effect(),
            Self::EarlierAttempt { .. } => true,
            _ => false,
        }
    }

    /// The platform's refusal, if this is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Request(RequestError::Refused { refusal, .. }) => Some(refusal),
            _ => None,
        }
    }
}

/// What a request asks of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `POST permission-access/session`
    EstablishSession,
    /// `POST oauth/authorize`
    Authorize,
    /// `POST oauth/token` with a code
    ExchangeCode,
    /// `POST oauth/token` with a refresh token
    RefreshToken,
    /// `GET` of the platform's keys
    FetchKeys,
    /// `POST permission-access/postbox/{id}`
    Push,
    /// A [`Request`](crate::request::Request) that a library adds.
    Custom {
        /// What it does, as in "can't list the accounts".
        name: &'static str,
        /// What it may have used up, if it is sent again only when it surely was not acted upon.
        at_stake: Option<&'static str>,
    },
}

impl Operation {
    /// What a library's request does, as errors and logs name it: "can't list the accounts: …". It may be sent again
    /// after every failure that may be transient.
    ///
    /// ```
    /// use digime::error::Operation;
    ///
    /// const LIST: Operation = Operation::custom("list the accounts");
    /// assert_eq!(LIST.to_string(), "list the accounts");
    /// ```
    #[must_use]
    pub const fn custom(name: &'static str) -> Self {
        let at_stake = None;
        Self::Custom { name, at_stake }
    }

    /// Says what the request may have used up. It is sent again only after a failure that proves that the platform did not act
    /// on it, and its errors say what is at stake. The operations of this library stay as they are.
    ///
    /// ```
    /// use digime::error::Operation;
    ///
    /// const DELETE: Operation =
    ///     Operation::custom("delete the account").once("the account may already be deleted");
    /// ```
    #[must_use]
    pub const fn once(self, at_stake: &'static str) -> Self {
        match self {
            Self::Custom { name, .. } => Self::Custom {
                name,
                at_stake: Some(at_stake),
            },
            own => own,
        }
    }

    /// What the request may have used up. Sending it again may fail, or take effect twice.
    fn at_stake(self) -> Option<&'static str> {
        match self {
            Self::ExchangeCode => Some("the code may already be spent"),
            Self::RefreshToken => Some("the refresh token may already be spent"),
            Self::Push => Some("the data may have been delivered"),
            Self::Custom { at_stake, .. } => at_stake,
            Self::EstablishSession | Self::Authorize | Self::FetchKeys => None,
        }
    }

    /// Whether the request may be sent again although the platform may have acted on it. For a push the cost is that the
    /// item may arrive twice, which is better than losing it.
    pub(crate) fn is_repeatable(self) -> bool {
        match self {
            Self::ExchangeCode | Self::RefreshToken => false,
            Self::Custom { at_stake, .. } => at_stake.is_none(),
            _ => true,
        }
    }

    pub(crate) fn is_custom_and_once(self) -> bool {
        matches!(self, Self::Custom { .. }) && !self.is_repeatable()
    }
}

impl Operation {
    /// What it does, as errors, logs and metrics name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EstablishSession => "establish a session",
            Self::Authorize => "authorize the contract",
            Self::ExchangeCode => "exchange the code",
            Self::RefreshToken => "refresh the access token",
            Self::FetchKeys => "fetch the platform's keys",
            Self::Push => "push",
            Self::Custom { name, .. } => name,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a request to the platform failed.
///
/// ```
/// use digime::error::RequestError;
///
/// fn is_offline(error: &RequestError) -> bool {
///     matches!(error, RequestError::NotSent { .. })
/// }
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request can't be built, so it was not sent.
    #[error(
        "can't {operation}: the request can't be built and was not sent; {}", remedy_of_unsendable(*.operation)
    )]
    Unsendable {
        /// What the request asked for.
        operation: Operation,
        /// Why it can't be built.
        source: Cause,
    },
    /// The contract's signer did not sign the request, so it was not sent.
    #[error(
        "can't {operation}: the request was not signed with the key `{key_id}`, and so not sent; {}", remedy_of_signer(.source)
    )]
    Unsigned {
        /// What the request asked for.
        operation: Operation,
        /// The id of the signer's key.
        key_id: String,
        /// Why the signer did not sign.
        source: SignerError,
    },
    /// No connection to the platform was made, so the request was not sent.
    #[error(
        "can't {operation}: the platform was not reached and the request was not sent; check the network and the base URL, then try again"
    )]
    NotSent {
        /// What the request asked for.
        operation: Operation,
        /// What the network said.
        source: Cause,
    },
    /// The request was sent, and no complete answer came back.
    #[error("can't {operation}: the answer was lost{}; {}", stake(*.operation), remedy_of_lost_answer(*.operation))]
    AnswerLost {
        /// What the request asked for.
        operation: Operation,
        /// What the network said, or why the answer can't be verified.
        source: Cause,
    },
    /// The platform refused the request.
    #[error("can't {operation}: the platform refused ({refusal}){}; {}", stake_of_refusal(*.operation, .refusal), .refusal.remedy(*.operation))]
    Refused {
        /// What the request asked for.
        operation: Operation,
        /// What the platform said.
        refusal: Box<Refusal>,
    },
    /// The platform's answer does not follow the protocol.
    #[error("can't {operation}: the platform's answer makes no sense ({reason}){}; check the base URL", stake(*.operation))]
    Malformed {
        /// What the request asked for.
        operation: Operation,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The platform's answer is a token whose signature can't be verified.
    #[error("can't {operation}: the platform's answer can't be verified{}", stake(*.operation))]
    Untrusted {
        /// What the request asked for.
        operation: Operation,
        /// What is wrong with the token.
        source: PlatformTokenError,
    },
}

/// What stopped a request, in one line and without the secrets of the request.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct Cause {
    message: String,
    /// The request for the platform's keys, if its failure is the reason.
    source: Option<Box<RequestError>>,
}

impl Cause {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn keys_are_missing(source: RequestError) -> Self {
        Self {
            message: "the keys that verify it can't be fetched".into(),
            source: Some(Box::new(source)),
        }
    }

    /// Names the server that it is about.
    pub(super) fn about(self, server: &str) -> Self {
        Self {
            message: format!("connecting to {server}: {}", self.message),
            ..self
        }
    }

    pub(super) fn redact(&mut self, redaction: &Redaction<'_>) {
        self.message = redaction.line(&self.message);
    }
}

fn remedy_of_unsendable(operation: Operation) -> &'static str {
    match operation {
        Operation::Custom { .. } => "the library that describes it has to change it",
        _ => "check the base URL and the contract's ids",
    }
}

fn remedy_of_signer(error: &SignerError) -> &'static str {
    match error {
        SignerError::Unavailable(_) => {
            "check that the service which holds the key can be reached, then try again"
        }
        _ => "check that this application may sign with the key, by PS512",
    }
}

/// A library's request that must not be sent twice: the application can't leave it to a second one.
const FIND_OUT: &str = "find out whether it is so before you try again";

fn remedy_of_lost_answer(operation: Operation) -> &'static str {
    if operation.is_custom_and_once() {
        FIND_OUT
    } else {
        "try again"
    }
}

fn stake(operation: Operation) -> String {
    operation
        .at_stake()
        .map(|stake| format!("; {stake}"))
        .unwrap_or_default()
}

fn stake_of_refusal(operation: Operation, refusal: &Refusal) -> String {
    if refusal.is_undecided() {
        stake(operation)
    } else {
        String::new()
    }
}

impl RequestError {
    /// Removes the secrets of the request from what others said: the other side may repeat them while it closes the
    /// connection, and a signer what it was asked to sign.
    pub(super) fn redact(&mut self, redaction: &Redaction<'_>) {
        match self {
            Self::NotSent { source, .. }
            | Self::AnswerLost { source, .. }
            | Self::Unsendable { source, .. } => source.redact(redaction),
            Self::Unsigned { source, .. } => {
                if let Some(cause) = source.cause() {
                    let said = Chain(&**cause).to_string();
                    // An error without secrets stays what it is, so that it can be downcast.
                    if redaction.finds_a_secret_in(&said) {
                        *cause = Arc::new(Cause::new(redaction.line(&said)));
                    }
                }
            }
            Self::Refused { .. } | Self::Malformed { .. } | Self::Untrusted { .. } => {}
        }
    }

    pub(crate) fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::Unsendable { .. } | Self::Unsigned { .. } => false,
            Self::AnswerLost { .. } | Self::Malformed { .. } | Self::Untrusted { .. } => true,
            Self::Refused { refusal, .. } => refusal.is_undecided(),
        }
    }

    /// Whether the failure may be transient, and sending the request again does no harm.
    pub(crate) fn may_be_transient(&self) -> bool {
        match self {
            Self::NotSent { .. } => true,
            Self::Unsigned { source, .. } => matches!(source, SignerError::Unavailable(_)),
            Self::AnswerLost { operation, .. } => operation.is_repeatable(),
            Self::Refused { operation, refusal } => {
                refusal.may_be_transient() && (operation.is_repeatable() || !refusal.is_undecided())
            }
            Self::Malformed { .. } | Self::Untrusted { .. } | Self::Unsendable { .. } => false,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { refusal, .. } => refusal.retry_after,
            _ => None,
        }
    }
}

/// Why a token of the platform can't be verified.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlatformTokenError {
    /// It is not three base64url parts with JSON in them.
    #[error("the platform's token is malformed; check the base URL")]
    Malformed,
    /// Its header names an algorithm other than PS512.
    #[error(
        "the platform's token is not signed with PS512, the only accepted algorithm; check the base URL"
    )]
    Algorithm,
    /// Its header has a `crit`, which names extensions that must be understood (RFC 7515, section 4.1.11).
    #[error("the platform's token needs an extension that digime does not know; update digime")]
    Critical,
    /// Its header lacks `kid` or `jku`.
    #[error("the platform's token does not say which key signed it; check the base URL")]
    NoKey,
    /// Its `jku` does not have the base URL's origin, spelled as in the base URL. Nothing was fetched.
    #[error(
        "the platform's token names keys at another origin than the base URL's, which can't be trusted; check the base URL"
    )]
    ForeignKeys,
    /// The platform's key set has no such key, even when it is fetched again.
    #[error(
        "the platform's token is signed with a key that is not in the platform's key set; try again later"
    )]
    UnknownKey,
    /// The platform's key set has two different keys under the token's `kid`, so it is not known which one signed it.
    #[error(
        "the platform's key set has two different keys under the token's `kid`, so neither can verify it; try again later, and tell digi.me if this does not change"
    )]
    AmbiguousKey,
    /// The signature was not made with the key.
    #[error(
        "the platform's token has a wrong signature: do not trust it; check the base URL and any proxy in between"
    )]
    Signature,
    /// The signature is right, but the claims are not the expected ones.
    #[error("the platform's token does not have the expected claims; update digime")]
    Claims,
}

/// A refusal of the platform: `{"error":{"code","message","reference"?}}` with a 4xx or 5xx.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The platform's code, such as `InvalidContractId`; empty if the answer has none.
    pub code: String,
    /// The platform's explanation, in one line.
    pub message: String,
    /// What to quote to digi.me's support.
    pub reference: Option<String>,
    /// How long the platform asks to wait before another attempt.
    pub retry_after: Option<Duration>,
    /// By how many seconds this machine's clock is ahead of the `Date` of the answer; negative if it is behind. `None` if
    /// the clocks differ by less than a minute.
    pub clock_ahead: Option<i64>,
    /// As whom the request was sent.
    pub sent_as: SentAs,
}

/// As whom a refused request was sent: what to compare with what digi.me knows of the contract. None of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentAs {
    /// The application id.
    pub application_id: String,
    /// The contract id.
    pub contract_id: String,
    /// The [id](crate::Signer::key_id) of the key that signed: the thumbprint of its public half (RFC 7638) if it is a
    /// [`PrivateKey`](crate::PrivateKey).
    pub key_id: String,
    /// The redirect URI.
    pub redirect_uri: String,
}

impl From<&Credentials> for SentAs {
    fn from(credentials: &Credentials) -> Self {
        Self {
            application_id: credentials.application_id.to_string(),
            contract_id: credentials.contract_id.to_string(),
            key_id: Redaction::default().line(credentials.signer.key_id()),
            redirect_uri: credentials.redirect_uri.to_string(),
        }
    }
}

impl Refusal {
    /// Whether the platform may have acted before it failed. A 5xx leaves this open, except 501 and 503, which say that it
    /// has not acted (RFC 9110, section 15.6). A redirection, which is not followed, may mean that it has, as 303 does.
    pub(crate) fn is_undecided(&self) -> bool {
        self.is_redirection() || (self.status >= 500 && !matches!(self.status, 501 | 503))
    }

    fn is_redirection(&self) -> bool {
        (300..400).contains(&self.status)
    }

    /// Whether the grant itself has ended, so that no machine can use the refresh token. Other codes may be caused by a wrong
    /// clock, key or redirect URI on this machine, while another machine can still use the token.
    pub(crate) fn ends_the_grant(&self) -> bool {
        let is_about_the_grant = matches!(
            self.code.as_str(),
            "InvalidGrant" | "InvalidToken" | "InvalidTokenType"
        );
        is_about_the_grant && self.is_final()
    }

    /// Whether it says that the access token has expired. A 401 without a code does so too, as of a gateway that knows the token.
    pub(crate) fn is_about_the_access_token(&self) -> bool {
        self.status == 401 && matches!(self.code.as_str(), "InvalidToken" | "")
    }

    /// Whether it says that the session is over.
    pub(crate) fn ends_the_session(&self) -> bool {
        self.code == "InvalidSession" && self.is_final()
    }

    /// Whether the status is one of a refusal and not of a transient failure, whatever the code is.
    fn is_final(&self) -> bool {
        (400..500).contains(&self.status) && !self.may_be_transient()
    }

    /// Whether the same request may succeed later.
    pub(crate) fn may_be_transient(&self) -> bool {
        matches!(self.status, 408 | 429) || (self.status >= 500 && self.status != 501)
    }

    fn remedy(&self, operation: Operation) -> String {
        match self.clock_ahead {
            Some(seconds) if self.may_be_the_clock() => format!(
                "set this machine's clock, which is {} seconds {} the platform's",
                seconds.unsigned_abs(),
                if seconds > 0 { "ahead of" } else { "behind" }
            ),
            _ if self.status >= 500 && self.is_undecided() && operation.is_custom_and_once() => {
                FIND_OUT.to_owned()
            }
            _ => self.usual_remedy(operation),
        }
    }

    fn may_be_the_clock(&self) -> bool {
        matches!(self.code.as_str(), "InvalidJWT" | "InvalidSession")
            || (self.code.is_empty() && matches!(self.status, 401 | 403))
    }

    fn usual_remedy(&self, operation: Operation) -> String {
        let SentAs {
            application_id,
            contract_id,
            key_id,
            redirect_uri,
        } = &self.sent_as;
        let fixed = match self.code.as_str() {
            "InvalidContractId" => return format!("check the contract id, `{contract_id}`"),
            "InvalidConsentAccessApplication" => {
                return format!(
                    "check the application id, `{application_id}`, and that the contract `{contract_id}` belongs to the application"
                );
            }
            "InvalidRedirectUri" => {
                return format!(
                    "register the redirect URI `{redirect_uri}` with digi.me for the contract `{contract_id}`, or use one that is registered, character for character"
                );
            }
            "InvalidJWT" => {
                return format!(
                    "check that the private key `{key_id}` is that of the contract `{contract_id}` and that this machine's clock is right"
                );
            }
            "SDKInvalid" | "SDKVersionInvalid" => {
                "update digime: digi.me has switched this version off"
            }
            "InvalidClient" => {
                return format!(
                    "check the application id, `{application_id}`, the contract id, `{contract_id}`, and the base URL"
                );
            }
            "InsufficientScope" => "use a contract that allows this",
            "InvalidRequest" => "check the contract and the base URL",
            "InvalidSession" => {
                "establish another session, and check that this machine's clock is right"
            }
            "InvalidGrant" | "InvalidToken" | "InvalidTokenType" => {
                "begin a new flow, so that the user consents again"
            }
            _ => match self.status {
                401 | 403 => {
                    return format!(
                        "check that the private key `{key_id}` is that of the contract `{contract_id}`, the ids, and that this machine's clock is right"
                    );
                }
                404 => "check the ids and the base URL",
                413 if operation == Operation::Push => "push something smaller",
                413 if matches!(operation, Operation::Custom { .. }) => "send something smaller",
                413 => {
                    "check the proxy between this machine and the platform, which takes only smaller requests"
                }
                _ if self.is_redirection() => {
                    "check the base URL and any proxy in between, since redirections are not followed"
                }
                _ if self.may_be_transient() => "try again later",
                _ if operation == Operation::Push => "check the item and the contract",
                _ => "check the contract and the base URL",
            },
        };
        fixed.to_owned()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(reference) = &self.reference {
            write!(f, ", reference {reference}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_final_refusal_ends_a_grant_or_a_session() {
        let refused = |status, code: &str| Refusal {
            status,
            code: code.into(),
            message: String::new(),
            reference: None,
            retry_after: None,
            clock_ahead: None,
            sent_as: SentAs::default(),
        };
        for status in [400, 401, 403] {
            assert!(refused(status, "InvalidGrant").ends_the_grant());
            assert!(refused(status, "InvalidSession").ends_the_session());
        }
        for status in [303, 408, 429, 500, 502, 503] {
            assert!(!refused(status, "InvalidGrant").ends_the_grant());
            assert!(!refused(status, "InvalidSession").ends_the_session());
        }
        assert!(!refused(401, "InvalidJWT").ends_the_grant());
    }
}
