//! What can go wrong while a program runs, each with what to do about it.

use std::fmt;
use std::time::Duration;

use digime_rules::{InvalidId, InvalidRedirectUri};
use thiserror::Error;

use crate::callback::CallbackError;
use crate::client::InvalidClient;
use crate::contract::InvalidPrivateKey;
use crate::platform::PlatformTokenError;
use crate::postbox::ItemError;
use crate::store::StoreError;
use crate::suspended::SuspendedError;

/// Anything that can go wrong between an annotated contract and a delivered file.
///
/// Its text is one line that says what was wrong and what to do, and has no secret in it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An application id or contract id is no id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A redirect URI can't be one.
    #[error(transparent)]
    RedirectUri(#[from] InvalidRedirectUri),
    /// A private key can't be read.
    #[error(transparent)]
    PrivateKey(#[from] InvalidPrivateKey),
    /// The client was set up wrongly.
    #[error(transparent)]
    Client(#[from] InvalidClient),
    /// What the user's client answered is not what the flow waits for.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// The item to push can't be read or sent.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The platform was not reached, refused, or answered nonsense.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The session ended before a postbox was asked for.
    #[error(
        "the session has expired: establish another with `flow.establish_session().await?`; if it is new, check this machine's clock"
    )]
    SessionExpired,
    /// The platform does not renew the access token any more: the user's consent has ended.
    #[error(
        "the user's consent has ended ({code}): begin a new flow, so that the user consents again"
    )]
    ConsentEnded {
        /// The platform's code for the reason, or a note that the store has no tokens for the user.
        code: String,
    },
    /// The refresh token was sent and its answer was lost, or another process has sent it and has not saved what it got.
    /// Nothing was sent for this call, since a refresh token can be used once.
    #[error(
        "the refresh token was sent before and may be spent, so it is not sent again by itself: call `flow.refresh().await?` to find out, or begin a new flow, so that the user consents again"
    )]
    RefreshInDoubt,
    /// The last attempt failed in a way that has no effect, but an earlier attempt of the same call may have had one.
    #[error(
        "{source}; that is about the last attempt, and an earlier attempt may have taken effect ({earlier})"
    )]
    EarlierAttempt {
        /// Why the outcome of the earlier attempt is not known.
        earlier: Box<RequestError>,
        /// Why the last attempt failed.
        source: Box<Error>,
    },
    /// A flow that was suspended can't be resumed.
    #[error(transparent)]
    Suspended(#[from] SuspendedError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cryptographic library failed at what can't fail with sound input.
    #[error("{0}")]
    Internal(#[from] Internal),
}

impl Error {
    /// Whether the platform may have acted on the request although no answer says so.
    ///
    /// After a code exchange this means that the code may be spent: trying again may find it so, and then the user has
    /// to consent again. After a push it means that the data may have been delivered. Where it is false, no attempt of
    /// the call had an effect, and trying again is safe.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Request(error) => error.may_have_taken_effect(),
            Self::EarlierAttempt { .. } => true,
            _ => false,
        }
    }

    /// Why the last attempt failed: this error, or the source of an [`EarlierAttempt`](Self::EarlierAttempt).
    ///
    /// A push can find out that consent has ended after an attempt that may have had an effect:
    ///
    /// ```
    /// use digime::Error;
    ///
    /// fn has_to_consent_again(error: &Error) -> bool {
    ///     matches!(error.reason(), Error::ConsentEnded { .. })
    /// }
    /// ```
    #[must_use]
    pub fn reason(&self) -> &Self {
        match self {
            Self::EarlierAttempt { source, .. } => source.reason(),
            error => error,
        }
    }

    /// The refusal of the platform, where this is one.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Request(RequestError::Refused { refusal, .. }) => Some(refusal),
            _ => None,
        }
    }
}

/// What the platform is asked for by a request.
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
}

impl Operation {
    /// What a request uses up when it is acted on, so that sending it again may fail or do twice.
    fn at_stake(self) -> Option<&'static str> {
        match self {
            Self::ExchangeCode => Some("the code may already be spent"),
            Self::RefreshToken => Some("the refresh token may already be spent"),
            Self::Push => Some("the data may have been delivered"),
            Self::EstablishSession | Self::Authorize | Self::FetchKeys => None,
        }
    }

    /// Whether a request that the platform may have acted on can be sent again without harm. A push can be at the cost
    /// of delivering twice, and what was pushed must not be lost.
    pub(crate) fn is_repeatable(self) -> bool {
        !matches!(self, Self::ExchangeCode | Self::RefreshToken)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EstablishSession => "establish a session",
            Self::Authorize => "authorize the contract",
            Self::ExchangeCode => "exchange the code",
            Self::RefreshToken => "refresh the access token",
            Self::FetchKeys => "fetch the platform's keys",
            Self::Push => "push",
        })
    }
}

