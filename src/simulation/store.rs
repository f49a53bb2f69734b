//! The store that all machines share, as each of them reaches it: late, or not at all, or so that it can't be said whether
//! it did what it was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::World;
use super::machine::Host;
use super::weather::{STORE_PATIENCE, StoreFault};
use crate::store::{FlowStore, Kept, Parked, StoreError, TokenStore};

/// What the store holds.
#[derive(Default)]
pub struct Records {
    /// Flows that wait. They never expire here: sessions do, and the model of the platform decides about them.
    parked: BTreeMap<String, Parked>,
    /// Keys at which a call of `put` failed although it took effect, with the machine that made it.
    put_unknown: BTreeSet<(u64, String)>,
    /// Keys at which a late call of `put` undid what others had done.
    pub undone: BTreeSet<String>,
    kept: BTreeMap<String, Entry>,
}

struct Entry {
    kept: Kept,
    lease: Option<(String, Instant)>,
}

impl Records {
    /// Whether a token is in the store.
    pub fn hold(&self, token: &str) -> bool {
        let quoted = format!("\"{token}\"");
        self.kept
            .values()
            .any(|entry| entry.kept.record.contains(&quoted))
    }

    /// The record of a user.
    pub fn of(&self, user: &str) -> Option<&str> {
        let name = format!(" {user}");
        let mut records = self.kept.iter();
        records
            .find(|(key, _)| key.ends_with(&name))
            .map(|(_, entry)| entry.kept.record.as_str())
    }

    fn put(&mut self, machine: u64, key: String, parked: Parked) {
        let before = self.parked.get(&key);
        let overwrites = before.is_some_and(|before| before.record != parked.record);
        if overwrites || self.put_unknown.contains(&(machine, key.clone())) {
            self.undone.insert(key.clone());
        }
        self.parked.insert(key, parked);
    }

    /// Whether a late `put` has undone something of a flow.
    pub fn is_undone(&self, state: &str) -> bool {
        self.undone.iter().any(|key| key.ends_with(state))
    }

    /// Whether a flow waits for the callback with a `state`, or what it brought is noted.
    pub fn wait_for(&self, state: &str) -> bool {
        let name = format!(" {state}");
        self.parked
            .iter()
            .any(|(key, parked)| key.ends_with(&name) && !parked.record.contains("exchanging"))
    }
}

/// Notes a `put` whose outcome its caller never learns, also if the caller gives it up.
struct UnknownPut<'a> {
    world: &'a World,
    put: Option<(u64, String)>,
}

impl Drop for UnknownPut<'_> {
    fn drop(&mut self) {
        if let Some(put) = self.put.take() {
            self.world.lock().records.put_unknown.insert(put);
        }
    }
}

/// The store, as a machine reaches it.
#[derive(Clone)]
pub struct Store {
    pub world: Arc<World>,
    pub host: Arc<Host>,
}

impl Store {
    /// The link whose flow has a key, for the log.
    fn link(&self, key: &str) -> String {
        let state = self.world.lock();
        let mut links = state.users.links.iter();
        match links.position(|link| key.ends_with(&link.state)) {
            Some(number) => format!("link {number}"),
            None => "a new link".to_owned(),
        }
    }

    /// Asks the store. What was asked goes on when this future is dropped, as it does in a database.
    async fn ask<T: fmt::Debug + Send + 'static>(
        &self,
        what: &'static str,
        effect: impl FnOnce(&mut Records) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.host.runs().await;
        if self.host.is_cut_from_store() || self.world.lock().weather.store_is_away {
            sleep(Duration::from_millis(50)).await;
            self.host.runs().await;
            return Err(StoreError::failed("the store is away"));
        }
        // A store whose `take` fails after it took has lost the flow, whoever asked it.
        let can_fail_after = what != "take";
        let (fault, there, back) = self.world.lock().weather.store_fault(can_fail_after);
        let (answer, answered) = oneshot::channel();
        let (world, host) = (self.world.clone(), self.host.clone());
        tokio::spawn(async move {
            sleep(there).await;
            let acts = !matches!(
                fault,
                StoreFault::FailsBefore | StoreFault::Hangs { acts: false }
            );
            let result = acts.then(|| effect(&mut world.lock().records));
            world.log(format!(
                "{host:?} store {what} {fault:?} {}",
                brief(&result)
            ));
            if host.is_dead() {
                world.machine_is_gone(&host);
            }
            if matches!(fault, StoreFault::Hangs { .. }) {
                sleep(STORE_PATIENCE.saturating_sub(there)).await;
            }
            sleep(back).await;
            let fails = fault != StoreFault::None;
            let _ = answer.send(result.filter(|_| !fails));
        });
        let result = answered.await.ok().flatten();
        self.host.runs().await;
        result.ok_or_else(|| StoreError::failed("the store failed"))
    }
}

