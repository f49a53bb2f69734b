//! What must hold in every state, and the bridge to the checker.

use stateright::{Model, Property, Representative};

use crate::model::{Action, Call, Outcome, Protocol, Reply, Rule, State};

/// P1.
pub const SENT_ONCE: &str = "a token is sent again only after it was refused or proven unused";
/// P2.
pub const CONSENT_KEPT: &str = "consent is lost only by the user, a lost answer or a crash";
/// P2, second half.
pub const NOT_STUCK: &str = "a good token is left in doubt only by a lost answer or a crash";
/// P2, also after a lost answer, a crash or a withdrawal.
pub const REMOVED_RIGHTLY: &str = "a record is removed only when nobody has good tokens";
/// P3.
pub const NEW_TOKENS_SAVED: &str = "a machine that lives saves its new tokens";
/// P4, first half.
pub const NEWER_CONSENT_KEPT: &str = "a newer consent is not overwritten";
/// P4, second half.
pub const FORGOTTEN: &str = "a forgotten user does not come back";
/// P5.
pub const ANSWERED: &str = "every caller can be answered, whatever the other machines do";
/// P6.
pub const TOLD_TRULY: &str =
    "no caller learns that consent has ended while the store holds good tokens";
/// Shows that the model gets somewhere.
pub const REFRESHED: &str = "new tokens are saved for every time that the access token grows stale";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let next = self.after(last, action);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        vec![
            always(SENT_ONCE, |_, state| !state.sent_again),
            always(CONSENT_KEPT, |_, state| {
                !state.is_settled() || state.excused || state.holds_newest()
            }),
            always(NOT_STUCK, |protocol, state| {
                !state.is_settled()
                    || state.excused
                    || state.budget.explicit < protocol.explicit
                    || state.store.is_some_and(|record| !record.sent)
            }),
            always(REMOVED_RIGHTLY, |_, state| !state.removed_wrongly),
            always(NEW_TOKENS_SAVED, |_, state| {
                !state.is_settled() || state.forgotten || state.new_tokens_are_saved()
            }),
            always(NEWER_CONSENT_KEPT, |_, state| {
                !state.kept || state.store.is_none_or(|record| record.token.grant == 1)
            }),
            always(FORGOTTEN, |_, state| {
                !state.forgotten || state.store.is_none()
            }),
            always(ANSWERED, |protocol, state| {
                (0..state.machines.len()).all(|i| protocol.answers_alone(state, i))
            }),
            always(TOLD_TRULY, |_, state| !state.told_wrongly),
            Property::<Self>::sometimes(REFRESHED, |protocol, state| {
                state
                    .store
                    .is_some_and(|r| !r.sent && r.token.n >= protocol.calls)
            }),
        ]
    }
}

impl Protocol {
    /// Whether a caller gets an answer, and the machine's background comes to rest, when no other machine does anything.
    fn answers_alone(&self, state: &State, i: usize) -> bool {
        let mut state = state.clone();
        for _ in 0..16 {
            let machine = &state.machines[i];
            let action = match machine.call {
                Call::Rest { .. } if machine.tasks.is_empty() => return true,
                Call::Rest { .. } => Action::Background(i, 0, Outcome::Done),
                Call::Wait { .. } if self.follows(Rule::WaitingEnds) => Action::GiveUp(i),
                Call::Ask { .. } => Action::Platform(i, Reply::Answered),
                _ => Action::Call(i, Outcome::Done),
            };
            state = self.after(&state, action);
        }
        false
    }
}

impl State {
    /// The store holds the good token of the newest grant.
    fn holds_newest(&self) -> bool {
        self.store
            .is_some_and(|record| record.token == self.platform.newest())
    }

    /// No machine holds good tokens that are newer than the store's. Tokens of the first consent do not count once those of
    /// the new one were in the store.
    fn new_tokens_are_saved(&self) -> bool {
        self.machines
            .iter()
            .filter(|machine| machine.flow.grant == 1 || !self.kept)
            .filter(|machine| machine.alive && self.platform.is_good(machine.flow))
            .all(|machine| {
                self.store
                    .is_some_and(|record| record.token >= machine.flow)
            })
    }
}

/// Machines differ in nothing but their number, so states that differ in the order of machines alone count as one.
impl Representative for State {
    fn representative(&self) -> Self {
        let mut state = self.clone();
        state.machines.sort();
        state.renumber();
        state.machines.sort();
        state.renumber();
        state
    }
}
