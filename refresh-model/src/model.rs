//! Machines that follow the protocol, and everything that may happen to them.

use std::collections::BTreeSet;

use crate::platform::{FIRST, Platform, Token};
use crate::store::{Record, Version, Write, write};

/// One configuration: how many machines there are, and how often each thing may happen.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// How many machines hold a flow of the user.
    pub machines: u8,
    /// How many calls each machine makes that find the access token stale.
    pub calls: u8,
    /// How often anybody sends a token although it is in doubt.
    pub explicit: u8,
    /// How many machines crash.
    pub crashes: u8,
    /// How many conditional store calls take effect at any time after their caller saw an error.
    pub late_writes: u8,
    /// How often the user consents again.
    pub consents: u8,
    /// How often the application forgets the user.
    pub forgets: u8,
    /// How often the user withdraws consent.
    pub withdrawals: u8,
    /// A rule that no machine follows, to show why it is needed.
    pub without: Option<Rule>,
}

/// A rule that can be left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// A machine that finds another version than its own mark loads again, and replaces any version that holds the token that
    /// it spent.
    NewTokensReplaceWhatHoldsTheSpentOne,
    /// A machine that finds that the spent token is gone from the store, because the record was removed or holds other tokens,
    /// writes nothing.
    NothingElseIsOverwritten,
    /// A machine that waits for another machine gives up after some time.
    WaitingEnds,
    /// A machine that sent a doubtful token does not un-mark, even if its own request was provably unused.
    DoubtIsNotUnmarked,
    /// A machine that sent a doubtful token removes nothing when the platform says that the grant has ended.
    DoubtRemovesNothing,
    /// A machine that learns that the grant has ended, and finds its version replaced, loads again.
    RemovalOfNothingLooksAgain,
    /// A mark belongs to one call, not to a process in which several calls run.
    MarkIsOfOneCall,
    /// Keeping the tokens of a consent writes nothing if the store already holds tokens of that consent.
    KeepingIsOfOneConsent,
    /// A machine that gives up a mark of unknown fate also replaces the version that it wanted to mark.
    UnmarkingRulesOutTheMark,
}

/// Where a caller's refresh is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Call {
    /// No refresh is under way. The last one may have ended in doubt.
    Rest {
        /// The caller was told that the token is in doubt, so it may send it nevertheless.
        in_doubt: bool,
    },
    /// About to load the record.
    Load {
        /// The caller wants the token sent even if it is in doubt.
        explicit: bool,
    },
    /// Somebody else may have sent the token. About to load again or to give up.
    Wait {
        /// As in `Load`.
        explicit: bool,
    },
    /// About to mark the record.
    Mark(Mark),
    /// The store answered the mark with an error. About to load.
    CheckMark(Mark),
    /// The mark is committed. The token is on its way to the platform.
    Ask {
        /// The version of the mark.
        mark: Version,
        /// Somebody else may have sent the token before.
        doubt: bool,
    },
    /// The platform says that the grant has ended. About to remove the mark's version.
    Remove {
        /// The version of the mark.
        mark: Version,
        /// As in `Load`.
        explicit: bool,
    },
}

/// A mark that a call wants to make.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mark {
    /// The version to replace.
    pub old: Version,
    /// The version of the mark.
    pub new: Version,
    /// The replaced version is somebody else's mark.
    pub doubt: bool,
    /// As in [`Call::Load`].
    pub explicit: bool,
}

/// What a machine does in the background until the store has answered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Task {
    /// Save new tokens: replace `old`.
    Save {
        /// The version that holds the spent token, as far as known.
        old: Version,
        /// The record to write.
        new: Record,
        /// The token that was exchanged for the new ones.
        spent: Token,
    },
    /// `old` was replaced by somebody: load, and see what holds the spent token now.
    FindSpent {
        /// The record to write.
        new: Record,
        /// The token that was exchanged for the new ones.
        spent: Token,
    },
    /// The mark's fate is unknown and nothing was sent: replace the version that it was for, so that it can't come later.
    RuleOut {
        /// The version that the mark was for.
        old: Version,
        /// The version of the mark.
        mark: Version,
        /// The record to write.
        new: Record,
    },
    /// The token is provably unused: replace the mark.
    Unmark {
        /// The version of the mark.
        mark: Version,
        /// The record to write.
        new: Record,
    },
}

