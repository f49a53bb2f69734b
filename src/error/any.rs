use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use digime_rules::{IdError, RedirectUriError};
use thiserror::Error;

use super::class::Class;
use crate::callback::CallbackError;
use crate::chain::Chain;
use crate::contract::{PrivateKeyError, PrivateKeyFileError};
use crate::flow::suspended::error::SuspendedError;
use crate::internal::InternalError;
use crate::platform::client::ClientError;
use crate::platform::error::{Cause, Operation, PlatformError, Refusal, RequestError};
use crate::postbox::ItemError;
use crate::store::error::StoreError;

/// Any error of this library.
///
/// Its message is one line that says what was wrong and what to do. It contains no secret. The cause is its
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
    /// An application id or contract id is invalid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A redirect URI is invalid.
    #[error(transparent)]
    RedirectUri(#[from] RedirectUriError),
    /// A private key can't be read.
    #[error(transparent)]
    PrivateKey(#[from] PrivateKeyError),
    /// A file with a private key can't be read.
    #[error(transparent)]
    PrivateKeyFile(#[from] PrivateKeyFileError),
    /// The client can't be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The callback is not the answer that the flow waits for.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// The item to push can't be read or sent.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// A request to the platform failed: the platform was not reached, refused, or sent an answer that makes no sense.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The session ended before a postbox was asked for.
    #[error(
        "the session has expired: establish another with `flow.establish_session().await?`; if it is new, check this machine's clock"
    )]
    SessionExpired,
    /// The user's consent has ended, so the platform no longer refreshes the access token.
    #[error(
        "the user's consent has ended ({code}): begin a new flow, so that the user consents again"
    )]
    ConsentEnded {
        /// The platform's code for the reason, or a note that another process already found the consent ended and removed
        /// the tokens.
        code: String,
    },
    /// The refresh token was sent and its answer was lost, or another process sent it and has not saved the new tokens.
    /// Nothing was sent for this call, since a refresh token can be used only once.
    #[error(
        "the refresh token was sent before and may be spent, so it is not sent again automatically: call `flow.refresh().await?` to find out, or begin a new flow, so that the user consents again"
    )]
    RefreshInDoubt,
    /// The last attempt failed without effect, but an earlier attempt of the same call may have taken effect.
    #[error("the last attempt failed, and an earlier attempt may have taken effect ({earlier})")]
    EarlierAttempt {
        /// Why the outcome of the earlier attempt is not known.
        earlier: Box<RequestError>,
        /// Why the last attempt failed.
        source: Box<Error>,
    },
    /// A suspended flow can't be written, opened or resumed.
    #[error(transparent)]
    Suspended(#[from] SuspendedError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A library that extends this one failed. [`Error::extension`] makes it.
    #[error(transparent)]
    Extension(ExtensionError),
    /// The cryptographic library failed although its input was valid.
    #[error(transparent)]
    Internal(#[from] InternalError),
}

impl Error {
    /// Whether the platform may have acted on the request although no answer confirms it.
    ///
    /// After a code exchange, `true` means that the code may be spent. If a second try shows that it is, the user has to
    /// consent again. After a push, `true` means that the data may have been delivered. If it is `false`, no attempt of the
    /// call took effect, and trying again is safe.
    ///
    /// ```
    /// use digime::Error;
    ///
    /// fn advice(error: &Error) -> &'static str {
    ///     if error.may_have_taken_effect() { "look in your digi.me first" } else { "try again" }
    /// }
    /// ```
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Request(error) => error.may_have_taken_effect(),
            Self::EarlierAttempt { .. } => true,
            Self::Extension(error) => error.is_after_the_effect,
            _ => false,
        }
    }

    /// Whether the same call may succeed later although nobody changes anything: the platform, the signer or the store was
    /// not reached, was too busy, or failed. A background job tries again, not before [`retry_after`](Self::retry_after).
    ///
    /// It says nothing about the call that failed: [`may_have_taken_effect`](Self::may_have_taken_effect) does. A push that
    /// is tried again may arrive twice.
    ///
    /// An error is [transient](Self::is_transient), [of the configuration](Self::is_config), [asks for
    /// consent](Self::needs_consent), or none of these: then the item, the callback or the program is wrong. `docs/faults.md`
    /// lists the errors of each class.
    ///
    /// ```
    /// use std::time::Duration;
    /// use digime::Error;
    ///
    /// /// When a background job tries again. `None`: never.
    /// fn next_attempt(error: &Error) -> Option<Duration> {
    ///     let usual = Duration::from_secs(60);
    ///     error.is_transient().then(|| error.retry_after().unwrap_or(usual).max(usual))
    /// }
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        Class::of(self) == Class::Transient
    }

    /// How long the platform asked to wait before another attempt, in the `Retry-After` of its last answer.
    ///
    /// ```
    /// use digime::Error;
    ///
    /// assert_eq!(Error::RefreshInDoubt.retry_after(), None);
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.reason() {
            Self::Request(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether somebody has to change the configuration or the machine: the ids, the key, the redirect URI, the base URL, the
    /// clock, the version of this library, or the tables of the store. All users are affected, and the item is not at fault.
    ///
    /// ```
    /// use digime::{Client, Error};
    ///
    /// let error = Error::from(Client::builder().base_url("no URL").build().unwrap_err());
    /// assert!(error.is_config());
    /// ```
    #[must_use]
    pub fn is_config(&self) -> bool {
        Class::of(self) == Class::Config
    }

    /// Whether the user has to consent again, in a new flow: the consent has ended, or the code is spent.
    ///
    /// ```
    /// use digime::Error;
    ///
    /// let error = Error::ConsentEnded { code: "InvalidGrant".into() };
    /// assert!(error.needs_consent());
    /// ```
    #[must_use]
    pub fn needs_consent(&self) -> bool {
        Class::of(self) == Class::Consent
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

    /// What the platform said when it refused the last attempt, if it did.
    ///
    /// ```
    /// use digime::Error;
    ///
    /// fn is_unknown(error: &Error) -> bool {
    ///     error.refusal().is_some_and(|refusal| refusal.status == 404)
    /// }
    /// ```
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self.reason() {
            Self::Request(RequestError::Refused { refusal, .. }) => Some(refusal),
            _ => None,
        }
    }

    /// The error of a library that extends this one.
    ///
    /// ```
    /// use digime::Error;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct Unsigned;
    ///
    /// impl std::fmt::Display for Unsigned {
    ///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    ///         f.write_str("nobody has signed for the review: pass the reviewer's name")
    ///     }
    /// }
    ///
    /// impl std::error::Error for Unsigned {}
    ///
    /// impl From<Unsigned> for Error {
    ///     fn from(error: Unsigned) -> Self {
    ///         Error::extension(error)
    ///     }
    /// }
    ///
    /// let error: Error = Unsigned.into();
    /// assert_eq!(error.as_extension(), Some(&Unsigned));
    /// ```
    #[must_use]
    pub fn extension(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Extension(ExtensionError {
            error: error.into().into(),
            is_after_the_effect: false,
        })
    }

    /// The error of a library that extends this one, if it is of this type, or the [reason](Self::reason) of this error is.
    #[must_use]
    pub fn as_extension<E: StdError + 'static>(&self) -> Option<&E> {
        match self.reason() {
            Self::Extension(ExtensionError { error, .. }) => error.downcast_ref(),
            _ => None,
        }
    }

    /// The same error, of a library that has refused what the platform did for the call.
    pub(crate) fn after_the_effect(mut self) -> Self {
        if let Self::Extension(error) = &mut self {
            error.is_after_the_effect = true;
        }
        self
    }

    /// An error that leaves open whether the platform acted.
    pub(crate) fn answer_lost(operation: Operation, cause: &str) -> Self {
        let source = Cause::new(cause);
        RequestError::AnswerLost { operation, source }.into()
    }

    /// The error and its causes, in one line.
    ///
    /// ```
    /// use digime::{Client, Error};
    ///
    /// let error = Error::from(Client::builder().base_url("no URL").build().unwrap_err());
    /// let report = error.report().to_string();
    /// assert!(report.starts_with("the base URL is malformed"));
    /// assert!(report.ends_with("relative URL without a base"));
    /// ```
    #[must_use]
    pub fn report(&self) -> impl fmt::Display {
        Chain(self)
    }
}

/// The error of a library that extends this one: it is printed as that error, and has its source.
#[derive(Clone, Debug)]
pub struct ExtensionError {
    error: Arc<dyn StdError + Send + Sync>,
    /// The platform has acted, and the library has refused what came of it.
    is_after_the_effect: bool,
}

impl fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for ExtensionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
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
