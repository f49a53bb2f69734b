//! What an error means to the one who operates the application.

use super::any::Error;
use super::class::Class;
use crate::callback::CallbackError;
use crate::flow::suspended::error::SuspendedError;
use crate::observe::Outcome;
use crate::store::error::StoreError;

/// How a call ended that failed with this error. It decides the level at which the failure is logged.
pub(crate) fn outcome(error: &Error) -> Outcome {
    match error {
        // The call may have taken effect, which concerns more than the user.
        Error::EarlierAttempt { .. } if Class::of(error) != Class::Config => Outcome::Failed,
        Error::Internal(_) => Outcome::NeedsOperator,
        Error::Callback(error) => of_callback(error),
        Error::Store(error) => of_store(error),
        Error::Suspended(SuspendedError::Expired) => Outcome::ByUser,
        error => match Class::of(error) {
            Class::Config => Outcome::NeedsOperator,
            Class::Consent => Outcome::ByUser,
            Class::Transient | Class::Other => Outcome::Failed,
        },
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

/// A database that fails or does not answer may recover, but somebody has to look after it.
fn of_store(error: &StoreError) -> Outcome {
    match error {
        StoreError::NothingParked | StoreError::InProgress | StoreError::LaterConsent => {
            Outcome::ByUser
        }
        StoreError::Busy => Outcome::Failed,
        StoreError::Full(_)
        | StoreError::TimedOut(_)
        | StoreError::Sealed(_)
        | StoreError::NotMigrated(_)
        | StoreError::Failed(_) => Outcome::NeedsOperator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::error::{Cause, Operation, RequestError};

    #[test]
    fn what_may_have_taken_effect_is_never_the_users_decision_alone() {
        let earlier = |source: Error| Error::EarlierAttempt {
            earlier: Box::new(RequestError::AnswerLost {
                operation: Operation::Push,
                source: Cause::new("timed out"),
            }),
            source: Box::new(source),
        };
        let ended = || Error::ConsentEnded {
            code: "InvalidGrant".into(),
        };
        assert_eq!(outcome(&ended()), Outcome::ByUser);
        assert_eq!(outcome(&earlier(ended())), Outcome::Failed);
        let unreadable = SuspendedError::UnknownKey("2026-05".into());
        assert_eq!(outcome(&earlier(unreadable.into())), Outcome::NeedsOperator);
    }
}