/// One machine.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Machine {
    /// It has not crashed.
    pub alive: bool,
    /// The refresh token of its flow.
    pub flow: Token,
    /// The refresh that a caller waits for.
    pub call: Call,
    /// What it does in the background.
    pub tasks: Vec<Task>,
    /// How many more calls it makes.
    pub calls_left: u8,
}

/// Everything, and what the properties have to know of the past.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct State {
    /// The machines.
    pub machines: Vec<Machine>,
    /// The user's record.
    pub store: Option<Record>,
    /// The platform.
    pub platform: Platform,
    /// Requests whose sender no longer waits for an answer. They may still reach the platform.
    pub late_requests: BTreeSet<Token>,
    /// Store calls whose caller saw an error. They may still take effect.
    pub late_writes: BTreeSet<Write>,
    /// How often each thing may still happen.
    pub budget: Budget,
    /// Tokens that were sent, other than explicitly, unless the sending was refused or proven unused.
    pub sent: BTreeSet<Token>,
    /// Such a token was sent again.
    pub sent_again: bool,
    /// A caller was told that consent has ended while the store held a good token.
    pub told_wrongly: bool,
    /// A record was removed while its token was good, or while a machine had new tokens to save in its place.
    pub removed_wrongly: bool,
    /// The loss of the newest consent has a cause that no protocol can help.
    pub excused: bool,
    /// The first token of the new consent, while the application tries to keep it.
    pub to_keep: Option<Token>,
    /// The version that it has found in the store, or nothing, and wants to replace.
    pub keeps_in_place_of: Option<Option<Version>>,
    /// The tokens of the new consent have been in the store.
    pub kept: bool,
    /// The application forgot the user, who has not consented again since.
    pub forgotten: bool,
}

/// How often each thing may still happen. See [`Protocol`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs)] // as in `Protocol`
pub struct Budget {
    pub explicit: u8,
    pub crashes: u8,
    pub late_writes: u8,
    pub consents: u8,
    pub forgets: u8,
    pub withdrawals: u8,
}

/// How a store call goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It takes effect, and its answer arrives.
    Done,
    /// It takes effect, and the caller sees an error.
    AnswerLost,
    /// It has no effect, and the caller sees an error.
    Failed,
    /// The caller sees an error, and the call may take effect at any later time.
    Late,
}

/// What comes of a request to the platform.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// The platform exchanges the token, or says that the grant has ended.
    Answered,
    /// The request provably did not use the token.
    Unused,
    /// No answer comes. The request may still reach the platform, now, later or never.
    Lost,
}

/// What may happen next. The first number is always the machine's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A caller finds its access token stale.
    Refresh(usize),
    /// A caller that is in doubt wants the token sent nevertheless.
    RefreshExplicitly(usize),
    /// The caller's refresh makes its next store call.
    Call(usize, Outcome),
    /// The platform's reply.
    Platform(usize, Reply),
    /// The caller gets an error: the store failed, or the token is in doubt.
    GiveUp(usize),
    /// A task in the background (the second number) makes its next store call.
    Background(usize, usize, Outcome),
    /// The machine loses all that it had in memory.
    Crash(usize),
    /// A request that nobody waits for reaches the platform.
    LateRequest(Token),
    /// A store call that nobody waits for takes effect.
    LateWrite(Write),
    /// The user consents again, and the application has new tokens to keep.
    ConsentAgain {
        /// The platform ends the earlier grant.
        ends_earlier: bool,
    },
    /// The application looks for what it may replace by the tokens of the new consent, then keeps them. After an error it
    /// tries again, at any time.
    Keep(Outcome),
    /// The application forgets the user.
    Forget,
    /// The user withdraws consent.
    Withdraw,
}

impl Protocol {
    /// `machines` machines that make `calls` calls each, and nothing else but faults of the store and the platform.
    #[must_use]
    pub fn new(machines: u8, calls: u8) -> Self {
        Self {
            machines,
            calls,
            explicit: 0,
            crashes: 0,
            late_writes: 0,
            consents: 0,
            forgets: 0,
            withdrawals: 0,
            without: None,
        }
    }

