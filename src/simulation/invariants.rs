//! The promises, as checks: they compare the results of the calls with what the platform and the store know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use digime::error::RequestError;
use digime::{Error, Rejected};

use super::api;
use super::application::name;
use super::host::Host;
use super::machine::Machine;
use super::platform::SECRET;
use super::weather::{Dates, STORE_PATIENCE};
use super::world::{State, World};

/// How long a call that only asks the platform may take: the default of `call_timeout`.
pub(super) const CALL: Duration = Duration::from_secs(30);

/// How long a call that asks the store once may take.
pub(super) const STORE: Duration = Duration::from_secs(26);

/// How long `keep` may take: it waits for a running refresh, which waits for the platform and its keys.
pub(super) const KEEP: Duration = CALL.saturating_add(STORE);

/// How long a push may take. Each of four uploads (a session and a token may be replaced in between) has five attempts,
/// which are signed for ten seconds, may stall for a minute and a quarter, with pauses of up to a minute.
pub(super) const PUSH: Duration = Duration::from_secs(4 * 5 * (10 + 75 + 10 + 60) + 4 * 30);

/// The tolerance for rounding.
const LEEWAY: Duration = Duration::from_secs(1);

/// What is known about the calls, and the violations that were found.
#[derive(Default)]
pub(super) struct Book {
    pub violations: Vec<String>,
    pub log: Vec<String>,
    calls: BTreeMap<u64, Call>,
    begun: u64,
    /// Items whose push failed and must not have taken effect.
    not_delivered: BTreeSet<String>,
    pub calls_ended: u64,
}

struct Call {
    what: String,
    machine: u64,
    begun: Duration,
    limit: Duration,
}

/// An error of a call, alone or with the flow that was given back.
pub(super) trait Failure: Debug {
    fn error(&self) -> &Error;
}

impl Failure for Error {
    fn error(&self) -> &Error {
        self
    }
}

impl<F> Failure for Rejected<F> {
    fn error(&self) -> &Error {
        self.error()
    }
}

impl Machine {
    /// Makes a call of the library, and checks how long it takes and what its error says.
    pub(super) fn call<'a, T, E: Failure>(
        &'a self,
        what: impl Into<String>,
        limit: Duration,
        call: impl Future<Output = Result<T, E>> + 'a,
    ) -> Pin<Box<impl Future<Output = Result<T, E>> + 'a>> {
        let call = Box::pin(call);
        let what = what.into();
        Box::pin(async move {
            let begun = self.world.elapsed();
            let not_connected = self.host.not_connected.load(Relaxed);
            let running = Running::begin(&self.world, &self.host, what, limit);
            let result = call.await;
            let outcome = match &result {
                Ok(_) => "ok".to_owned(),
                Err(failure) => {
                    self.judge(failure, begun, not_connected);
                    failure.error().report().to_string()
                }
            };
            running.end(&outcome);
            result
        })
    }

    fn judge(&self, failure: &impl Failure, begun: Duration, not_connected: u64) {
        let text = failure.error().report().to_string();
        let debug = format!("{failure:?}");
        self.world.check_text(&text);
        self.world.check_text(&debug);
        let error = failure.error();
        if matches!(error, Error::Internal(_) | Error::Suspended(_)) {
            self.world
                .violation(format!("5: an impossible error: {debug}"));
        }
        self.check_reason(error, &text, begun, not_connected);
    }

    fn check_reason(&self, error: &Error, text: &str, begun: Duration, not_connected: u64) {
        let wrong = |why: &str| {
            self.world
                .violation(format!("5: {:?}: {why}: {text}", self.host));
        };
        let reason = error.reason();
        let is_not_sent = matches!(reason, Error::Request(RequestError::NotSent { .. }));
        if is_not_sent != reason.to_string().contains("was not reached") {
            wrong("it says that the platform was not reached, or fails to");
        }
        // A renewal that another call began may have met the fault before this call began.
        let is_new = begun.is_zero() || self.host.not_connected.load(Relaxed) > not_connected;
        if is_not_sent && !is_new && self.host.not_connected.load(Relaxed) == 0 {
            wrong("no connection had failed");
        }
        let ahead = self.host.set_up.clock_ahead;
        match reason {
            Error::Request(RequestError::Malformed { .. } | RequestError::Unsendable { .. }) => {
                wrong("the platform sent nothing of that kind");
            }
            Error::Request(RequestError::Refused { refusal, .. })
                if refusal.code == "InvalidJWT" && ahead.unsigned_abs() > 300_000 =>
            {
                let direction = if ahead > 0 { "ahead of" } else { "behind" };
                let is_dated = self.world.lock().weather.dates == Dates::Right;
                if !text.contains("clock") || is_dated && !text.contains(direction) {
                    wrong("it does not lead to the clock");
                }
            }
            _ => {}
        }
    }
}

/// A call that is recorded until it ends or is dropped.
struct Running<'a> {
    world: &'a World,
    host: &'a Host,
    id: u64,
}

impl<'a> Running<'a> {
    fn begin(world: &'a World, host: &'a Host, what: String, limit: Duration) -> Self {
        world.log(format!("{host:?} {what}"));
        let begun = world.elapsed();
        let mut state = world.lock();
        let book = &mut state.book;
        book.begun += 1;
        let limit = limit + LEEWAY;
        let id = book.begun;
        if host.is_dead() {
            return Self { world, host, id };
        }
        book.calls.insert(
            id,
            Call {
                what,
                machine: host.id,
                begun,
                limit,
            },
        );
        Self { world, host, id }
    }

    fn end(&self, outcome: &str) {
        let what = self.close();
        self.world
            .log(format!("{:?} {what} -> {outcome}", self.host));
    }

