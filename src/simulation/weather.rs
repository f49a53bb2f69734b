//! The faults: one for each request and each call of the store, drawn from the run's seed.

use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The endpoints of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Session,
    Authorize,
    Token,
    Keys,
    Push,
    /// Asks for the renewal of a consent.
    Renewal,
    /// Deletes the user.
    User,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// No connection is made.
    NotConnected,
    /// The connection breaks, before or after the platform acted.
    Lost {
        acts: bool,
    },
    /// The platform never answers.
    Silent {
        acts: bool,
    },
    /// The platform refuses, or fails after it has acted.
    Refused {
        status: u16,
        code: &'static str,
        retry_after: Option<&'static str>,
        acts: bool,
    },
    /// The platform acts, and half of its answer arrives.
    Cut,
    /// The platform acts, and its answer is signed with a foreign key.
    Forged,
}

/// A fault, and how long a request and its answer travel.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub fault: Fault,
    pub there: Duration,
    pub back: Duration,
    /// The platform's message repeats the request.
    pub echoes: bool,
}

/// What happens to a call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreFault {
    None,
    FailsBefore,
    FailsAfter,
    /// It gives up after its own time limit, before or after it took effect.
    Hangs {
        acts: bool,
    },
}

/// The `Date` of the platform's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dates {
    Right,
    /// They have no `Date`.
    Missing,
    /// Some are wrong by days.
    SometimesWrong,
}

/// A `Retry-After` that is too long to wait for.
pub(super) const FOR_EVER: &str = "99999999999999999999";

/// How wrong a wrong `Date` is.
const WRONG_BY: Duration = Duration::from_hours(48);

/// What a machine's signer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignerFault {
    None,
    /// It signs after a while.
    IsSlow(Duration),
    /// It says that it may sign later.
    IsBusy,
    /// It says that it never signs.
    Refuses,
    /// It never answers.
    Hangs,
}

/// How likely each fault is in a run. Each run has its own weather.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are separate facts")]
pub(super) struct Weather {
    rng: StdRng,
    /// The signers' own, so that their faults change nothing in a run without them.
    signer_rng: StdRng,
    is_calm: bool,
    signer: f64,
    network: f64,
    store: f64,
    slowness: f64,
    /// Answers that hold tokens may be lost. Without that, no consent may be lost in the whole run.
    pub loses_tokens: bool,
    keys_fail: bool,
    pub dates: Dates,
    pub platform_is_away: bool,
    pub store_is_away: bool,
    pub signer_is_away: bool,
}