    pub(crate) fn follows(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// All machines with the same stale tokens, which are also the store's.
    #[must_use]
    pub fn start(&self) -> State {
        let machine = Machine {
            alive: true,
            flow: FIRST,
            call: Call::Rest { in_doubt: false },
            tasks: Vec::new(),
            calls_left: self.calls,
        };
        State {
            machines: vec![machine; usize::from(self.machines)],
            store: Some(Record {
                version: 0,
                token: FIRST,
                sent: false,
            }),
            platform: Platform::default(),
            late_requests: BTreeSet::new(),
            late_writes: BTreeSet::new(),
            budget: Budget {
                explicit: self.explicit,
                crashes: self.crashes,
                late_writes: self.late_writes,
                consents: self.consents,
                forgets: self.forgets,
                withdrawals: self.withdrawals,
            },
            sent: BTreeSet::new(),
            sent_again: false,
            told_wrongly: false,
            removed_wrongly: false,
            excused: false,
            to_keep: None,
            keeps_in_place_of: None,
            kept: false,
            forgotten: false,
        }
    }

    /// What may happen in this state.
    pub fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        for (i, machine) in state.machines.iter().enumerate() {
            if machine.alive {
                Self::possible_on(i, machine, state.budget, actions);
            }
        }
        actions.extend(state.late_requests.iter().copied().map(Action::LateRequest));
        actions.extend(state.late_writes.iter().copied().map(Action::LateWrite));
        if state.budget.consents > 0 {
            actions.extend([true, false].map(|ends_earlier| Action::ConsentAgain { ends_earlier }));
        }
        if state.to_keep.is_some() {
            actions.extend([Outcome::AnswerLost, Outcome::Done].map(Action::Keep));
        }
        if state.budget.forgets > 0 {
            actions.push(Action::Forget);
        }
        if state.budget.withdrawals > 0 {
            actions.push(Action::Withdraw);
        }
    }

    fn possible_on(i: usize, machine: &Machine, budget: Budget, actions: &mut Vec<Action>) {
        let outcomes: &[Outcome] = if budget.late_writes > 0 {
            &[
                Outcome::Late,
                Outcome::Failed,
                Outcome::AnswerLost,
                Outcome::Done,
            ]
        } else {
            &[Outcome::Failed, Outcome::AnswerLost, Outcome::Done]
        };
        let reads = &[Outcome::Failed, Outcome::Done];
        match machine.call {
            Call::Rest { in_doubt } => {
                if machine.calls_left > 0 {
                    actions.push(Action::Refresh(i));
                }
                if in_doubt && budget.explicit > 0 {
                    actions.push(Action::RefreshExplicitly(i));
                }
            }
            Call::Load { .. } => actions.extend(reads.map(|outcome| Action::Call(i, outcome))),
            Call::Wait { .. } | Call::CheckMark(_) => {
                actions.extend([Action::Call(i, Outcome::Done), Action::GiveUp(i)]);
            }
            Call::Mark(_) => actions.extend(outcomes.iter().map(|o| Action::Call(i, *o))),
            Call::Remove { .. } => {
                actions.extend(outcomes.iter().map(|o| Action::Call(i, *o)));
                actions.push(Action::GiveUp(i));
            }
            Call::Ask { .. } => actions.extend(
                [Reply::Answered, Reply::Unused, Reply::Lost].map(|r| Action::Platform(i, r)),
            ),
        }
        for (number, task) in machine.tasks.iter().enumerate() {
            let outcomes = match task {
                Task::FindSpent { .. } => reads,
                _ => outcomes,
            };
            actions.extend(outcomes.iter().map(|o| Action::Background(i, number, *o)));
        }
        if budget.crashes > 0 {
            actions.push(Action::Crash(i));
        }
    }

    /// The state after an action.
    #[must_use]
    pub fn after(&self, last: &State, action: Action) -> State {
        let mut state = last.clone();
        match action {
            Action::Refresh(i) => {
                state.machines[i].calls_left -= 1;
                state.machines[i].call = Call::Load { explicit: false };
            }
            Action::RefreshExplicitly(i) => {
                state.budget.explicit -= 1;
                state.machines[i].call = Call::Load { explicit: true };
            }
            Action::Call(i, outcome) => self.call(&mut state, i, outcome),
            Action::Platform(i, reply) => self.reply(&mut state, i, reply),
            Action::GiveUp(i) => self.give_up(&mut state, i),
            Action::Background(i, task, outcome) => self.task(&mut state, i, task, outcome),
            Action::Crash(i) => state.crash(i),
            Action::LateRequest(token) => {
                state.late_requests.remove(&token);
                let _ = state.platform.exchange(token);
            }
            Action::LateWrite(late) => {
                state.late_writes.remove(&late);
                state.take_effect(late);
            }
            Action::ConsentAgain { ends_earlier } => {
                state.budget.consents -= 1;
                state.to_keep = Some(state.platform.consent_again(ends_earlier));
                // Until they are kept, the new tokens are in the application's hands.
                state.excused = true;
            }
            Action::Keep(outcome) => self.keep(&mut state, outcome),
            Action::Forget => {
                state.budget.forgets -= 1;
                state.store = None;
                state.to_keep = None;
                state.keeps_in_place_of = None;
                state.forgotten = true;
                state.excused = true;
            }
            Action::Withdraw => {
                state.budget.withdrawals -= 1;
                state.platform.withdraw();
                state.excused = true;
            }
        }
        state.machines.iter_mut().for_each(|m| m.tasks.sort());
        state.renumber();
        state
    }