/// Why a request came to nothing.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request can't be written, so it was not sent.
    #[error(
        "can't {operation}: the request can't be written ({cause}) and was not sent; check the base URL and the contract's ids"
    )]
    Unsendable {
        /// What was asked for.
        operation: Operation,
        /// Why it can't be written.
        cause: String,
    },
    /// No connection to the platform was made, so the request was not sent.
    #[error(
        "can't {operation}: the platform was not reached ({cause}) and the request was not sent; check the network and the base URL, then try again"
    )]
    NotSent {
        /// What was asked for.
        operation: Operation,
        /// What the network said.
        cause: String,
    },
    /// The request left, and no whole answer came back.
    #[error("can't {operation}: the answer was lost ({cause}){}; try again", stake(*.operation))]
    AnswerLost {
        /// What was asked for.
        operation: Operation,
        /// What the network said.
        cause: String,
    },
    /// The platform answered that it won't.
    #[error("can't {operation}: the platform refused ({refusal}){}; {}", stake_of_refusal(*.operation, .refusal), .refusal.remedy(*.operation))]
    Refused {
        /// What was asked for.
        operation: Operation,
        /// What the platform said.
        refusal: Refusal,
    },
    /// The platform answered something that is not in the protocol.
    #[error("can't {operation}: the platform's answer makes no sense ({reason}){}; check the base URL", stake(*.operation))]
    Malformed {
        /// What was asked for.
        operation: Operation,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The platform answered with a token that is not proven to be its own.
    #[error("can't {operation}: {source}{}", stake(*.operation))]
    Untrusted {
        /// What was asked for.
        operation: Operation,
        /// What is wrong with the token.
        source: PlatformTokenError,
    },
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
    pub(crate) fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::Unsendable { .. } => false,
            Self::AnswerLost { .. } | Self::Malformed { .. } | Self::Untrusted { .. } => true,
            Self::Refused { refusal, .. } => refusal.is_undecided(),
        }
    }

    /// Whether sending the request again may bring another answer, without harm.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NotSent { .. } => true,
            Self::AnswerLost { operation, .. } => operation.is_repeatable(),
            Self::Refused { operation, refusal } => {
                refusal.may_pass() && (operation.is_repeatable() || !refusal.is_undecided())
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

/// What the platform says when it refuses: `{"error":{"code","message","reference"?}}` with a 4xx or 5xx.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The platform's code, such as `InvalidContractId`; empty where the answer has none.
    pub code: String,
    /// The platform's explanation, in one line.
    pub message: String,
    /// What to quote to digi.me's support.
    pub reference: Option<String>,
    /// When the platform wants to be asked again.
    pub retry_after: Option<Duration>,
    /// By how many seconds this machine's clock is ahead of the platform's, which its answer told; negative where it is
    /// behind. Nothing where the clocks agree to within a minute.
    pub clock_ahead: Option<i64>,
}

impl Refusal {
    /// Whether the platform may have acted before it failed: any 5xx but 501 and 503, by which a server says that it
    /// has not (RFC 9110, section 15.6). A redirection, which is not followed, may say that it has, as 303 does.
    fn is_undecided(&self) -> bool {
        self.is_redirection() || (self.status >= 500 && !matches!(self.status, 501 | 503))
    }

    fn is_redirection(&self) -> bool {
        (300..400).contains(&self.status)
    }

    /// Whether it speaks of the grant itself, so that the refresh token is good for nobody. Other codes may come of a
    /// wrong clock, key or redirect URI on this machine, while another machine can still use the token.
    pub(crate) fn ends_the_grant(&self) -> bool {
        let is_of_the_grant = matches!(
            self.code.as_str(),
            "InvalidGrant" | "InvalidToken" | "InvalidTokenType"
        );
        is_of_the_grant && self.is_final()
    }

    /// Whether it says that the session is over.
    pub(crate) fn ends_the_session(&self) -> bool {
        self.code == "InvalidSession" && self.is_final()
    }

    /// Whether it is a refusal and not a failure, whatever its code says.
    fn is_final(&self) -> bool {
        (400..500).contains(&self.status) && !self.may_pass()
    }

    /// Whether the same request may be answered otherwise later.
    fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 429) || (self.status >= 500 && self.status != 501)
    }

    fn remedy(&self, operation: Operation) -> String {
        match self.clock_ahead {
            Some(seconds) if self.may_be_the_clock() => format!(
                "set this machine's clock, which is {} seconds {} the platform's",
                seconds.unsigned_abs(),
                if seconds > 0 { "ahead of" } else { "behind" }
            ),
            _ => self.usual_remedy(operation).to_owned(),
        }
    }

    fn may_be_the_clock(&self) -> bool {
        matches!(self.code.as_str(), "InvalidJWT" | "InvalidSession")
            || (self.code.is_empty() && matches!(self.status, 401 | 403))
    }

    fn usual_remedy(&self, operation: Operation) -> &'static str {
        match self.code.as_str() {
            "SDKInvalid" | "SDKVersionInvalid" => {
                "update digime: digi.me has switched this version off"
            }
            "InvalidContractId" => "check the contract id",
            "InvalidConsentAccessApplication" => {
                "check the application id and that the contract is one of its own"
            }
            "InvalidRedirectUri" => {
                "use a redirect URI that the contract whitelists, character for character"
            }
            "InvalidRequest" => "check the contract and the base URL",
            "InvalidJWT" => {
                "check that the private key is the contract's and that this machine's clock is right"
            }
            "InvalidSession" => {
                "establish another session, and check that this machine's clock is right"
            }
            "InvalidGrant" | "InvalidToken" | "InvalidTokenType" => {
                "begin a new flow, so that the user consents again"
            }
            _ => match self.status {
                401 | 403 => {
                    "check the private key, the ids and that this machine's clock is right"
                }
                404 => "check the ids and the base URL",
                413 if operation == Operation::Push => "push something smaller",
                413 => {
                    "check what stands between this machine and the platform, and takes only smaller requests"
                }
                _ if self.is_redirection() => {
                    "check the base URL and what stands between, since redirections are not followed"
                }
                _ if self.may_pass() => "try again later",
                _ if operation == Operation::Push => "check the item and the contract",
                _ => "check the contract and the base URL",
            },
        }
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

/// A failure that no input explains: of the cryptographic library, or of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} failed, which no input explains: report it to the authors of digime")]
pub struct Internal(pub(crate) &'static str);

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
