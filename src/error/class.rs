//! What an error means for a program that decides by itself what to do next. Each match names every variant, so that a new
//! error has to be put into a class.

use super::Error;
use crate::contract::SignerError;
use crate::flow::suspended::error::SuspendedError;
use crate::platform::error::{Operation, PlatformTokenError, Refusal, RequestError};
use crate::store::error::StoreError;

/// What has to happen before the same call can succeed. An error has one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Time has to pass.
    Transient,
    /// Somebody has to change the configuration or the machine.
    Config,
    /// The user has to consent again.
    Consent,
    /// Something else: the item, the callback or the program is wrong.
    Other,
}

impl Class {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Id(_)
            | Error::RedirectUri(_)
            | Error::PrivateKey(_)
            | Error::PrivateKeyFile(_)
            | Error::Client(_) => Self::Config,
            Error::Request(error) => Self::of_request(error),
            Error::ConsentEnded { .. } => Self::Consent,
            Error::EarlierAttempt { source, .. } => Self::of(source),
            Error::Suspended(error) => Self::of_suspended(error),
            Error::Store(error) => Self::of_store(error),
            Error::Callback(_)
            | Error::Item(_)
            | Error::SessionExpired
            | Error::RefreshInDoubt
            | Error::Extension(_)
            | Error::Internal(_) => Self::Other,
        }
    }

    fn of_request(error: &RequestError) -> Self {
        match error {
            RequestError::Unsendable { operation, .. } => match operation {
                Operation::Custom { .. } => Self::Other,
                _ => Self::Config,
            },
            RequestError::Unsigned { source, .. } => match source {
                SignerError::Unavailable(_) => Self::Transient,
                SignerError::Refused(_) | SignerError::Unsupported => Self::Config,
            },
            RequestError::NotSent { .. } => Self::Transient,
            RequestError::AnswerLost { operation, .. } => Self::of_repetition(*operation),
            RequestError::Refused { operation, refusal } => Self::of_refusal(*operation, refusal),
            RequestError::Malformed { .. } => Self::Config,
            RequestError::Untrusted { source, .. } => match source {
                PlatformTokenError::UnknownKey | PlatformTokenError::AmbiguousKey => {
                    Self::Transient
                }
                PlatformTokenError::Malformed
                | PlatformTokenError::Algorithm
                | PlatformTokenError::Critical
                | PlatformTokenError::NoKey
                | PlatformTokenError::ForeignKeys
                | PlatformTokenError::Signature
                | PlatformTokenError::Claims => Self::Config,
            },
        }
    }

    /// The class of a failure after which nobody knows whether the platform has acted. Somebody has to find out what became of
    /// a library's request that must not be sent twice. What is at stake in our own requests is worth the try.
    fn of_repetition(operation: Operation) -> Self {
        if operation.is_custom_and_once() {
            Self::Other
        } else {
            Self::Transient
        }
    }

    fn of_refusal(operation: Operation, refusal: &Refusal) -> Self {
        if refusal.may_be_transient() {
            return if refusal.is_undecided() {
                Self::of_repetition(operation)
            } else {
                Self::Transient
            };
        }
        if refusal.ends_the_grant() {
            return Self::Consent;
        }
        match refusal.code.as_str() {
            "SDKInvalid"
            | "SDKVersionInvalid"
            | "InvalidContractId"
            | "InvalidConsentAccessApplication"
            | "InvalidRedirectUri"
            | "InvalidRequest"
            | "InvalidJWT"
            | "InvalidSession" => return Self::Config,
            _ => {}
        }
        match (refusal.status, operation) {
            (401 | 403 | 404, _) => Self::Config,
            (400..500, Operation::Push | Operation::Custom { .. }) => Self::Other,
            _ => Self::Config,
        }
    }

    fn of_suspended(error: &SuspendedError) -> Self {
        match error {
            SuspendedError::LaterVersion(_)
            | SuspendedError::LaterRecord { .. }
            | SuspendedError::UnknownKey(_) => Self::Config,
            SuspendedError::AnotherState { .. }
            | SuspendedError::AnotherContract { .. }
            | SuspendedError::Damaged
            | SuspendedError::TooLong
            | SuspendedError::Expired => Self::Other,
        }
    }

    fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::NotMigrated(_) => Self::Config,
            StoreError::Failed(_) if error.is_of_set_up() => Self::Config,
            StoreError::InProgress
            | StoreError::Full(_)
            | StoreError::Busy
            | StoreError::TimedOut(_)
            | StoreError::Failed(_) => Self::Transient,
            StoreError::Sealed(error) => Self::of_suspended(error),
            StoreError::NothingParked | StoreError::LaterConsent => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::callback::CallbackError;
    use crate::contract::PrivateKeyError;
    use crate::internal::InternalError;
    use crate::platform::error::{Cause, SentAs};
    use crate::postbox::ItemError;

    const LIST: Operation = Operation::custom("list the accounts");
    const DELETE: Operation = Operation::custom("delete it").once("it may be deleted");

    fn cause() -> Arc<dyn std::error::Error + Send + Sync> {
        Arc::new(io::Error::other("no"))
    }

    fn refused(operation: Operation, status: u16, code: &str) -> Error {
        let refusal = Box::new(Refusal {
            status,
            code: code.into(),
            message: String::new(),
            reference: None,
            retry_after: Some(Duration::from_secs(7)),
            clock_ahead: None,
            sent_as: SentAs::default(),
        });
        RequestError::Refused { operation, refusal }.into()
    }

    fn unsigned(source: SignerError) -> Error {
        RequestError::Unsigned {
            operation: Operation::Push,
            key_id: "key".into(),
            source,
        }
        .into()
    }

    fn untrusted(source: PlatformTokenError) -> Error {
        let operation = Operation::RefreshToken;
        RequestError::Untrusted { operation, source }.into()
    }

    fn not_sent() -> Error {
        let (operation, source) = (Operation::Push, Cause::new("no route"));
        RequestError::NotSent { operation, source }.into()
    }

    fn unsendable(operation: Operation) -> Error {
        let source = Cause::new("no URI");
        RequestError::Unsendable { operation, source }.into()
    }

    fn malformed() -> Error {
        let (operation, reason) = (Operation::Push, "no JSON".into());
        RequestError::Malformed { operation, reason }.into()
    }

    fn after_another(source: Error) -> Error {
        let (operation, cause) = (Operation::Push, Cause::new("reset"));
        let earlier = RequestError::AnswerLost {
            operation,
            source: cause,
        };
        Error::EarlierAttempt {
            earlier: Box::new(earlier),
            source: Box::new(source),
        }
    }

    /// The errors of each row of the page.
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    fn rows() -> Vec<(&'static str, Vec<Error>)> {
        let lost = |operation| Error::answer_lost(operation, "reset");
        let pushed = |status| refused(Operation::Push, status, "");
        let base_url = crate::Client::builder().base_url("no URL").build();
        let base_url = base_url.expect_err("no URL");
        vec![
            ("`NotSent`", vec![not_sent(), after_another(not_sent())]),
            (
                "`AnswerLost`",
                vec![
                    lost(Operation::Push),
                    lost(Operation::ExchangeCode),
                    lost(LIST),
                ],
            ),
            (
                "`AnswerLost`, of a library's request that must not be sent twice",
                vec![lost(DELETE)],
            ),
            (
                "`Refused` 408, 429, 5xx other than 501",
                vec![
                    pushed(408),
                    pushed(429),
                    pushed(500),
                    pushed(503),
                    refused(Operation::RefreshToken, 503, "InvalidGrant"),
                    refused(DELETE, 503, ""),
                    after_another(pushed(503)),
                ],
            ),
            (
                "`Refused` 5xx other than 501 and 503, of a library's request that must not be sent twice",
                vec![refused(DELETE, 500, "")],
            ),
            (
                "`Refused` with `InvalidGrant`, `InvalidToken`, `InvalidTokenType`",
                ["InvalidGrant", "InvalidToken", "InvalidTokenType"]
                    .map(|code| refused(Operation::ExchangeCode, 400, code))
                    .into(),
            ),
            (
                "`Refused` with another code of the protocol",
                [
                    "SDKInvalid",
                    "SDKVersionInvalid",
                    "InvalidContractId",
                    "InvalidConsentAccessApplication",
                    "InvalidRedirectUri",
                    "InvalidRequest",
                    "InvalidJWT",
                    "InvalidSession",
                ]
                .map(|code| refused(Operation::Push, 400, code))
                .into(),
            ),
            (
                "`Refused` 401, 403, 404, 501, a redirection",
                [401, 403, 404, 501, 303, 101].map(pushed).into(),
            ),
            (
                "`Refused` with another 4xx, of a push or a library's request",
                vec![
                    pushed(400),
                    pushed(413),
                    pushed(422),
                    refused(LIST, 409, ""),
                ],
            ),
            (
                "`Refused` with another 4xx, of another request",
                vec![
                    refused(Operation::EstablishSession, 413, ""),
                    refused(Operation::Authorize, 400, "SomethingNew"),
                ],
            ),
            ("`Malformed`", vec![malformed()]),
            ("`Unsendable`", vec![unsendable(Operation::Push)]),
            (
                "`Unsendable`, of a library's request",
                vec![unsendable(LIST)],
            ),
            (
                "`Untrusted`, since the key is unknown or ambiguous",
                vec![
                    untrusted(PlatformTokenError::UnknownKey),
                    untrusted(PlatformTokenError::AmbiguousKey),
                ],
            ),
            (
                "`Untrusted` for another reason",
                vec![
                    untrusted(PlatformTokenError::Malformed),
                    untrusted(PlatformTokenError::Algorithm),
                    untrusted(PlatformTokenError::Critical),
                    untrusted(PlatformTokenError::NoKey),
                    untrusted(PlatformTokenError::ForeignKeys),
                    untrusted(PlatformTokenError::Signature),
                    untrusted(PlatformTokenError::Claims),
                ],
            ),
            (
                "`Unsigned`, since the signer is not available",
                vec![unsigned(SignerError::Unavailable(cause()))],
            ),
            (
                "`Unsigned` for another reason",
                vec![
                    unsigned(SignerError::Refused(cause())),
                    unsigned(SignerError::Unsupported),
                ],
            ),
            (
                "`ConsentEnded`",
                vec![
                    Error::ConsentEnded {
                        code: "InvalidGrant".into(),
                    },
                    after_another(Error::ConsentEnded {
                        code: "InvalidGrant".into(),
                    }),
                ],
            ),
            ("`RefreshInDoubt`", vec![Error::RefreshInDoubt]),
            ("`SessionExpired`", vec![Error::SessionExpired]),
            (
                "`Item`",
                vec![
                    ItemError::Name.into(),
                    ItemError::Changed {
                        name: "receipt.pdf".into(),
                    }
                    .into(),
                ],
            ),
            (
                "`Callback`",
                vec![
                    CallbackError::Cancelled.into(),
                    CallbackError::AlreadyExchanged.into(),
                ],
            ),
            (
                "`Id`, `RedirectUri`, `PrivateKey`, `PrivateKeyFile`, `Client`",
                vec![
                    "".parse::<crate::ContractId>().expect_err("empty").into(),
                    "x".parse::<crate::RedirectUri>()
                        .expect_err("no URI")
                        .into(),
                    PrivateKeyError::NotPem.into(),
                    crate::PrivateKey::from_pem_file("missing.pem")
                        .expect_err("no file")
                        .into(),
                    base_url.into(),
                ],
            ),
            (
                "`Store`: `Busy`, `TimedOut`, `InProgress`, `Full`, or the database is not reached",
                vec![
                    StoreError::Busy.into(),
                    StoreError::TimedOut(Duration::from_secs(20)).into(),
                    StoreError::InProgress.into(),
                    StoreError::Full(7).into(),
                    StoreError::Failed(cause()).into(),
                ],
            ),
            (
                "`Store`: `NothingParked`, `LaterConsent`",
                vec![
                    StoreError::NothingParked.into(),
                    StoreError::LaterConsent.into(),
                ],
            ),
            (
                "`Store`: `NotMigrated`",
                vec![StoreError::NotMigrated("table".into()).into()],
            ),
            (
                "`Suspended` or `Store::Sealed`, written by a later version or under an unknown key",
                vec![
                    SuspendedError::LaterVersion(9).into(),
                    SuspendedError::LaterRecord {
                        state: "a_library::State",
                        version: 9,
                    }
                    .into(),
                    SuspendedError::UnknownKey("old".into()).into(),
                    StoreError::Sealed(SuspendedError::UnknownKey("old".into())).into(),
                ],
            ),
            (
                "`Suspended` or `Store::Sealed` for another reason",
                vec![
                    SuspendedError::Damaged.into(),
                    SuspendedError::Expired.into(),
                    SuspendedError::TooLong.into(),
                    StoreError::Sealed(SuspendedError::Damaged).into(),
                ],
            ),
            (
                "`Extension`, `Internal`",
                vec![
                    Error::extension(io::Error::other("of a library")),
                    InternalError("RSA").into(),
                ],
            ),
        ]
    }

    #[test]
    fn every_row_of_the_page_of_classes_is_true() {
        let page = include_str!("../../docs/faults.md");
        let (_, table) = page.split_once("| error |").expect("the table");
        let lines = table.lines().skip(2);
        let written: BTreeSet<_> = lines.take_while(|line| line.starts_with('|')).collect();
        let mark = |holds: bool| if holds { "yes |" } else { "|" };
        let is = rows().into_iter().flat_map(|(name, errors)| {
            assert!(!errors.is_empty(), "{name}");
            errors.into_iter().map(move |error| {
                let [transient, config, consent] = [
                    error.is_transient(),
                    error.is_config(),
                    error.needs_consent(),
                ]
                .map(mark);
                format!("| {name} | {transient} {config} {consent}")
            })
        });
        let is: BTreeSet<_> = is.collect();
        let is: BTreeSet<_> = is.iter().map(String::as_str).collect();
        assert_eq!(is, written);
    }

    #[test]
    fn the_pause_that_the_platform_asks_for_is_known_after_an_earlier_attempt_too() {
        let busy = refused(Operation::Push, 429, "");
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(
            after_another(busy).retry_after(),
            Some(Duration::from_secs(7))
        );
        assert_eq!(not_sent().retry_after(), None);
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn tables_that_are_missing_are_a_matter_of_configuration() {
        use crate::store::{SqliteStore, TokenStore};

        let pool = sqlx::SqlitePool::connect("sqlite::memory:").await;
        let store = SqliteStore::new(pool.expect("a database"));
        let error = store.load("customer-42").await.expect_err("no tables");
        let error = Error::from(error);
        assert!(error.is_config() && !error.is_transient(), "{error}");
    }
}