    fn close(&self) -> String {
        let now = self.world.elapsed();
        let paused = self.host.paused_for();
        let mut state = self.world.lock();
        let Some(call) = state.book.calls.remove(&self.id) else {
            return String::new();
        };
        state.book.calls_ended += 1;
        if !self.host.is_dead() {
            state.book.check_limit(&call, now, paused);
        }
        call.what
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let what = self.close();
        if !what.is_empty() {
            self.world.log(format!("{:?} {what} dropped", self.host));
        }
    }
}

impl Book {
    fn check_limit(&mut self, call: &Call, now: Duration, paused: Duration) {
        let took = now.saturating_sub(call.begun);
        // A call that waits for the store is delayed by the machine's pauses, which do not count.
        if took > call.limit + paused {
            self.violations.push(format!(
                "4: m{} {} takes {took:?}, its limit is {:?}",
                call.machine, call.what, call.limit
            ));
        }
    }

    /// Removes the calls of a machine that has died.
    pub(super) fn forget_calls_of(&mut self, machine: u64) {
        self.calls.retain(|_, call| call.machine != machine);
    }

    /// Checks the calls that are running.
    pub(super) fn check_running(&mut self, now: Duration, paused: impl Fn(u64) -> Duration) {
        let overdue: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| now.saturating_sub(call.begun) > call.limit + paused(call.machine))
            .map(|(id, _)| *id)
            .collect();
        for id in overdue {
            if let Some(call) = self.calls.remove(&id) {
                self.violations.push(format!(
                    "4: m{} {} has not ended since {:?}, its limit is {:?}",
                    call.machine, call.what, call.begun, call.limit
                ));
            }
        }
    }

    pub(super) fn are_calls_running(&self) -> bool {
        !self.calls.is_empty()
    }
}

impl World {
    /// Promise 6.
    pub(super) fn check_text(&self, text: &str) {
        let state = self.lock();
        let has_secret = text.contains(SECRET)
            || text.contains("eyJhbGci")
            || state
                .platform
                .verifiers
                .iter()
                .any(|verifier| text.contains(verifier));
        drop(state);
        if has_secret {
            self.violation(format!("6: a secret is in a message: {text}"));
        }
    }

    /// Promise 2, for a push that has ended.
    pub(super) fn check_push<T: Debug>(
        &self,
        item: &str,
        result: &Result<T, Error>,
        is_delivered: bool,
    ) {
        let mut state = self.lock();
        let times = state.platform.inbox.get(item).copied().unwrap_or_default();
        let is_confirmed = state.platform.confirmed.contains(item);
        let mut wrong = Vec::new();
        match result {
            Ok(_) if is_delivered && times == 0 => {
                wrong.push(format!("2: {item} is said to be delivered and is not"));
            }
            Ok(_) => {}
            Err(error) => {
                if is_confirmed {
                    wrong.push(format!(
                        "2: {item} was confirmed, and its push says: {error}"
                    ));
                }
                if !error.may_have_taken_effect() {
                    if times > 0 {
                        wrong.push(format!(
                            "2: {item} was delivered, and its push says that it was not: {error}"
                        ));
                    }
                    state.book.not_delivered.insert(item.to_owned());
                }
            }
        }
        drop(state);
        for wrong in wrong {
            self.violation(wrong);
        }
    }

    /// Promise 2, for an exchange that has failed.
    pub(super) fn check_exchange(&self, machine: u64, code: &str, error: &Error) {
        let (is_spent, has_left) = {
            let platform = &self.lock().platform;
            (
                platform.is_spent_by_one_call(code, machine),
                platform.has_left(code),
            )
        };
        if error.may_have_taken_effect() && !has_left {
            self.violation(format!(
                "2: {code} never left a machine, and its exchange says: {error}"
            ));
        }
        let says_that_it_was_sent = matches!(error, Error::Request(_) | Error::Extension(_));
        if is_spent && says_that_it_was_sent && !error.may_have_taken_effect() {
            self.violation(format!(
                "2: {code} is spent, and its exchange says: {error}"
            ));
        }
    }

    /// Checks what must hold at any time.
    pub(super) fn check(&self, paused: impl Fn(u64) -> Duration) {
        let now = self.elapsed();
        for text in self.texts.take() {
            self.check_text(&text);
        }
        let mut state = self.lock();
        state.book.check_running(now, paused);
        let found = std::mem::take(&mut state.platform.violations);
        let late: Vec<String> = state
            .book
            .not_delivered
            .iter()
            .filter(|item| state.platform.inbox.contains_key(*item))
            .map(|item| format!("2: {item} was delivered after its push said that it was not"))
            .collect();
        state.book.violations.extend(found);
        state.book.violations.extend(late);
        let wrong = state.wrong_records();
        state.book.violations.extend(wrong);
    }
}

impl State {
    /// What is wrong with the store: records with the tokens of others, and records that have lost the application's data.
    fn wrong_records(&mut self) -> Vec<String> {
        let mut wrong = api::wrong_records(self);
        for (key, record) in self.records.all() {
            let grant = self.platform.grant_in(&record);
            let owner = grant.map(|grant| self.platform.grants[grant].user);
            if owner.is_some_and(|owner| !key.ends_with(&format!(" {}", name(owner)))) {
                wrong.push(format!(
                    "two users were mixed up: {key} has another's tokens"
                ));
            }
        }
        let bared = std::mem::take(&mut self.records.bared);
        wrong.extend(
            bared
                .iter()
                .map(|key| format!("3: {key} has lost its data")),
        );
        self.records.removed.clear();
        wrong
    }
}

/// A limit for a call that asks the store more than once.
pub(super) fn store_calls(number: u32) -> Duration {
    (STORE_PATIENCE + Duration::from_secs(5)) * number + Duration::from_secs(2)
}
