use std::fmt;

use digime_rules::{IdError, RedirectUriError};
use thiserror::Error;

use crate::callback::CallbackError;
use crate::chain::Chain;
use crate::contract::PrivateKeyError;
use crate::flow::suspended::error::SuspendedError;
use crate::internal::InternalError;
use crate::platform::client::ClientError;
use crate::platform::error::{Cause, Operation, PlatformError, RequestError};
use crate::postbox::ItemError;
use crate::store::error::StoreError;

/// Anything that can go wrong between an annotated contract and a delivered file.
///
/// Its message is one line that says what was wrong and what to do, and has no secret in it. What caused it is its
/// [source](std::error::Error::source), which [`report`](Self::report) prints too:
///
/// ```
/// use digime::PrivateKey;
///
/// let error = digime::Error::from(PrivateKey::from_pem("not a key").unwrap_err());
/// eprintln!("can't start: {}", error.report());
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An application id or contract id is no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A redirect URI can't be one.
    #[error(transparent)]
    RedirectUri(#[from] RedirectUriError),
    /// A private key can't be read.
    #[error(transparent)]
    PrivateKey(#[from] PrivateKeyError),
    /// The client was set up wrongly.
    #[error(transparent)]
    Client(#[from] ClientError),
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
    #[error("the last attempt failed, and an earlier attempt may have taken effect ({earlier})")]
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
    #[error(transparent)]
    Internal(#[from] InternalError),
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

    /// No answer says whether the platform acted.
    pub(crate) fn answer_lost(operation: Operation, cause: &str) -> Self {
        let source = Cause::new(cause);
        RequestError::AnswerLost { operation, source }.into()
    }

    /// The error with its causes, in one line.
    #[must_use]
    pub fn report(&self) -> impl fmt::Display {
        Chain(self)
    }
}

impl From<PlatformError> for Error {
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::Request(error) => error.into(),
            PlatformError::Item(error) => error.into(),
            PlatformError::Internal(error) => error.into(),
            PlatformError::AlreadyExchanged => CallbackError::AlreadyExchanged.into(),
            PlatformError::EarlierAttempt { earlier, source } => Self::EarlierAttempt {
                earlier,
                source: Box::new((*source).into()),
            },
        }
    }
}
