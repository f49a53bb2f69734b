//! What an error means to the one who operates the application.

use super::any::Error;
use crate::callback::CallbackError;
use crate::contract::SignerError;
use crate::flow::suspended::error::SuspendedError;
use crate::observe::Outcome;
use crate::platform::error::RequestError;
use crate::store::error::StoreError;

/// How a call ended that failed with this error. It decides the level at which the failure is logged.
pub(crate) fn outcome(error: &Error) -> Outcome {
    match error {
        Error::Id(_)
        | Error::RedirectUri(_)
        | Error::PrivateKey(_)
        | Error::Client(_)
        | Error::Internal(_) => Outcome::NeedsOperator,
        Error::ConsentEnded { .. } => Outcome::ByUser,
        Error::Callback(error) => of_callback(error),
        Error::Request(error) => of_request(error),
        Error::Store(error) => of_store(error),
        Error::Suspended(error) => of_suspended(error),
        // The call may have taken effect, which concerns more than the user.
        Error::EarlierAttempt { source, .. } => match outcome(source) {
            Outcome::NeedsOperator => Outcome::NeedsOperator,
            _ => Outcome::Failed,
        },
        Error::Item(_) | Error::SessionExpired | Error::RefreshInDoubt | Error::Extension(_) => {
            Outcome::Failed
        }
    }
}

/// Anyone can open a callback URL, so what is wrong with a callback alarms nobody.
fn of_callback(error: &CallbackError) -> Outcome {
    match error {
        CallbackError::UserPanicked => Outcome::NeedsOperator,
        CallbackError::Failed => Outcome::Failed,
        _ => Outcome::ByUser,
    }
}

fn of_request(error: &RequestError) -> Outcome {
    let needs_operator = match error {
        RequestError::Unsendable { .. } | RequestError::Untrusted { .. } => true,
        RequestError::Unsigned { source, .. } => !matches!(source, SignerError::Unavailable(_)),
        RequestError::Refused { refusal, .. } => refusal.needs_operator(),
        RequestError::NotSent { .. }
        | RequestError::AnswerLost { .. }
        | RequestError::Malformed { .. } => false,
    };
    if needs_operator {
        Outcome::NeedsOperator
    } else {
        Outcome::Failed
    }
}

fn of_store(error: &StoreError) -> Outcome {
    match error {
        StoreError::NothingParked | StoreError::InProgress | StoreError::LaterConsent => {
            Outcome::ByUser
        }
        StoreError::Busy => Outcome::Failed,
        StoreError::Full(_)
        | StoreError::TimedOut(_)
        | StoreError::Sealed(_)
        | StoreError::Failed(_) => Outcome::NeedsOperator,
    }
}

fn of_suspended(error: &SuspendedError) -> Outcome {
    match error {
        SuspendedError::LaterVersion(_)
        | SuspendedError::LaterRecord { .. }
        | SuspendedError::UnknownKey(_) => Outcome::NeedsOperator,
        SuspendedError::Expired => Outcome::ByUser,
        SuspendedError::AnotherState { .. }
        | SuspendedError::AnotherContract { .. }
        | SuspendedError::Damaged
        | SuspendedError::TooLong => Outcome::Failed,
    }
}
