//! What becomes of an entry that was not delivered.

use std::time::Duration;

use digime::Error;

use crate::DeliverError;

/// The longest time that a platform's `Retry-After` may hold an entry back.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How often in a row an entry is lost, which is when a worker takes it and records no outcome, before it is given up.
///
/// A worker that is killed loses what it sends, whatever that is. The same entry is lost again only if it is being sent again
/// when the next worker is killed, after a lease. Restarts without grace, one machine after the other, do so a few times.
pub(crate) const MOST_LOSSES: u64 = 10;

/// After how many losses in a row no other such entry is sent at the same time, so that an entry which ends the process does not
/// take others with it again and again.
pub(crate) const ALONE_AFTER: u64 = 3;

/// The settings that the rules depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The first and the longest pause after a transient failure.
    pub(crate) pauses: (Duration, Duration),
    /// The first pause after a failure that somebody has to repair.
    pub(crate) config_pause: Duration,
    /// How long an entry is tried.
    pub(crate) max_age: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            pauses: (Duration::from_secs(5), Duration::from_hours(1)),
            config_pause: Duration::from_mins(1),
            max_age: Duration::from_hours(7 * 24),
        }
    }
}

/// How often and how long an entry was tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    /// The number of attempts, with the last one.
    pub(crate) attempts: u64,
    /// The time from the first of these attempts to the last one.
    pub(crate) duration: Duration,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    AwaitConsent,
    Retry {
        after: Duration,
        /// How long the platform wants no other entry of the contract.
        hold_back: Option<Duration>,
        /// Whether somebody has to repair something.
        is_config: bool,
    },
    GiveUp,
}

impl Rules {
    /// `jitter` is a random number from 0 to 1.
    pub(crate) fn next(self, error: &DeliverError, tried: Tried, jitter: f64) -> Next {
        let is_config = match class(error) {
            Class::Consent => return Next::AwaitConsent,
            Class::Other => return Next::GiveUp,
            Class::Transient => false,
            Class::Config => true,
        };
        if tried.duration >= self.max_age {
            return Next::GiveUp;
        }
        let (first, longest) = self.pauses;
        let first = if is_config { self.config_pause } else { first };
        let doublings = u32::try_from(tried.attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2_u32.saturating_pow(doublings);
        let pause = first.saturating_mul(factor).min(longest.max(first));
        // Half of it is random, so that entries that failed together are not tried together.
        let pause = pause.mul_f64(0.5 + jitter / 2.0);
        let asked = match error {
            DeliverError::Push(error) => error.retry_after(),
            _ => None,
        };
        let hold_back = asked.map(|asked| asked.min(LONGEST_RETRY_AFTER));
        Next::Retry {
            after: pause.max(hold_back.unwrap_or_default()),
            hold_back,
            is_config,
        }
    }
}

enum Class {
    Consent,
    Transient,
    Config,
    Other,
}

fn class(error: &DeliverError) -> Class {
    match error {
        DeliverError::NotConnected => Class::Consent,
        DeliverError::UnknownContract | DeliverError::Panicked => Class::Config,
        DeliverError::Lost => Class::Other,
        DeliverError::Push(error) if error.needs_consent() => Class::Consent,
        DeliverError::Push(error) if error.is_config() => Class::Config,
        DeliverError::Push(error) if error.is_transient() => Class::Transient,
        // Another worker may be refreshing the token at the moment.
        DeliverError::Push(error) => match error.reason() {
            Error::RefreshInDoubt | Error::SessionExpired => Class::Transient,
            _ => Class::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use digime::error::StoreError;
    use digime::{Client, PrivateKey};

    use super::*;

    fn next(error: impl Into<DeliverError>, attempts: u64) -> Next {
        let tried = Tried {
            attempts,
            duration: Duration::from_mins(1),
        };
        Rules::default().next(&error.into(), tried, 1.0)
    }

    fn retry(seconds: u64, is_config: bool) -> Next {
        Next::Retry {
            after: Duration::from_secs(seconds),
            hold_back: None,
            is_config,
        }
    }

    fn busy() -> Error {
        StoreError::Busy.into()
    }

    #[test]
    fn each_error_has_the_consequence_that_the_table_of_the_crate_says() {
        let ended = Error::ConsentEnded {
            code: "InvalidGrant".into(),
        };
        let key = Error::from(PrivateKey::from_pem("no key").expect_err("no key"));
        let base_url = Client::builder().base_url("no URL").build();
        let base_url = Error::from(base_url.expect_err("no URL"));
        let refused = Error::extension(std::io::Error::other("it is too old"));
        let cases = [
            (DeliverError::NotConnected, Next::AwaitConsent),
            (ended.into(), Next::AwaitConsent),
            (busy().into(), retry(5, false)),
            (
                StoreError::failed("away").into_error().into(),
                retry(5, false),
            ),
            (Error::RefreshInDoubt.into(), retry(5, false)),
            (Error::SessionExpired.into(), retry(5, false)),
            (key.into(), retry(60, true)),
            (base_url.into(), retry(60, true)),
            (DeliverError::UnknownContract, retry(60, true)),
            (DeliverError::Panicked, retry(60, true)),
            (DeliverError::Lost, Next::GiveUp),
            (refused.into(), Next::GiveUp),
        ];
        for (error, expected) in cases {
            assert_eq!(next(error.clone(), 1), expected, "{error}");
        }
    }

    trait IntoError {
        fn into_error(self) -> Error;
    }

    impl IntoError for StoreError {
        fn into_error(self) -> Error {
            self.into()
        }
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_half_of_each_is_random() {
        let pauses = [1, 2, 3, 4, 10, 11, 1000, u64::MAX].map(|attempts| next(busy(), attempts));
        let expected = [5, 10, 20, 40, 2560, 3600, 3600, 3600].map(|pause| retry(pause, false));
        assert_eq!(pauses, expected);
        let tried = Tried {
            attempts: 2,
            duration: Duration::ZERO,
        };
        let shortest = Rules::default().next(&busy().into(), tried, 0.0);
        assert_eq!(shortest, retry(5, false));
    }

    #[test]
    fn an_entry_that_was_tried_for_a_week_is_given_up_unless_it_waits_for_consent() {
        let tried = |hours: u64| Tried {
            attempts: 9,
            duration: Duration::from_hours(hours),
        };
        let rules = Rules::default();
        let after = |error: DeliverError, hours| rules.next(&error, tried(hours), 1.0);
        assert!(matches!(after(busy().into(), 167), Next::Retry { .. }));
        assert_eq!(after(busy().into(), 168), Next::GiveUp);
        assert_eq!(after(DeliverError::UnknownContract, 168), Next::GiveUp);
        let waits = after(DeliverError::NotConnected, 9999);
        assert_eq!(waits, Next::AwaitConsent);
    }
}