    fn keep(&self, state: &mut State, outcome: Outcome) {
        let Some(token) = state.to_keep else { return };
        let found = state.store.map(|record| record.version);
        let Some(replaced) = state.keeps_in_place_of.take() else {
            let is_there = state.store.is_some_and(|r| r.token.grant == token.grant);
            if !is_there || !self.follows(Rule::KeepingIsOfOneConsent) {
                state.keeps_in_place_of = Some(found);
            } else if outcome == Outcome::Done {
                state.to_keep = None;
            }
            return;
        };
        if found != replaced {
            return;
        }
        state.store = Some(Record {
            version: state.fresh(),
            token,
            sent: false,
        });
        state.excused &= state.kept || !state.platform.is_good(token);
        state.kept = true;
        state.forgotten = false;
        if outcome == Outcome::Done {
            state.to_keep = None;
        }
    }

    fn call(&self, state: &mut State, i: usize, outcome: Outcome) {
        match state.machines[i].call {
            Call::Rest { .. } | Call::Ask { .. } => {}
            Call::Load { .. } if outcome == Outcome::Failed => state.rest(i, false),
            Call::Load { explicit } | Call::Wait { explicit } => {
                self.look(state, i, explicit, None);
            }
            Call::CheckMark(mark) => self.look(state, i, mark.explicit, Some(mark)),
            Call::Mark(mark) => {
                let record = Record {
                    version: mark.new,
                    token: state.machines[i].flow,
                    sent: true,
                };
                match state.write(Write::Replace(mark.old, record), outcome) {
                    Some(true) => state.ask(i, mark.new, mark.doubt),
                    Some(false) => {
                        state.machines[i].call = Call::Load {
                            explicit: mark.explicit,
                        };
                    }
                    None => state.machines[i].call = Call::CheckMark(mark),
                }
            }
            Call::Remove { mark, explicit } => match state.write(Write::Remove(mark), outcome) {
                Some(false) if self.follows(Rule::RemovalOfNothingLooksAgain) => {
                    state.machines[i].call = Call::Load { explicit };
                }
                Some(_) => {
                    state.told_wrongly |= state
                        .store
                        .is_some_and(|record| state.platform.is_good(record.token));
                    state.rest(i, false);
                }
                None => {}
            },
        }
    }

    /// Decides by what the store holds.
    fn look(&self, state: &mut State, i: usize, explicit: bool, tried: Option<Mark>) {
        let Some(record) = state.store else {
            return state.rest(i, false);
        };
        let flow = state.machines[i].flow;
        if let Some(mark) = tried {
            let of_this_process =
                record.sent && record.token == flow && !self.follows(Rule::MarkIsOfOneCall);
            if record.version == mark.new || of_this_process {
                return state.ask(i, record.version, mark.doubt);
            }
        }
        if record.sent && !(explicit && record.token == flow) {
            state.machines[i].call = Call::Wait { explicit };
        } else if record.token != flow {
            state.machines[i].flow = record.token;
            state.rest(i, false);
        } else {
            let new = match tried {
                Some(mark) if mark.old == record.version => mark.new,
                _ => state.fresh(),
            };
            state.machines[i].call = Call::Mark(Mark {
                old: record.version,
                new,
                doubt: record.sent,
                explicit,
            });
        }
    }