/// What is parked.
fn kind(record: &str) -> &'static str {
    if record.contains("exchanging") {
        "mark of an exchange"
    } else if record.contains("connected") {
        "mark of a connection"
    } else {
        "flow"
    }
}

fn brief(result: &impl fmt::Debug) -> String {
    format!("{result:?}").chars().take(11).collect()
}

impl FlowStore for Store {
    async fn put(&self, key: &str, parked: Parked) -> Result<(), StoreError> {
        let (key, kind) = (key.to_owned(), kind(&parked.record));
        self.world
            .log(format!("{:?} puts {} {kind}", self.host, self.link(&key)));
        let machine = self.host.id;
        let put = {
            let key = key.clone();
            move |records: &mut Records| records.put(machine, key, parked)
        };
        let mut unknown = UnknownPut {
            world: &self.world,
            put: Some((machine, key)),
        };
        let result = self.ask("put", put).await;
        if result.is_ok() {
            unknown.put = None;
        }
        result
    }

    async fn peek(&self, key: &str) -> Result<Option<String>, StoreError> {
        let key = key.to_owned();
        self.ask("peek", move |records| {
            let parked = records.parked.get(&key)?;
            Some(parked.record.clone())
        })
        .await
    }

    async fn take(&self, key: &str) -> Result<Option<Parked>, StoreError> {
        let key = key.to_owned();
        let link = self.link(&key);
        let taken = self
            .ask("take", move |records| records.parked.remove(&key))
            .await;
        if let Ok(Some(parked)) = &taken {
            let kind = kind(&parked.record);
            self.world
                .log(format!("{:?} has taken {link} {kind}", self.host));
        }
        taken
    }
}

impl TokenStore for Store {
    async fn load(&self, user: &str) -> Result<Option<Kept>, StoreError> {
        let user = user.to_owned();
        self.ask("load", move |records| {
            records.kept.get(&user).map(|entry| entry.kept.clone())
        })
        .await
    }

    async fn save(&self, user: &str, kept: &Kept) -> Result<(), StoreError> {
        let (user, kept) = (user.to_owned(), kept.clone());
        self.ask("save", move |records| {
            records.kept.insert(user, Entry { kept, lease: None });
        })
        .await
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        let [user, version, holder] = [user, version, holder].map(str::to_owned);
        self.ask("lease", move |records| {
            let now = Instant::now();
            let Some(entry) = records.kept.get_mut(&user) else {
                return false;
            };
            let is_held = entry.lease.as_ref().is_some_and(|(_, until)| *until > now);
            if is_held || entry.kept.version != version {
                return false;
            }
            entry.lease = Some((holder, now + duration));
            true
        })
        .await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        let [user, holder] = [user, holder].map(str::to_owned);
        self.ask("release", move |records| {
            if let Some(entry) = records.kept.get_mut(&user) {
                entry.lease.take_if(|(held_by, _)| *held_by == holder);
            }
        })
        .await
    }

    async fn replace(&self, user: &str, version: &str, kept: &Kept) -> Result<bool, StoreError> {
        let [user, version] = [user, version].map(str::to_owned);
        let kept = kept.clone();
        self.ask("replace", move |records| {
            let entry = records.kept.get_mut(&user);
            let entry = entry.filter(|entry| entry.kept.version == version);
            let fits = entry.is_some();
            if let Some(entry) = entry {
                *entry = Entry { kept, lease: None };
            }
            fits
        })
        .await
    }

    async fn remove(&self, user: &str, version: Option<&str>) -> Result<bool, StoreError> {
        let (user, version) = (user.to_owned(), version.map(str::to_owned));
        self.ask("remove", move |records| {
            let fits = records.kept.get(&user).is_some_and(|entry| {
                version
                    .as_ref()
                    .is_none_or(|version| entry.kept.version == *version)
            });
            if fits {
                records.kept.remove(&user);
            }
            fits
        })
        .await
    }
}
