//! Another process: what a second machine does. It reads its job as JSON from standard input.

#![forbid(unsafe_code)]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use digime::error::StoreError;
use digime::store::{
    FlowRecord, FlowStore, ParkedFlows, SharedTokens, TokenRecord, TokenStore, async_trait,
    conformance,
};
use digime::{Callback, PostboxItem};
use digime_outbox::ConnectedUsers;
use digime_store_tests::{Place, claim, outbox, with_store};
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use serde::Deserialize;

#[derive(Deserialize)]
struct Job {
    place: Place,
    store: String,
    work: Work,
}

#[derive(Deserialize)]
enum Work {
    /// Runs the tests that every store has to pass.
    Conform,
    /// Begins a flow, parks it, prints its link, and waits to be killed.
    Begin,
    /// Takes a callback, exchanges its code and pushes.
    Finish { callback: String },
    /// Delivers a callback, waits for another process that has done so too, delivers all callbacks, each the state with a
    /// number, and prints the numbers of the flows that it got.
    Claim {
        name: String,
        waits_for: String,
        states: Vec<String>,
        deliveries: Vec<Vec<usize>>,
    },
    /// Pushes so many items at a time for a user.
    Push { user: String, items: usize },
    /// Pushes for users whose names are numbers, as a worker of the outbox would, without an outbox.
    PushToEach {
        users: usize,
        items: usize,
        at_a_time: usize,
        content: String,
    },
    /// Delivers what is due in the outbox of the database, until it is killed.
    Deliver { lease_millis: u64 },
    /// Pushes for a user and dies on the way.
    Die {
        user: String,
        at: Death,
        lease_millis: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum Death {
    /// Before it has marked the refresh token as sent.
    BeforeMarking,
    /// With new tokens, before they are saved.
    BeforeSaving,
}

#[tokio::main]
async fn main() {
    let job: Job = serde_json::from_reader(std::io::stdin()).expect("a job");
    with_store!(&job.store, store => work(store, &job.store, job.place, job.work).await);
}

async fn work<S: FlowStore + TokenStore>(store: S, url: &str, place: Place, work: Work) {
    match work {
        Work::Conform => {
            conformance::flow_store(&store).await;
            conformance::token_store(&store).await;
        }
        Work::Begin => begin(&ParkedFlows::new(store), &place).await,
        Work::Finish { callback } => finish(&ParkedFlows::new(store), &place, &callback).await,
        Work::Claim {
            name,
            waits_for,
            states,
            deliveries,
        } => {
            let store = Arc::new(store);
            let flows = ParkedFlows::new(store.clone());
            let first = claim(&flows, &place, &states, vec![deliveries[0][0]]).await;
            meet(&store, &name, &waits_for).await;
            let tasks = deliveries.into_iter().map(|deliveries| {
                let (flows, place, states) = (flows.clone(), place.clone(), states.clone());
                tokio::spawn(async move { claim(&flows, &place, &states, deliveries).await })
            });
            let claimed = try_join_all(tasks).await.expect("no task panics");
            let claimed = [first, claimed.concat()].concat();
            println!("{}", serde_json::to_string(&claimed).expect("JSON"));
        }
        Work::Push { user, items } => push(&SharedTokens::new(store), &place, &user, items).await,
        Work::PushToEach {
            users,
            items,
            at_a_time,
            content,
        } => {
            let tokens = SharedTokens::new(store);
            let (receipts, client) = (place.receipts(), place.client());
            let push_each = (0..items).map(|number| {
                let (tokens, receipts) = (tokens.clone(), receipts.clone());
                let (client, content) = (client.clone(), content.clone());
                let user = (number % users).to_string();
                async move {
                    let item = PostboxItem::bytes("receipt.txt", content);
                    let flow = tokens.find(&user, &receipts, &client);
                    let flow = flow.await.expect("the store works").expect("a user");
                    flow.push(item).await.expect("a delivery");
                }
            });
            let tasks = futures_util::stream::iter(push_each).map(tokio::spawn);
            let mut tasks = tasks.buffer_unordered(at_a_time);
            while let Some(pushed) = tasks.next().await {
                pushed.expect("no panic");
            }
        }
        Work::Deliver { lease_millis } => {
            let tokens = SharedTokens::new(store);
            deliver(tokens, &place, url, Duration::from_millis(lease_millis)).await;
        }
        Work::Die {
            user,
            at,
            lease_millis,
        } => {
            let tokens = SharedTokens::new(Mortal {
                store,
                at,
                replaced: Arc::default(),
            })
            .lease_duration(Duration::from_millis(lease_millis));
            push(&tokens, &place, &user, 1).await;
        }
    }
}

/// Waits until the other process is there too.
async fn meet(store: &impl FlowStore, name: &str, waits_for: &str) {
    let here = FlowRecord {
        id: name.to_owned(),
        record: "here".into(),
        expires_in: Duration::from_mins(10),
    };
    store.put(name, &here).await.expect("it is put");
    while store.peek(waits_for).await.expect("it works").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn begin(flows: &ParkedFlows<impl FlowStore>, place: &Place) {
    let flow = place.receipts().flow(&place.client());
    let session = flow.establish_session().await.expect("a session");
    let awaiting = flow.create_postbox(session).await.expect("a link");
    let link = awaiting.url().clone();
    flows
        .park(awaiting.suspend().with("customer-42"))
        .await
        .expect("it is parked");
    println!("{link}");
    std::io::stdout().flush().expect("somebody reads");
    std::future::pending::<()>().await;
}

async fn finish(flows: &ParkedFlows<impl FlowStore>, place: &Place, callback: &str) {
    let callback = Callback::from_url(callback).expect("a callback");
    let (awaiting, customer): (_, String) = flows
        .claim(&callback, &place.receipts(), &place.client())
        .await
        .expect("a flow");
    let authorized = awaiting.exchange_code(callback).await.expect("tokens");
    let receipt = PostboxItem::bytes("receipt.txt", "1 coffee").account(customer);
    let delivery = authorized.push(receipt).await.expect("a delivery");
    println!("{:?}", delivery.status());
}

async fn push<S: TokenStore>(tokens: &SharedTokens<S>, place: &Place, user: &str, items: usize) {
    let flow = tokens
        .find(user, &place.receipts(), &place.client())
        .await
        .expect("the store works")
        .expect("the user has consented");
    let pushes = (0..items).map(|_| flow.push(PostboxItem::bytes("receipt.txt", "1 coffee")));
    for delivery in join_all(pushes).await {
        println!("{:?}", delivery.expect("a delivery").status());
    }
}

async fn deliver<S: TokenStore>(
    tokens: SharedTokens<S>,
    place: &Place,
    url: &str,
    lease: Duration,
) {
    let users = ConnectedUsers::new(tokens, place.client(), [place.receipts()]);
    let worker = outbox(url).await.worker(users);
    let worker = worker
        .lease(lease)
        .poll_interval(Duration::from_millis(20))
        .retry_delays(Duration::from_millis(10), Duration::from_millis(100));
    worker.run_until(std::future::pending()).await;
}

/// A store on a machine that dies.
#[derive(Clone)]
struct Mortal<S> {
    store: S,
    at: Death,
    replaced: Arc<AtomicU32>,
}

impl<S> Mortal<S> {
    /// Ends the process as `SIGKILL` does: nothing is tidied up.
    fn die(&self, at: Death) {
        if self.at == at {
            std::process::abort();
        }
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for Mortal<S> {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        self.store.load(user).await
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        self.store.lease(user, version, holder, duration).await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.store.release(user, holder).await
    }

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        kept: &TokenRecord,
    ) -> Result<bool, StoreError> {
        // The first record is the mark, the second the new tokens.
        match self.replaced.fetch_add(1, Relaxed) {
            0 => self.die(Death::BeforeMarking),
            _ => self.die(Death::BeforeSaving),
        }
        self.store.replace(user, version, kept).await
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        self.store.remove(user, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        self.store.list(prefix, after, limit).await
    }
}