    fn reply(&self, state: &mut State, i: usize, reply: Reply) {
        let token = state.machines[i].flow;
        let Call::Ask { mark, doubt } = state.machines[i].call else {
            return;
        };
        let idle = |version, token| Record {
            version,
            token,
            sent: false,
        };
        match reply {
            Reply::Answered => match state.platform.exchange(token) {
                Some(next) => {
                    let new = idle(state.fresh(), next);
                    state.machines[i].flow = next;
                    state.machines[i].tasks.push(Task::Save {
                        old: mark,
                        new,
                        spent: token,
                    });
                    state.rest(i, false);
                }
                None if doubt && self.follows(Rule::DoubtRemovesNothing) => state.rest(i, true),
                None => {
                    // A sending that is refused does not use the token.
                    if !doubt {
                        state.sent.remove(&token);
                    }
                    state.machines[i].call = Call::Remove {
                        mark,
                        explicit: doubt,
                    };
                }
            },
            Reply::Unused => {
                if !doubt {
                    state.sent.remove(&token);
                }
                if !doubt || !self.follows(Rule::DoubtIsNotUnmarked) {
                    let new = idle(state.fresh(), token);
                    state.machines[i].tasks.push(Task::Unmark { mark, new });
                }
                state.rest(i, doubt);
            }
            Reply::Lost => {
                state.late_requests.insert(token);
                state.excuse(token);
                state.rest(i, true);
            }
        }
    }

    fn give_up(&self, state: &mut State, i: usize) {
        let machine = &state.machines[i];
        match machine.call {
            Call::Wait { .. } => state.rest(i, true),
            Call::CheckMark(mark) if !mark.doubt => {
                let new = Record {
                    version: state.fresh(),
                    token: machine.flow,
                    sent: false,
                };
                let task = if self.follows(Rule::UnmarkingRulesOutTheMark) {
                    Task::RuleOut {
                        old: mark.old,
                        mark: mark.new,
                        new,
                    }
                } else {
                    Task::Unmark {
                        mark: mark.new,
                        new,
                    }
                };
                state.machines[i].tasks.push(task);
                state.rest(i, false);
            }
            _ => state.rest(i, false),
        }
    }

    fn task(&self, state: &mut State, i: usize, number: usize, outcome: Outcome) {
        let next = match state.machines[i].tasks[number] {
            Task::FindSpent { .. } if outcome == Outcome::Failed => return,
            Task::FindSpent { new, .. } if !self.follows(Rule::NothingElseIsOverwritten) => {
                state.store = Some(new);
                None
            }
            Task::FindSpent { new, spent } => state
                .store
                .filter(|record| record.token == spent)
                .map(|record| Task::Save {
                    old: record.version,
                    new,
                    spent,
                }),
            Task::Save { old, new, spent } => {
                match state.write(Write::Replace(old, new), outcome) {
                    Some(true) => None,
                    Some(false) => self
                        .follows(Rule::NewTokensReplaceWhatHoldsTheSpentOne)
                        .then_some(Task::FindSpent { new, spent }),
                    None => return,
                }
            }
            Task::RuleOut { old, mark, new } => {
                match state.write(Write::Replace(old, new), outcome) {
                    Some(true) => None,
                    Some(false) => Some(Task::Unmark { mark, new }),
                    None => return,
                }
            }
            Task::Unmark { mark, new } => match state.write(Write::Replace(mark, new), outcome) {
                Some(_) => None,
                None => return,
            },
        };
        match next {
            Some(task) => state.machines[i].tasks[number] = task,
            None => {
                state.machines[i].tasks.remove(number);
            }
        }
    }
}

impl Machine {
    /// Whether it has new tokens to save in place of this one.
    fn saves_in_place_of(&self, token: Token) -> bool {
        self.tasks.iter().any(|task| match task {
            Task::Save { spent, .. } | Task::FindSpent { spent, .. } => *spent == token,
            Task::RuleOut { .. } | Task::Unmark { .. } => false,
        })
    }
}

impl State {
    /// Carries a write out, and gives what the caller sees: the store's answer, or nothing for an error.
    fn write(&mut self, call: Write, outcome: Outcome) -> Option<bool> {
        match outcome {
            Outcome::Done => Some(self.take_effect(call)),
            Outcome::AnswerLost => {
                self.take_effect(call);
                None
            }
            Outcome::Failed => None,
            Outcome::Late => {
                self.budget.late_writes -= 1;
                self.late_writes.insert(call);
                None
            }
        }
    }

    fn take_effect(&mut self, call: Write) -> bool {
        let before = self.store;
        let success = write(&mut self.store, call);
        if let (Some(record), None) = (before, self.store) {
            self.removed_wrongly |= self.platform.is_good(record.token)
                || self
                    .machines
                    .iter()
                    .any(|m| m.saves_in_place_of(record.token));
        }
        success
    }

