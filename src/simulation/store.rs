//! The store that all machines share, as each of them reaches it: late, or not at all, or without an answer that says
//! whether the call was executed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use digime::error::StoreError;
use digime::store::{FlowRecord, FlowStore, Found, TokenRecord, TokenStore, async_trait};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::host::Host;
use super::weather::{STORE_PATIENCE, StoreFault};
use super::world::World;

/// What the store holds.
#[derive(Default)]
pub(super) struct Records {
    /// Flows never expire here, so that nothing is lost by time alone. How long they were parked for is checked.
    flows: BTreeMap<String, Parking>,
    kept: BTreeMap<String, Entry>,
    /// Records that a machine has tried to save, and does not know to be in the store, by their versions.
    pub unsure: BTreeMap<String, TokenRecord>,
    /// The keys of records that were removed since the last check.
    pub removed: Vec<String>,
    /// The keys of records whose data was lost since the last check.
    pub bared: Vec<String>,
}

struct Parking {
    parked: FlowRecord,
    /// When it expires, as the parking said.
    ends: Instant,
    /// Who has taken it, and the note.
    claim: Option<(String, Option<String>)>,
}

struct Entry {
    kept: TokenRecord,
    lease: Option<(String, Instant)>,
}

impl Records {
    /// Whether a token is in the store.
    pub(super) fn hold(&self, token: &str) -> bool {
        let quoted = format!("\"{token}\"");
        self.kept
            .values()
            .any(|entry| entry.kept.record.contains(&quoted))
    }

    /// The record of a user.
    pub(super) fn of(&self, user: &str) -> Option<&str> {
        let name = format!(" {user}");
        let mut records = self.kept.iter();
        records
            .find(|(key, _)| key.ends_with(&name))
            .map(|(_, entry)| entry.kept.record.as_str())
    }

    /// The users' keys, and their records as JSON.
    pub(super) fn all(&self) -> Vec<(String, Value)> {
        let read = |entry: &Entry| serde_json::from_str(&entry.kept.record).unwrap_or_default();
        let kept = self.kept.iter();
        kept.map(|(key, entry)| (key.clone(), read(entry)))
            .collect()
    }

    /// Whether a flow waits for the callback with a `state`, or what it brought is noted.
    pub(super) fn wait_for(&self, state: &str) -> bool {
        let name = format!(" {state}");
        self.flows
            .iter()
            .any(|(key, parking)| key.ends_with(&name) && !matches!(parking.claim, Some((_, None))))
    }

    /// For how long the flow that waits for a `state` stays parked.
    pub(super) fn time_left(&self, state: &str) -> Option<Duration> {
        let name = format!(" {state}");
        let mut flows = self.flows.iter();
        let (_, parking) = flows.find(|(key, _)| key.ends_with(&name))?;
        Some(parking.ends.saturating_duration_since(Instant::now()))
    }

    fn replace(&mut self, user: String, kept: TokenRecord) {
        let has_data = |record: &str| {
            let record: Value = serde_json::from_str(record).unwrap_or_default();
            !record["user_data"].is_null()
        };
        let before = self.kept.get(&user);
        if before.is_some_and(|it| has_data(&it.kept.record)) && !has_data(&kept.record) {
            self.bared.push(user.clone());
        }
        self.kept.insert(user, Entry { kept, lease: None });
    }

    fn put(&mut self, key: String, parked: FlowRecord) {
        if self
            .flows
            .get(&key)
            .is_none_or(|it| it.parked.id != parked.id)
        {
            let parking = Parking {
                ends: Instant::now() + parked.expires_in,
                parked,
                claim: None,
            };
            self.flows.insert(key, parking);
        }
    }

    fn take(&mut self, key: &str, claim: &str) -> Option<String> {
        let parking = self.flows.get_mut(key)?;
        let (holder, _) = parking
            .claim
            .get_or_insert_with(|| (claim.to_owned(), None));
        (holder == claim).then(|| parking.parked.record.clone())
    }

