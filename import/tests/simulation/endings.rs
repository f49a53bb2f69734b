//! The application ends a connection: it deletes what the person has at the platform, and then what the store has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use digime::Error;
use digime_import::ConnectionEnd;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::api;
use super::application::{Drop, name};
use super::invariants::{CALL, store_calls};
use super::machine::Machine;
use super::world::State;

/// Why the store may get tokens of somebody whose data was deleted: they were on their way to the store, or a machine that has
/// brought them there may not know it.
const UNSAVED: &str = "it was deleted before its tokens were saved";

/// The tokens were in the store when somebody's data was deleted.
const SAVED: &str = "it was deleted";

/// What is noted of the ends of connections.
#[derive(Default)]
pub(super) struct Notes {
    /// The consents that were in the store when the ends of their users' connections began.
    ending: BTreeMap<usize, usize>,
}

/// How long the end of a connection may take: it asks the store four times, and the platform for new tokens
/// and twice to delete, and all that twice.
fn limit() -> Duration {
    store_calls(4) + CALL * 8
}

impl Machine {
    /// The application ends the connection, and tries again if that fails.
    pub(super) async fn end_connection(self: Arc<Self>, user: usize, drop: Drop) {
        let is_sound = self.is_sound(user);
        self.world.lock().users.all[user].is_forgotten = true;
        let customer = name(user);
        for _ in 0..3 {
            let before = self.exchanges(user);
            self.begin_the_end(user);
            let (tokens, contract, client) = (&self.tokens, &self.contract, &self.client);
            let ending = digime_import::end_connection(tokens, &customer, contract, client);
            let what = format!("end the connection of {customer}, {drop:?}");
            match drop.apply(self.call(what, limit(), ending)).await {
                Some(Ok(end)) => return self.has_ended(user, end, before, is_sound),
                Some(Err(_)) => self.check_remembered(user, is_sound),
                None => return,
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn begin_the_end(&self, user: usize) {
        let mut state = self.world.lock();
        // It sends a refresh token that may be spent.
        state.users.refreshes[user] += 1;
        let record = state.records.of(&name(user)).unwrap_or_default();
        let record = serde_json::from_str(record).unwrap_or_default();
        match state.platform.grant_in(&record) {
            Some(grant) => state.notes.ending.insert(user, grant),
            None => state.notes.ending.remove(&user),
        };
    }

    /// Whether nothing has happened to a user that lets the application and the store differ about the consent.
    fn is_sound(&self, user: usize) -> bool {
        let state = self.world.lock();
        let known = &state.users.all[user];
        let record = state.records.of(&name(user)).unwrap_or_default();
        let is_known = !known.is_forgotten
            && !known.is_muddled
            && !record.is_empty()
            && !record.contains(r#""sent""#);
        std::mem::drop(state);
        is_known && self.has_lost_nothing(user)
    }

    /// Whether a user has one consent, all whose tokens have reached the application.
    fn has_lost_nothing(&self, user: usize) -> bool {
        let platform = &self.world.lock().platform;
        let mut own = platform.grants.iter().filter(|grant| grant.user == user);
        platform.grants_of(user) == 1
            && own.all(|grant| grant.excuse.is_none())
            && !platform.has_lost_a_refresh(user)
    }

    /// Checks that nobody was forgotten who may still have data at the platform.
    fn check_remembered(&self, user: usize, is_sound: bool) {
        let now = self.world.millis();
        let state = self.world.lock();
        let mut own = state.platform.grants.iter();
        let is_forgotten = state.records.of(&name(user)).is_none()
            && own.any(|grant| grant.user == user && !grant.has_ended(now));
        std::mem::drop(state);
        if is_sound && is_forgotten && self.has_lost_nothing(user) {
            let user = name(user);
            self.world
                .violation(format!("7: {user} was forgotten and not deleted"));
        }
    }

    /// Checks that nothing is pushed for somebody whose connection is ending, and ends it.
    pub(super) async fn end_at_last(self: &Arc<Self>, user: usize) {
        if !self.is_ending(user) {
            return;
        }
        if let Some(flow) = self.found(user).await {
            let item = self.item();
            let pushed = api::push(&flow, api::item(&item, 100, user)).await;
            if !matches!(pushed, Err(Error::ConsentEnded { .. })) {
                self.lost(
                    user,
                    &format!("its end has begun, and a push says {pushed:?}"),
                );
            }
        }
        self.clone().end_connection(user, Drop::Never).await;
        if self.is_ending(user) {
            self.lost(user, "its end has begun, and does not come");
        }
    }

    fn is_ending(&self, user: usize) -> bool {
        let state = self.world.lock();
        let end = format!(" {}", name(user));
        let mut records = state.records.all().into_iter();
        let record = records.find(|(key, _)| key.ends_with(&end));
        record.is_some_and(|(_, record)| record["state_data"]["is_ending"] == true)
    }

    /// Checks what is said of the end of a connection.
    fn has_ended(
        &self,
        user: usize,
        end: ConnectionEnd,
        before: (usize, usize, usize),
        is_sound: bool,
    ) {
        let is_sound = is_sound && self.has_lost_nothing(user);
        let after = self.exchanges(user);
        let now = self.world.millis();
        let mut state = self.world.lock();
        let mut own = state.platform.grants.iter();
        let is_wrong = match end {
            ConnectionEnd::Deleted => !own.any(|grant| grant.user == user && grant.is_deleted),
            ConnectionEnd::WasOver => {
                is_sound && own.any(|grant| grant.user == user && !grant.has_ended(now))
            }
            _ => false,
        };
        let known = &mut state.users.all[user];
        let is_alone = before == after && after.0 == 0 && !known.has_dropped_a_callback;
        known.forgotten_for_good = is_alone.then_some(after.1);
        std::mem::drop(state);
        if is_wrong {
            let user = name(user);
            self.world
                .violation(format!("2: the end of {user} is said to be {end:?}"));
        }
    }

    /// A machine is paused during a refresh for so long that another ends the connection. It has its new tokens while the other
    /// has noted that the connection is ending, and has not deleted anything.
    pub(super) async fn be_overtaken_by_the_end(
        self: Arc<Self>,
        other: Arc<Self>,
        user: usize,
        mut rng: StdRng,
    ) {
        if self.flow_of(user, false).await.is_none() {
            return;
        }
        tokio::spawn(self.clone().refresh(user, Drop::Never));
        if rng.random_bool(0.8) {
            self.host.pause_at(Some("lease"));
        } else {
            sleep(Duration::from_millis(rng.random_range(10..70))).await;
            self.host.pause();
        }
        sleep(Duration::from_secs(rng.random_range(62..100))).await;
        self.host.pause_at(None);
        other.host.pause_at(Some("replace"));
        tokio::spawn(other.clone().end_connection(user, Drop::Never));
        sleep(Duration::from_secs(rng.random_range(3..8))).await;
        self.host.resume();
        self.world.log(format!("{:?} resumes", self.host));
        sleep(Duration::from_secs(rng.random_range(0..3))).await;
        other.host.pause_at(None);
        other.host.resume();
        self.world.log(format!("{:?} resumes", other.host));
    }
}

/// Looks at the store whenever a request has arrived at the platform, which may have deleted somebody.
pub(super) fn has_arrived(state: &mut State) {
    let records = state.records.all();
    let platform = &mut state.platform;
    let saved: Vec<usize> = records
        .iter()
        .filter_map(|(_, record)| platform.grant_in(record))
        .collect();
    let unsure: Vec<usize> = state
        .records
        .unsure
        .values()
        .filter_map(|kept| platform.grant_in(&serde_json::from_str(&kept.record).ok()?))
        .collect();
    let grants = platform.grants.iter_mut().enumerate();
    for (number, grant) in grants.filter(|(_, grant)| grant.is_deleted) {
        let is_ending = state.notes.ending.get(&grant.user) == Some(&number);
        let is_known = is_ending && !unsure.contains(&number);
        if !saved.contains(&number) || (grant.excuse != Some(SAVED) && !is_known) {
            grant.excuse = Some(UNSAVED);
        } else if grant.excuse != Some(UNSAVED) {
            grant.excuse = Some(SAVED);
        }
    }
    let wrong = state.lying_records();
    state.book.violations.extend(wrong);
}

impl State {
    /// Records that say that somebody is connected whose data is gone.
    pub(super) fn lying_records(&self) -> Vec<String> {
        let lies = |(key, record): (String, serde_json::Value)| {
            let grant = &self.platform.grants[self.platform.grant_in(&record)?];
            let is_ending = record["state_data"]["is_ending"] == true;
            let lies = grant.is_deleted && grant.excuse != Some(UNSAVED) && !is_ending;
            lies.then(|| format!("7: {key} is connected in the store, and was deleted"))
        };
        self.records.all().into_iter().filter_map(lies).collect()
    }

    /// Records that were removed although the consent may be renewed.
    pub(super) fn lost_records(&self) -> Vec<String> {
        let known = self.users.all.iter().enumerate();
        let kept = known.filter(|(_, user)| !user.is_forgotten);
        let is_removed = |number: usize| {
            let end = format!(" {}", name(number));
            self.records.removed.iter().any(|key| key.ends_with(&end))
        };
        kept.filter(|(number, _)| is_removed(*number))
            .map(|(number, _)| format!("7: the record of {} was removed", name(number)))
            .collect()
    }
}