    fn rest(&mut self, i: usize, in_doubt: bool) {
        self.machines[i].call = Call::Rest { in_doubt };
    }

    fn ask(&mut self, i: usize, mark: Version, doubt: bool) {
        let token = self.machines[i].flow;
        if !doubt {
            self.sent_again |= !self.sent.insert(token);
        }
        self.machines[i].call = Call::Ask { mark, doubt };
    }

    /// What may happen to this token from now on is no fault of the protocol.
    fn excuse(&mut self, token: Token) {
        self.excused |= token.grant == self.platform.newest().grant;
    }

    fn crash(&mut self, i: usize) {
        self.budget.crashes -= 1;
        let machine = self.machines[i].clone();
        if let Call::Ask { .. } = machine.call {
            self.late_requests.insert(machine.flow);
        }
        if let Some(token) = self.lost_with(&machine) {
            self.excuse(token);
        }
        self.machines[i] = Machine {
            alive: false,
            flow: FIRST,
            call: Call::Rest { in_doubt: false },
            tasks: Vec::new(),
            calls_left: 0,
        };
    }

    /// The token of which a machine has a mark that it neither took back nor replaced by new tokens.
    fn lost_with(&self, machine: &Machine) -> Option<Token> {
        let record = self.store?;
        let marked = |version| {
            record.version == version
                || self
                    .late_writes
                    .iter()
                    .any(|late| matches!(late, Write::Replace(_, new) if new.version == version))
        };
        let of_call = match machine.call {
            Call::Rest { .. } | Call::Load { .. } | Call::Wait { .. } => false,
            Call::Mark(mark) | Call::CheckMark(mark) => marked(mark.new),
            Call::Ask { .. } | Call::Remove { .. } => record.token == machine.flow,
        };
        let of_task = machine.tasks.iter().any(|task| match *task {
            Task::Save { spent, .. } | Task::FindSpent { spent, .. } => record.token == spent,
            Task::RuleOut { mark, .. } | Task::Unmark { mark, .. } => marked(mark),
        });
        (of_call || of_task).then_some(record.token)
    }

    /// A version that is not in use.
    fn fresh(&self) -> Version {
        let mut copy = self.clone();
        let mut highest = 0;
        copy.each_version(&mut |version| highest = highest.max(*version));
        highest + 1
    }

    fn each_version(&mut self, visit: &mut impl FnMut(&mut Version)) {
        self.store.iter_mut().for_each(|r| visit(&mut r.version));
        if let Some(Some(version)) = &mut self.keeps_in_place_of {
            visit(version);
        }
        for machine in &mut self.machines {
            match &mut machine.call {
                Call::Rest { .. } | Call::Load { .. } | Call::Wait { .. } => {}
                Call::Mark(mark) | Call::CheckMark(mark) => {
                    visit(&mut mark.old);
                    visit(&mut mark.new);
                }
                Call::Ask { mark, .. } | Call::Remove { mark, .. } => visit(mark),
            }
            for task in &mut machine.tasks {
                match task {
                    Task::Save { old, new, .. } => {
                        visit(old);
                        visit(&mut new.version);
                    }
                    Task::FindSpent { new, .. } => visit(&mut new.version),
                    Task::RuleOut { old, mark, new } => {
                        visit(old);
                        visit(mark);
                        visit(&mut new.version);
                    }
                    Task::Unmark { mark, new } => {
                        visit(mark);
                        visit(&mut new.version);
                    }
                }
            }
        }
        let late = std::mem::take(&mut self.late_writes);
        self.late_writes = late
            .into_iter()
            .map(|mut call| {
                match &mut call {
                    Write::Replace(old, new) => {
                        visit(old);
                        visit(&mut new.version);
                    }
                    Write::Remove(old) => visit(old),
                }
                call
            })
            .collect();
    }

    /// Numbers the versions in the order in which they are found in the state. Only whether two are the same matters, so
    /// states that differ in numbers alone become one.
    pub fn renumber(&mut self) {
        let mut seen = Vec::new();
        self.each_version(&mut |version| {
            let place = seen.iter().position(|v| v == version).unwrap_or_else(|| {
                seen.push(*version);
                seen.len() - 1
            });
            *version = Version::try_from(place).unwrap_or(Version::MAX);
        });
    }

    /// No machine has anything to do until somebody calls it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.machines
            .iter()
            .all(|m| matches!(m.call, Call::Rest { .. }) && m.tasks.is_empty())
    }
}
