//! What operators and admin pages see.

use std::time::{Duration, SystemTime};

use crate::Recipient;
use crate::database::duration;
use crate::entry::Labels;

/// Where an entry is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It waits until it is due.
    Waiting,
    /// A worker pushes it, or has died while it did.
    Sending,
    /// It waits until the user has consented.
    AwaitingConsent,
    /// It was delivered, and its content was removed.
    Delivered,
    /// It was given up, and is kept until an operator acts.
    GivenUp,
}

impl State {
    /// All states, in the order of an entry's way.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Sending,
        Self::AwaitingConsent,
        Self::Delivered,
        Self::GivenUp,
    ];

    /// Its name in the database and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::AwaitingConsent => "consent",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// How many entries there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Those that wait until they are due.
    pub waiting: u64,
    /// Those that workers push.
    pub sending: u64,
    /// Those that wait for consent.
    pub awaiting_consent: u64,
    /// Those that were delivered and are not removed yet.
    pub delivered: u64,
    /// Those that were given up.
    pub given_up: u64,
    /// How long ago the oldest entry was enqueued that waits or is being sent.
    pub oldest: Option<Duration>,
}

impl Counts {
    pub(crate) fn of(by_state: Vec<(String, i64)>, oldest: Vec<(Option<i64>,)>) -> Self {
        let mut counts = Self::default();
        for (state, count) in by_state {
            if let Some(state) = State::named(&state) {
                *counts.count_mut(state) = count.try_into().unwrap_or(0);
            }
        }
        counts.oldest = oldest
            .into_iter()
            .find_map(|(oldest,)| oldest)
            .map(duration);
        counts
    }

    /// The number of entries in a state.
    #[must_use]
    pub fn count(mut self, state: State) -> u64 {
        *self.count_mut(state)
    }

    fn count_mut(&mut self, state: State) -> &mut u64 {
        match state {
            State::Waiting => &mut self.waiting,
            State::Sending => &mut self.sending,
            State::AwaitingConsent => &mut self.awaiting_consent,
            State::Delivered => &mut self.delivered,
            State::GivenUp => &mut self.given_up,
        }
    }
}

/// Which entries [`Outbox::list`](crate::Outbox::list) returns.
///
/// ```
/// use digime_outbox::{Filter, State};
///
/// let waiting = Filter::all().contract("corner-shop-receipts").state(State::AwaitingConsent);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a filter does nothing until it is given to `list`"]
pub struct Filter {
    pub(crate) state: Option<State>,
    pub(crate) contract: Option<String>,
    pub(crate) user: Option<String>,
}

impl Filter {
    /// All entries.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those in this state.
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Only those under the contract with this id.
    pub fn contract(mut self, contract: impl std::fmt::Display) -> Self {
        self.contract = Some(contract.to_string());
        self
    }

    /// Only those of this user.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }
}

/// An entry of the outbox, without its content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed {
    /// Its number, for [`retry`](crate::Outbox::retry) and [`discard`](crate::Outbox::discard).
    pub id: i64,
    /// Who it is for.
    pub recipient: Recipient,
    /// Its reference.
    pub reference: String,
    /// Where it is.
    pub state: State,
    /// How many times a worker has begun to deliver it, with an attempt that is in progress. It is counted from the start again
    /// when the user connects, and when an operator calls [`retry`](crate::Outbox::retry).
    pub attempts: u64,
    /// When it was enqueued, by the database's clock.
    pub enqueued_at: SystemTime,
    /// When a worker last changed it.
    pub changed_at: SystemTime,
    /// When it is due: when it is tried again, when the lease of its worker ends, or when a worker looks again whether the user
    /// has consented. `None` if it was delivered or given up.
    pub due_at: Option<SystemTime>,
    /// Why it was not delivered when it was last tried.
    pub last_error: Option<String>,
    /// The item's file name.
    pub file_name: String,
    /// The item's tags.
    pub tags: Vec<String>,
    /// The item's length in bytes, also if its content was removed.
    pub size: u64,
}

/// The columns of the statement `list`.
pub(crate) type Columns = (
    i64,
    String,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<String>,
    String,
    String,
    i64,
);

impl Listed {
    pub(crate) fn of(columns: Columns) -> Self {
        let (
            id,
            contract,
            user,
            reference,
            state,
            attempts,
            enqueued_at,
            changed_at,
            due_at,
            last_error,
            file_name,
            labels,
            size,
        ) = columns;
        let labels: Labels = serde_json::from_str(&labels).unwrap_or_default();
        Self {
            id,
            recipient: Recipient { user, contract },
            reference,
            // No other state is ever written.
            state: State::named(&state).unwrap_or(State::GivenUp),
            attempts: attempts.try_into().unwrap_or(0),
            enqueued_at: time(enqueued_at),
            changed_at: time(changed_at),
            due_at: due_at.map(time),
            last_error,
            file_name,
            tags: labels.tags,
            size: size.try_into().unwrap_or(0),
        }
    }
}

fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + duration(millis)
}
