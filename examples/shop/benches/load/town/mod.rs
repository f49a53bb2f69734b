//! A town whose people all connect at once, and buy, while one of the shop's two machines is killed again and again.

mod checks;
mod machine;
mod person;
mod premises;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use digime_outbox::Outbox;
use digime_sandbox::{Endpoint, Sandbox};
use rand::seq::SliceRandom;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

pub use machine::Usage;
pub use person::Seen;

use machine::Machine;
use person::Person;
use premises::SHOPS;

/// How many people come one after another, before the others.
const FIRST: usize = 10;

/// The platform and the people, and what they share.
pub struct Town {
    pub sandbox: Sandbox,
    addresses: [SocketAddr; 2],
    http: reqwest::Client,
    pub seen: Seen,
}

/// A run of it.
pub struct Run {
    pub town: Arc<Town>,
    people: Vec<Arc<Person>>,
    first: Machine,
    /// The one that is killed.
    second: Arc<Mutex<Machine>>,
    database: PgPool,
    outbox: Outbox,
    tenants: Vec<shop::tenant::Tenant>,
    _folder: TempDir,
}

/// How long people took, who all began at once.
pub struct Stage {
    pub people: usize,
    /// Until 95 % of them were done.
    pub most: Duration,
    pub all: Duration,
    /// How many were done when a machine was killed.
    pub kills: Vec<u64>,
}

/// How long it took to order, and until the receipts arrived. All times are since the first order.
pub struct Pushing {
    pub ordered: Duration,
    /// Until 95 % of the receipts had arrived.
    pub most_arrived: Duration,
    pub all_arrived: Duration,
    /// How many pushes had reached the platform when a machine was killed.
    pub kills: Vec<u64>,
}

impl Run {
    /// `None` if there is no PostgreSQL.
    pub async fn start(people: usize) -> Option<Self> {
        let server = std::env::var("DIGIME_TEST_POSTGRES").ok()?;
        let database = premises::create_database(&server).await;
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = premises::sandbox().await;
        let file = folder.path().join("shop.toml");
        let settings = premises::settings(&sandbox, folder.path(), &database);
        std::fs::write(&file, settings).expect("a file");
        let first = Machine::start(&file, folder.path().join("first.log")).await;
        let second = Machine::start(&file, folder.path().join("second.log")).await;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let town = Arc::new(Town {
            sandbox,
            addresses: [first.address, second.address],
            http: http.build().expect("a client"),
            seen: Seen::default(),
        });
        let shops = SHOPS.iter().cycle().take(people);
        let person = |&(slug, product)| Arc::new(Person::new(town.clone(), slug, product));
        let database = PgPool::connect(&database).await.expect("a database");
        Some(Self {
            people: shops.map(person).collect(),
            town,
            first,
            second: Arc::new(Mutex::new(second)),
            outbox: Outbox::postgres(database.clone()),
            database,
            tenants: shop::Config::read(&file).expect("settings").tenants,
            _folder: folder,
        })
    }

    /// The first few people connect, one after another.
    pub async fn connect_first(&self) {
        for person in self.people.iter().take(FIRST) {
            person.ask().await;
            person.consent().await;
            person.call_back().await;
        }
    }

    /// All others ask for a link at once.
    pub async fn ask(&self, kills: usize) -> Stage {
        let ask = async |person: Arc<Person>| person.ask().await;
        self.stage(kills, ask).await
    }

    /// They consent.
    pub async fn consent(&self) -> Stage {
        let consent = async |person: Arc<Person>| person.consent().await;
        self.stage(0, consent).await
    }

    /// All of their phones call back at once.
    pub async fn call_back(&self, kills: usize) -> Stage {
        let call_back = async |person: Arc<Person>| person.call_back().await;
        self.stage(kills, call_back).await
    }

    async fn stage<F>(&self, kills: usize, what: impl Fn(Arc<Person>) -> F) -> Stage
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let others = self.people.get(FIRST..).unwrap_or_default();
        let done = Arc::new(std::sync::Mutex::new(Vec::new()));
        let count = done.clone();
        let count = move || count.lock().expect("no panic").len() as u64;
        let killing = self.kill(kills, others.len(), count);
        let begun = Instant::now();
        let noted = |person| {
            let (doing, done) = (what(person), done.clone());
            async move {
                doing.await;
                done.lock().expect("no panic").push(begun.elapsed());
            }
        };
        self.all(others, noted).await;
        let kills = killing.await.expect("no panic");
        let done = done.lock().expect("no panic");
        Stage {
            people: others.len(),
            most: done.get(done.len() * 95 / 100).copied().unwrap_or_default(),
            all: done.last().copied().unwrap_or_default(),
            kills,
        }
    }

    /// Everybody orders something, so many times.
    pub async fn push(&self, orders: usize, kills: usize) -> Pushing {
        let town = self.town.clone();
        let pushed = town.sandbox.requests(Endpoint::Push);
        let count = move || town.sandbox.requests(Endpoint::Push) - pushed;
        let killing = self.kill(kills, self.people.len() * orders, count);
        let earlier = self.town.sandbox.inbox().len();
        let (time, begun) = (SystemTime::now(), Instant::now());
        let order = move |person: Arc<Person>| async move {
            for _ in 0..orders {
                person.buy().await;
            }
        };
        self.all(&self.people, order).await;
        let ordered = begun.elapsed();
        checks::all_delivered(&self.outbox).await;
        let all_arrived = begun.elapsed();
        let inbox = self.town.sandbox.inbox();
        let arrived = &inbox[earlier..];
        let most = arrived
            .get(arrived.len() * 95 / 100)
            .map_or(0, |item| item.arrived);
        let most = SystemTime::UNIX_EPOCH + Duration::from_millis(most);
        Pushing {
            ordered,
            most_arrived: most.duration_since(time).unwrap_or_default(),
            all_arrived,
            kills: killing.await.expect("no panic"),
        }
    }

    /// Kills a machine at random moments, while a count grows up to `all`. Returns what the count was.
    fn kill(
        &self,
        kills: usize,
        all: usize,
        count: impl Fn() -> u64 + Send + 'static,
    ) -> JoinHandle<Vec<u64>> {
        let mut moments: Vec<_> = (all / 20..all * 9 / 10).map(|it| it as u64).collect();
        moments.shuffle(&mut rand::rng());
        moments.truncate(kills);
        moments.sort_unstable();
        let machine = self.second.clone();
        tokio::spawn(async move {
            let mut killed = Vec::new();
            for moment in moments {
                while count() < moment {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                killed.push(count());
                machine.lock().await.kill().await;
            }
            killed
        })
    }

    /// Checks that everybody is connected, and that all receipts have arrived. Returns how many orders there are.
    pub async fn check(&self) -> usize {
        checks::all_connected(&self.tenants, &self.database, self.people.len()).await;
        checks::all_arrived(&self.town.sandbox, &self.people, &self.database).await
    }

    /// What the two machines have used.
    pub async fn usage(&self) -> [Usage; 2] {
        [self.first.usage(), self.second.lock().await.usage()]
    }

    /// The warnings and errors of both machines.
    pub async fn complaints(&self) -> Vec<String> {
        let mut complaints = self.first.complaints();
        complaints.extend(self.second.lock().await.complaints());
        complaints
    }

    /// Each of these people does something, all at once.
    async fn all<F>(&self, people: &[Arc<Person>], what: impl Fn(Arc<Person>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for person in people {
            tasks.spawn(what(person.clone()));
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic");
        }
    }
}
