use crate::error::Error;
use crate::platform::Doubt;

/// The outcome of a call, with what is known about all its attempts.
pub(super) fn settle<T>(doubt: &Doubt, outcome: Result<T, Error>) -> Result<T, Error> {
    outcome.map_err(|error| match doubt.earlier() {
        Some(earlier) if !error.may_have_taken_effect() => Error::EarlierAttempt {
            earlier: Box::new(earlier),
            source: Box::new(error),
        },
        _ => error,
    })
}