    fn taken_by(&mut self, key: &str, claim: &str) -> Option<&mut Parking> {
        let parking = self.flows.get_mut(key)?;
        let (holder, _) = parking.claim.as_ref()?;
        (holder == claim).then_some(parking)
    }
}

/// The store, as a machine reaches it.
#[derive(Clone)]
pub(super) struct Store {
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

    /// Asks the store. The call continues when this future is dropped, as in a database.
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
        let (fault, there, back) = self.world.lock().weather.store_fault(what);
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
            if acts {
                host.has_acted(what);
            }
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

fn brief(result: &impl fmt::Debug) -> String {
    format!("{result:?}").chars().take(11).collect()
}

#[async_trait]
impl FlowStore for Store {
    async fn put(&self, key: &str, parked: &FlowRecord) -> Result<(), StoreError> {
        self.world
            .log(format!("{:?} puts {}", self.host, self.link(key)));
        let (key, parked) = (key.to_owned(), parked.clone());
        self.ask("put", move |records| records.put(key, parked))
            .await
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let key = key.to_owned();
        self.ask("peek", move |records| {
            let parking = records.flows.get(&key)?;
            Some(match &parking.claim {
                None => Found::Waiting(parking.parked.record.clone()),
                Some((_, note)) => Found::Taken(note.clone()),
            })
        })
        .await
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        let [key, claim] = [key, claim].map(str::to_owned);
        let link = self.link(&key);
        let taken = self
            .ask("take", move |records| records.take(&key, &claim))
            .await;
        if let Ok(Some(_)) = &taken {
            self.world.log(format!("{:?} has taken {link}", self.host));
        }
        taken
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        self.world
            .log(format!("{:?} puts {} back", self.host, self.link(key)));
        let [key, claim] = [key, claim].map(str::to_owned);
        self.ask("put back", move |records| {
            if let Some(parking) = records.taken_by(&key, &claim) {
                parking.claim.take_if(|(_, note)| note.is_none());
            }
        })
        .await
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        let [key, claim, note] = [key, claim, note].map(str::to_owned);
        self.ask("leave note", move |records| {
            if let Some(parking) = records.taken_by(&key, &claim) {
                parking.claim = Some((claim, Some(note)));
            }
        })
        .await
    }
}

#[async_trait]
impl TokenStore for Store {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        let user = user.to_owned();
        self.ask("load", move |records| {
            records.kept.get(&user).map(|entry| entry.kept.clone())
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
            let is_held = entry
                .lease
                .as_ref()
                .is_some_and(|(held_by, until)| *until > now && *held_by != holder);
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

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        kept: &TokenRecord,
    ) -> Result<bool, StoreError> {
        let (user, version) = (user.to_owned(), version.map(str::to_owned));
        let (kept, of_kept) = (kept.clone(), kept.version.clone());
        let unsure = (of_kept.clone(), kept.clone());
        self.world.lock().records.unsure.extend([unsure]);
        let replacing = self.ask("replace", move |records| {
            let found = records.kept.get(&user).map(|entry| &entry.kept.version);
            if found == Some(&kept.version) {
                return true;
            }
            let fits = found == version.as_ref();
            if fits {
                records.replace(user, kept);
            }
            fits
        });
        let replaced = replacing.await?;
        self.world.lock().records.unsure.remove(&of_kept);
        Ok(replaced)
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        let [user, version] = [user, version].map(str::to_owned);
        self.ask("remove", move |records| {
            let found = records.kept.get(&user);
            let fits = found.is_some_and(|entry| entry.kept.version == version);
            if fits {
                records.kept.remove(&user);
                records.removed.push(user);
            }
            fits
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.unwrap_or_default().to_owned());
        self.ask("list", move |records| {
            let mut listed: Vec<_> = records
                .kept
                .iter()
                .filter(|(user, _)| user.starts_with(&prefix) && **user > after)
                .map(|(user, entry)| (user.clone(), entry.kept.clone()))
                .collect();
            listed.sort_by(|(one, _), (other, _)| one.cmp(other));
            listed.truncate(limit);
            listed
        })
        .await
    }
}