/// How long the store retries before it reports that it failed.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(20);

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut signer_rng = StdRng::seed_from_u64(!seed);
        Self {
            is_calm: false,
            signer: pick(&mut signer_rng, &[0.0, 0.0, 0.1, 0.3]),
            signer_rng,
            network: pick(&mut rng, &[0.0, 0.05, 0.15, 0.4]),
            store: pick(&mut rng, &[0.0, 0.1, 0.3]),
            slowness: pick(&mut rng, &[0.0, 0.05, 0.3]),
            loses_tokens: rng.random_bool(0.4),
            keys_fail: rng.random_bool(0.3),
            dates: pick(
                &mut rng,
                &[
                    Dates::Right,
                    Dates::Right,
                    Dates::Right,
                    Dates::Missing,
                    Dates::SometimesWrong,
                ],
            ),
            platform_is_away: false,
            store_is_away: false,
            signer_is_away: false,
            rng,
        }
    }

    /// Begins or ends a period without new faults.
    pub(super) fn set_calm(&mut self, is_calm: bool) {
        self.is_calm = is_calm;
    }

    /// Ends all faults, for the end of a run.
    pub(super) fn calm_down(&mut self) {
        self.is_calm = true;
        self.platform_is_away = false;
        self.store_is_away = false;
        self.signer_is_away = false;
    }

    pub(super) fn passage(&mut self, endpoint: Endpoint) -> Passage {
        let rate = match endpoint {
            Endpoint::Keys if self.keys_fail => self.network.max(0.5),
            _ => self.network,
        };
        let fault = if self.strikes(rate) {
            self.fault(endpoint)
        } else {
            Fault::None
        };
        Passage {
            fault,
            there: self.delay(),
            back: self.delay(),
            echoes: self.rng.random_bool(0.7),
        }
    }

    pub(super) fn store_fault(&mut self, call: &str) -> (StoreFault, Duration, Duration) {
        // Saving matters most.
        let rate = match call {
            "replace" => (self.store * 2.0).min(0.5),
            _ => self.store,
        };
        let fault = if self.strikes(rate) {
            match self.rng.random_range(0..6) {
                0 | 1 => StoreFault::FailsAfter,
                2 => StoreFault::Hangs { acts: true },
                3 => StoreFault::Hangs { acts: false },
                _ => StoreFault::FailsBefore,
            }
        } else {
            StoreFault::None
        };
        (fault, self.delay() / 4, self.delay() / 4)
    }

    pub(super) fn signer_fault(&mut self) -> SignerFault {
        if self.is_calm {
            return SignerFault::None;
        }
        let slow = Duration::from_millis(self.signer_rng.random_range(10..15_000));
        if !self.signer_is_away && !self.signer_rng.random_bool(self.signer) {
            return SignerFault::None;
        }
        match self.signer_rng.random_range(0..8) {
            0..3 => SignerFault::IsSlow(slow),
            3 | 4 => SignerFault::IsBusy,
            5 => SignerFault::Refuses,
            _ => SignerFault::Hangs,
        }
    }

    /// The `Date` of an answer.
    pub(super) fn date(&mut self, now: SystemTime) -> Option<SystemTime> {
        match self.dates {
            Dates::Right => Some(now),
            Dates::Missing => None,
            Dates::SometimesWrong => Some(match self.rng.random_range(0..20) {
                0 if !self.is_calm => now + WRONG_BY,
                1 if !self.is_calm => now - WRONG_BY,
                _ => now,
            }),
        }
    }

    fn strikes(&mut self, rate: f64) -> bool {
        let strikes = self.rng.random_bool(rate);
        strikes && !self.is_calm
    }

    fn delay(&mut self) -> Duration {
        let quick = self.rng.random_range(1..40);
        let slow = self.rng.random_range(100..15_000);
        let millis = if self.strikes(self.slowness) {
            slow
        } else {
            quick
        };
        Duration::from_millis(millis)
    }

    fn fault(&mut self, endpoint: Endpoint) -> Fault {
        let acts = self.rng.random_bool(0.5);
        let retry_after = pick(
            &mut self.rng,
            &[
                None,
                None,
                Some("1"),
                Some("7"),
                Some("-1"),
                Some("1.5"),
                Some(FOR_EVER),
                Some("soon"),
            ],
        );
        let refused = |status, code| Fault::Refused {
            status,
            code,
            retry_after,
            acts: false,
        };
        let fault = match self.rng.random_range(0..22) {
            0..3 => Fault::NotConnected,
            3..6 => Fault::Lost { acts },
            6..8 => Fault::Silent { acts },
            8..11 => refused(503, ""),
            11 => refused(429, ""),
            12 => refused(408, ""),
            13 => refused(401, "InvalidJWT"),
            14 => refused(400, "InvalidRedirectUri"),
            15 => refused(413, "TooLarge"),
            16..19 => Fault::Refused {
                status: 500,
                code: "",
                retry_after,
                acts,
            },
            19 | 20 => Fault::Cut,
            _ => Fault::Forged,
        };
        match endpoint {
            Endpoint::Keys if !self.keys_fail => Fault::None,
            Endpoint::Token if !self.loses_tokens && fault.loses_what_was_done() => {
                Fault::NotConnected
            }
            _ => fault,
        }
    }
}

impl Fault {
    fn loses_what_was_done(&self) -> bool {
        matches!(
            self,
            Self::Lost { acts: true }
                | Self::Silent { acts: true }
                | Self::Refused { acts: true, .. }
                | Self::Cut
                | Self::Forged
        )
    }
}

pub(super) fn pick<T: Clone>(rng: &mut StdRng, choices: &[T]) -> T {
    choices[rng.random_range(0..choices.len())].clone()
}
