//! The protocol before this one, to show that the checker finds what was wrong with it.
//!
//! A machine that finds its token stale takes a lease on the version that it loaded, sends the token, and replaces that
//! version by the new tokens. The lease ends by the database's clock, whatever its holder is doing. The next holder sends
//! the same token. A call that learns that the grant has ended removes the version that it loaded, and a call that finds its
//! version replaced or removed throws its tokens away.

use stateright::{Model, Property};

use crate::platform::{FIRST, Platform, Token};
use crate::properties::{CONSENT_KEPT, SENT_ONCE};
use crate::store::{Record, Version, Write, write};

/// Machines that share tokens under a lease. Nothing crashes, no answer is lost and the store never fails.
#[derive(Clone, Debug)]
pub struct LeaseProtocol {
    /// How many machines call once each.
    pub machines: usize,
}

/// Where a caller's refresh is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Call {
    /// About to load the record.
    Load,
    /// About to take the lease on a version.
    Lease(Version),
    /// The token of this version is on its way to the platform.
    Ask(Version),
    /// About to replace this version.
    Save(Version, Token),
    /// The grant has ended. About to remove this version.
    Remove(Version),
    /// The caller has its answer.
    Answered,
}

/// Everything, and what the properties have to know of the past.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    /// The machines' calls.
    pub calls: Vec<Call>,
    /// The user's record.
    pub store: Option<Record>,
    /// Whose lease it is.
    pub holder: Option<usize>,
    /// The platform.
    pub platform: Platform,
    /// The token was sent and not proven unused.
    pub sent: bool,
    /// Such a token was sent again.
    pub sent_again: bool,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A machine's call takes its next step.
    Step(usize),
    /// The lease ends by the database's clock.
    LeaseEnds,
}

impl Model for LeaseProtocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            calls: vec![Call::Load; self.machines],
            store: Some(Record {
                version: 0,
                token: FIRST,
                sent: false,
            }),
            holder: None,
            platform: Platform::default(),
            sent: false,
            sent_again: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend((0..state.calls.len()).map(Action::Step));
        actions.push(Action::LeaseEnds);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(i) => state.calls[i] = state.step(i),
            Action::LeaseEnds => state.holder = None,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(SENT_ONCE, |_, state| !state.sent_again),
            Property::<Self>::always(CONSENT_KEPT, |_, state| {
                let good = |record: Record| state.platform.is_good(record.token);
                state.calls.iter().any(|call| *call != Call::Answered)
                    || state.store.is_some_and(good)
            }),
        ]
    }
}

impl State {
    fn step(&mut self, i: usize) -> Call {
        match (self.calls[i], self.store) {
            (Call::Answered, _) | (Call::Load, None) => Call::Answered,
            (Call::Load, Some(record)) if record.token != FIRST => Call::Answered,
            (Call::Load, Some(record)) => Call::Lease(record.version),
            (Call::Lease(version), Some(record))
                if record.version == version && self.holder.is_none() =>
            {
                self.holder = Some(i);
                self.sent_again |= self.sent;
                self.sent = true;
                Call::Ask(version)
            }
            (Call::Lease(_), _) => Call::Load,
            (Call::Ask(version), _) => match self.platform.exchange(FIRST) {
                Some(token) => Call::Save(version, token),
                None => Call::Remove(version),
            },
            (Call::Save(version, token), _) => {
                let new = Record {
                    version: version + 1,
                    token,
                    sent: false,
                };
                self.end_call(i, Write::Replace(version, new))
            }
            (Call::Remove(version), _) => self.end_call(i, Write::Remove(version)),
        }
    }

    fn end_call(&mut self, i: usize, last: Write) -> Call {
        if self.holder == Some(i) {
            self.holder = None;
        }
        if write(&mut self.store, last) {
            Call::Answered
        } else {
            Call::Load
        }
    }
}
