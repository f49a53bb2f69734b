//! What an application does with the library, as users would write it, with faults handled as the documentation says.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use digime::error::{Operation, RequestError};
use digime::store::ParkedFlows;
use digime::url::Url;
use digime::{Callback, Delivery, DeliveryStatus, Error, Flow, PostboxItem, Suspended};
use futures_util::future::{join_all, join3, poll_fn};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep, timeout};

use super::api::{self, Awaiting, Connected, Receipts};
use super::invariants::{CALL, Failure, KEEP, PUSH, STORE, store_calls};
use super::machine::Machine;
use super::store::Records;
use super::weather::{Dates, pick};
pub(super) type Authorization = Flow<Receipts, Connected>;

/// A flow that waits for a user, with the user's name.
pub(super) type Waiting = Suspended<Receipts, Awaiting, String>;

/// What the application knows about its users, and what the simulation knows about the application.
#[derive(Default)]
pub(super) struct Users {
    pub all: Vec<User>,
    pub links: Vec<Link>,
    /// How many explicit refreshes the application asked for, for each user. Each may send a token again.
    pub refreshes: Vec<usize>,
    items: u64,
}

#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are separate facts")]
pub(super) struct User {
    pub is_forgotten: bool,
    pub has_withdrawn: bool,
    pub has_refreshed: bool,
    /// The application kept an older flow while the user connected again.
    pub is_muddled: bool,
    /// How many calls may keep tokens for the user.
    pub connecting: usize,
    /// How many such calls there were.
    pub connections: usize,
    /// Dropped calls may do that too, since they continue.
    pub has_dropped_a_callback: bool,
    /// How many exchanges there were when the user was forgotten while none was running.
    pub forgotten_for_good: Option<usize>,
    /// The flows that each machine holds.
    flows: BTreeMap<u64, Arc<Authorization>>,
}

/// A user who was sent to digi.me and has consented.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "they are separate facts")]
pub(super) struct Link {
    pub user: usize,
    pub query: String,
    pub state: String,
    pub code: String,
    /// When its session ends. No call puts its flow back after that.
    expires: SystemTime,
    /// The application took the flow and is responsible for it.
    pub is_taken: bool,
    /// The application has lost the flow, or may have lost it.
    pub is_given_up: bool,
    /// A flow was suspended while its refresh may have been running, so the new tokens are lost.
    was_suspended: bool,
    /// The store is known to have its flow.
    is_parked: bool,
    pub excuse: Option<&'static str>,
    touched_by: Vec<u64>,
    /// How many calls are receiving its callback.
    receiving: usize,
    /// A call that has ended, or the application itself, may still send its code.
    goes_on: bool,
}

impl Link {
    /// Whether its callback has not come yet.
    pub(super) fn is_new(&self) -> bool {
        self.touched_by.is_empty()
    }
}

impl Users {
    pub(super) fn new(number: usize) -> Self {
        Self {
            all: (0..number).map(|_| User::default()).collect(),
            refreshes: vec![0; number],
            ..Self::default()
        }
    }

    pub(super) fn machine_is_gone(&mut self, machine: u64, records: &Records) {
        for link in &mut self.links {
            if link.touched_by.contains(&machine) && !records.wait_for(&link.state) {
                link.excuse.get_or_insert("its machine died");
            }
        }
        for user in &mut self.all {
            user.flows.remove(&machine);
        }
    }
}

pub(super) fn name(user: usize) -> String {
    format!("user-{user}")
}

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drop {
    Never,
    AfterPolls(u32),
    After(Duration),
}

impl Drop {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        match rng.random_range(0..5) {
            0 => Self::AfterPolls(rng.random_range(1..4)),
            1 => Self::AfterPolls(rng.random_range(1..15)),
            2 => Self::After(Duration::from_millis(rng.random_range(0..200))),
            3 => Self::After(Duration::from_millis(rng.random_range(0..30_000))),
            _ => Self::Never,
        }
    }

    /// Polls a future until it ends or is dropped.
    pub(super) async fn apply<T>(self, future: impl Future<Output = T>) -> Option<T> {
        match self {
            Self::Never => Some(future.await),
            Self::After(time) => timeout(time, future).await.ok(),
            Self::AfterPolls(most) => {
                let mut future = pin!(future);
                let mut polls = 0;
                poll_fn(move |context| {
                    if let Poll::Ready(output) = future.as_mut().poll(context) {
                        return Poll::Ready(Some(output));
                    }
                    polls += 1;
                    if polls >= most {
                        Poll::Ready(None)
                    } else {
                        Poll::Pending
                    }
                })
                .await
            }
        }
    }
}

/// What the application does directly after a user has connected.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Nothing,
    Push,
    Forget,
}

impl Then {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        match rng.random_range(0..20) {
            0 | 1 => Self::Forget,
            2..10 => Self::Push,
            _ => Self::Nothing,
        }
    }
}

/// How items are pushed.
#[derive(Clone, Debug)]
pub(super) struct Pushing {
    pub user: usize,
    pub shape: Shape,
    pub drop: Drop,
    /// The machine uses a flow that it already has.
    pub reuses: bool,
    pub size: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    One,
    /// Many pushes at once, as separate calls.
    Burst(usize),
    /// `push_many`, with a consumer that takes this long for each result.
    Many(usize, Duration),
    /// `push_many`, with another push in the body of the loop.
    Nested(usize),
    /// A push that is polled once and held while another is awaited.
    BesideOneThatIsKept,
}

/// What the consumer of `push_many` does between two results.
#[derive(Clone, Copy)]
enum Between {
    Pause(Duration),
    Push,
}

impl Shape {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        let number = rng.random_range(2..9);
        let pause = pick(rng, &[0, 10, 2_000, 90_000]);
        match rng.random_range(0..8) {
            0 | 1 => Self::Burst(number),
            2 => Self::Many(number, Duration::from_millis(pause)),
            3 => Self::Nested(number.min(4)),
            4 => Self::BesideOneThatIsKept,
            _ => Self::One,
        }
    }
}

impl Machine {
    /// Asks for a postbox and parks the flow, as the first request of a web application does. The user consents.
    pub(super) async fn begin(self: Arc<Self>, user: usize) {
        let Some((suspended, url)) = self.ask(user).await else {
            return;
        };
        let expires = suspended.expires_at().expect("a session ends");
        if self.park(suspended).await {
            let link = self.consent(user, user, &url, expires);
            self.check_parking(link);
        }
    }

    /// The same, but the user follows the link while the flow is being parked. The machine is paused in the meantime, so it
    /// parks the flow once more when another machine may already have received the callback.
    pub(super) async fn begin_hastily(self: Arc<Self>, other: Arc<Self>, user: usize) {
        let Some((suspended, url)) = self.ask(user).await else {
            return;
        };
        let expires = suspended.expires_at().expect("a session ends");
        let link = self.consent(user, user, &url, expires);
        self.world.lock().users.links[link].is_parked = false;
        let calling_back = async {
            sleep(Duration::from_millis(200)).await;
            other.receive(link, Drop::Never, Then::Nothing).await;
        };
        let pausing = self.clone().pause_at("put");
        let (is_parked, (), ()) = join3(self.park(suspended), calling_back, pausing).await;
        self.world.lock().users.links[link].is_parked = is_parked;
    }

    /// Parks a flow, and retries if that fails.
    pub(super) async fn park(&self, mut suspended: Waiting) -> bool {
        let flows = ParkedFlows::new(self.store());
        for _ in 0..3 {
            match self.call("park", STORE, flows.park(suspended)).await {
                Ok(()) => return true,
                Err(rejected) => suspended = rejected.into_suspended(),
            }
            sleep(Duration::from_secs(1)).await;
        }
        false
    }

    /// A flow that was just parked waits until its session ends, or for the ten minutes that a session is assumed to last if a
    /// clock or a `Date` says that it has already ended.
    pub(super) fn check_parking(&self, link: usize) {
        let now = self.world.time();
        let state = self.world.lock();
        let link = &state.users.links[link];
        let left = link.expires.duration_since(now).unwrap_or_default();
        let life = state.platform.terms.session_life;
        let assumed = Duration::from_mins(10).min(life);
        // Without a `Date`, the error of a clock is unknown unless it makes something new seem expired.
        let unknown = match state.weather.dates {
            Dates::Missing => Duration::from_millis(self.host.set_up.clock_ahead.unsigned_abs()),
            _ => Duration::ZERO,
        };
        let unknown = if unknown < life {
            unknown
        } else {
            Duration::ZERO
        };
        let elapsed = life.saturating_sub(left);
        let least = left.saturating_sub(unknown);
        let least = least.min(assumed.saturating_sub(elapsed));
        let parked_for = state.records.time_left(&link.state);
        std::mem::drop(state);
        if parked_for.is_some_and(|parked_for| parked_for + Duration::from_secs(5) < least) {
            self.world.violation(format!(
                "3: a flow of {:?} is parked for {parked_for:?}, and its session lasts {left:?}",
                self.host
            ));
        }
    }

    /// The user whom the application sent there consents, or another one who logs in.
    pub(super) fn consent(
        &self,
        user: usize,
        consenting: usize,
        url: &Url,
        expires: SystemTime,
    ) -> usize {
        let mut pairs = url.query_pairs();
        let code = pairs.find(|(name, _)| name == api::CODE_OF_LINK);
        let code = code.expect("a link has a code").1.into_owned();
        let mut state = self.world.lock();
        let (query, code) = state.platform.consent(&code, consenting);
        let callback = Callback::from_query(&query).expect("a callback");
        state.users.links.push(Link {
            user,
            query,
            state: callback.state().unwrap_or_default().to_owned(),
            code,
            expires,
            is_taken: false,
            is_given_up: false,
            was_suspended: false,
            is_parked: true,
            excuse: (user != consenting).then_some("another user has consented"),
            touched_by: Vec::new(),
            receiving: 0,
            goes_on: false,
        });
        state.users.links.len() - 1
    }

    fn touch(&self, link: usize) -> Link {
        let mut state = self.world.lock();
        let link = &mut state.users.links[link];
        link.touched_by.push(self.host.id);
        let link = link.clone();
        state.platform.may_send(&link.code, true);
        link
    }

    /// Receives a callback as a web application does.
    pub(super) async fn receive(self: Arc<Self>, link: usize, drop: Drop, then: Then) {
        let number = link;
        let link = self.touch(number);
        let connecting = self.connecting(link.user);
        let receiving = Receiving::begin(&self, number);
        let what = format!("receive_callback of link {number}, {drop:?}");
        let received = drop
            .apply(self.call(what, CALL, self.receiving(&link.query)))
            .await;
        if let Some(result) = &received {
            receiving.end(result.as_ref().err());
        }
        let is_connected = matches!(received, Some(Ok(_)));
        self.note_received(&link, received);
        std::mem::drop(connecting);
        match then {
            Then::Push if is_connected => {
                self.world.lock().platform.expire_access_tokens(link.user);
                if let Some(flow) = self.flow_of(link.user, true).await {
                    let _ = self.push_one(&flow, link.user, 100).await;
                }
            }
            Then::Forget if is_connected => self.clone().forget(link.user).await,
            _ => {}
        }
    }

    fn note_received(&self, link: &Link, received: Option<Result<(Authorization, String), Error>>) {
        match received {
            Some(Ok((flow, data))) => {
                if data != name(link.user) || !api::belongs_to(&flow, link.user) {
                    self.world
                        .violation(format!("two users were mixed up: {data}"));
                }
                self.remember(link.user, flow);
            }
            Some(Err(error)) => {
                self.world.check_exchange(self.host.id, &link.code, &error);
            }
            None => self.world.lock().users.all[link.user].has_dropped_a_callback = true,
        }
    }

    pub(super) fn receiving(
        &self,
        query: &str,
    ) -> impl Future<Output = Result<(Authorization, String), Error>> + use<> {
        let callback = Callback::from_query(query).expect("a callback");
        self.tokens
            .receive_callback(callback, &self.contract, &self.client, String::clone)
    }

    /// Pushes for the user of a link, after a delay, and finds their token expired. The machine that receives the callback
    /// may not know yet that the store has taken the tokens.
    pub(super) async fn push_for_link(self: Arc<Self>, link: usize, delay: Duration) {
        let user = self.world.lock().users.links[link].user;
        sleep(delay).await;
        self.world.lock().platform.expire_access_tokens(user);
        if let Some(flow) = self.flow_of(user, false).await {
            let _ = self.push_one(&flow, user, 100).await;
        }
    }

    /// Receives a callback on a machine that is paused for so long that the call ends before its flow is claimed.
    pub(super) async fn receive_late(self: Arc<Self>, link: usize, mut rng: StdRng) {
        let receiving = self.clone().receive(link, Drop::Never, Then::Nothing);
        let receiving = tokio::spawn(receiving);
        for _ in 0..2 {
            let pause = Duration::from_secs(rng.random_range(15..20));
            let machine = self.clone();
            machine.pause_after(rng.random_range(1..15), pause).await;
        }
        let _ = receiving.await;
    }

    /// Pauses the machine between the effect of a call of the store and its answer, until the store's time limit is over.
    pub(super) async fn pause_at(self: Arc<Self>, call: &'static str) {
        self.host.pause_at(Some(call));
        sleep(Duration::from_secs(22)).await;
        self.host.pause_at(None);
        self.host.resume();
        self.world.log(format!("{:?} resumes", self.host));
    }

    /// Pauses the machine in some milliseconds, for a time.
    async fn pause_after(self: Arc<Self>, millis: u64, pause: Duration) {
        sleep(Duration::from_millis(millis)).await;
        self.host.pause();
        self.world.log(format!("{:?} pauses", self.host));
        sleep(pause).await;
        self.host.resume();
        self.world.log(format!("{:?} resumes", self.host));
    }

    /// The user declines first, and the flow still waits.
    pub(super) async fn decline(self: Arc<Self>, link: usize) {
        let link = self.touch(link);
        let query = api::declined(&link.state);
        let _ = self.call("decline", CALL, self.receiving(&query)).await;
    }

    /// Exchanges the code without the store, uses the flow while it does not share the tokens, then keeps them.
    pub(super) async fn connect_by_hand(self: Arc<Self>, link: usize, mut rng: StdRng) {
        let number = link;
        let link = self.touch(number);
        let _connecting = self.connecting(link.user);
        self.world.lock().users.links[number].goes_on = true;
        let callback = Callback::from_query(&link.query).expect("a callback");
        let claiming = api::claim(&self, &callback);
        let claiming = self.call(format!("claim link {number}"), store_calls(2), claiming);
        let Some(Ok((awaiting, _))) = Drop::any(&mut rng).apply(claiming).await else {
            return;
        };
        // From here on the application is responsible for the flow.
        let responsible = Responsible::begin(&self, number);
        let parked = serde_json::to_string(&awaiting.suspend()).expect("JSON");
        let Some(flow) = self.exchange(&link, &parked, &mut rng).await else {
            return;
        };
        if !api::belongs_to(&flow, link.user) {
            self.world.violation("two users were mixed up".to_owned());
        }
        let Some(mut flow) = self.use_alone(&link, flow, &mut rng).await else {
            return;
        };
        for _ in 0..20 {
            if self.is_overtaken(&link) {
                return;
            }
            match self
                .call("keep", KEEP, self.tokens.keep(&name(link.user), flow))
                .await
            {
                Ok(kept) => {
                    self.remember(link.user, kept);
                    if self.is_overtaken(&link) {
                        self.world.lock().users.all[link.user].is_muddled = true;
                    }
                    return responsible.end();
                }
                Err(rejected) => flow = rejected.into_flow(),
            }
            sleep(Duration::from_secs(10)).await;
        }
    }

    /// Whether the user connects again in the meantime, so that older tokens must not replace newer ones.
    fn is_overtaken(&self, link: &Link) -> bool {
        let state = self.world.lock();
        let own = state.platform.codes[&link.code].grant;
        let grants = &state.platform.grants;
        let newest = grants.iter().rposition(|grant| grant.user == link.user);
        own != newest || state.users.all[link.user].connecting > 1
    }

    async fn exchange(&self, link: &Link, parked: &str, rng: &mut StdRng) -> Option<Authorization> {
        for _ in 0..5 {
            let suspended: Suspended<Receipts, Awaiting> =
                serde_json::from_str(parked).expect("a flow");
            let flow = suspended
                .resume(&self.contract, &self.client)
                .expect("a flow");
            let callback = Callback::from_query(&link.query).expect("a callback");
            let drop = Drop::any(rng);
            let what = format!("exchange_code, {drop:?}");
            let exchanging = self.call(what, CALL, api::exchange_code(flow, callback));
            match drop.apply(exchanging).await {
                Some(Ok(flow)) => return Some(flow),
                Some(Err(rejected)) => {
                    let error = rejected.error();
                    self.world.check_exchange(self.host.id, &link.code, error);
                    if matches!(error, Error::Callback(_)) {
                        self.world
                            .violation(format!("3: an exchange was lost: {error}"));
                        return None;
                    }
                    if api::is_another_users(error) {
                        return None;
                    }
                    if error.may_have_taken_effect() {
                        if rng.random_bool(0.5) {
                            return None;
                        }
                        self.world.lock().platform.allow_code(&link.code);
                    }
                }
                // It continues, so the code must not be sent again.
                None => {}
            }
            sleep(Duration::from_millis(rng.random_range(0..5_000))).await;
        }
        None
    }

    /// Uses a flow that is not shared: dropped pushes leave refreshes running, and the flow is suspended.
    async fn use_alone(
        &self,
        link: &Link,
        mut flow: Authorization,
        rng: &mut StdRng,
    ) -> Option<Authorization> {
        for _ in 0..rng.random_range(0..4) {
            sleep(Duration::from_secs(rng.random_range(0..60))).await;
            let number = rng.random_range(1..4);
            let drop = Drop::any(rng);
            let pushes = (0..number).map(|_| self.push_one(&flow, link.user, 100));
            if let Some(results) = drop.apply(join_all(pushes)).await {
                self.check_doubt(link, &results);
            }
            if rng.random_bool(0.3) {
                // The new tokens of a running refresh have no flow to go to.
                self.give_up(link);
                self.world.log(format!(
                    "{:?} suspends the flow of {}",
                    self.host,
                    name(link.user)
                ));
                let text = serde_json::to_string(&flow.suspend()).expect("JSON");
                std::mem::drop(flow);
                let suspended: Suspended<Receipts, Connected> =
                    serde_json::from_str(&text).expect("a flow");
                flow = suspended
                    .resume(&self.contract, &self.client)
                    .expect("a flow");
            }
        }
        Some(flow)
    }

    fn give_up(&self, link: &Link) {
        let mut state = self.world.lock();
        let mut links = state.users.links.iter_mut();
        if let Some(link) = links.find(|it| it.code == link.code) {
            link.was_suspended = true;
        }
    }

    /// Pushes for a user whose tokens are in the store.
    pub(super) async fn push(self: Arc<Self>, pushing: Pushing) {
        let user = pushing.user;
        let Some(flow) = self.flow_of(user, pushing.reuses).await else {
            return;
        };
        let size = pushing.size;
        let work = async {
            match pushing.shape {
                Shape::One => drop(self.push_one(&flow, user, size).await),
                Shape::Burst(number) => {
                    join_all((0..number).map(|_| self.push_one(&flow, user, size))).await;
                }
                Shape::Many(number, pause) => {
                    self.push_many(&flow, user, number, Between::Pause(pause))
                        .await;
                }
                Shape::Nested(number) => {
                    self.push_many(&flow, user, number, Between::Push).await;
                }
                Shape::BesideOneThatIsKept => {
                    let item = self.item();
                    let mut kept = pin!(api::push(&flow, api::item(&item, size, user)));
                    let polled = poll_fn(|context| Poll::Ready(kept.as_mut().poll(context))).await;
                    drop(self.push_one(&flow, user, size).await);
                    let result = match polled {
                        Poll::Ready(result) => result,
                        Poll::Pending => kept.await,
                    };
                    self.pushed(user, &item, &result);
                }
            }
        };
        pushing.drop.apply(Box::pin(work)).await;
    }

    async fn push_many(&self, flow: &Authorization, user: usize, number: usize, between: Between) {
        let names: Vec<String> = (0..number).map(|_| self.item()).collect();
        let items = names.iter().map(|name| api::item(name, 300, user));
        let items: Vec<PostboxItem> = items.collect();
        let mut pushes = api::push_many(flow, items).concurrency(3);
        while let Some(pushed) = pushes.next().await {
            self.pushed(user, &names[pushed.index], &pushed.result);
            match between {
                Between::Pause(pause) => sleep(pause).await,
                Between::Push => drop(self.push_one(flow, user, 100).await),
            }
        }
    }

    async fn push_one(
        &self,
        flow: &Authorization,
        user: usize,
        size: usize,
    ) -> Result<Delivery, Error> {
        let item = self.item();
        let pushing = api::push(flow, api::item(&item, size, user));
        let begun = Instant::now();
        let (was_in_doubt, before) = (is_in_doubt(flow), refresh_token(flow));
        let result = self
            .call(format!("push {item} for {}", name(user)), PUSH, pushing)
            .await;
        self.pushed(user, &item, &result);
        if let Err(error) = &result
            && !was_in_doubt
        {
            self.check_lost(&before, begun, error);
            self.check_has_left(&[before, refresh_token(flow)], error);
        }
        result
    }

    pub(super) fn pushed(&self, user: usize, item: &str, result: &Result<Delivery, Error>) {
        let is_delivered = result
            .as_ref()
            .is_ok_and(|delivery| delivery.status() == DeliveryStatus::Delivered);
        self.world.check_push(item, result, is_delivered);
        if let Err(error) = result {
            self.world.check_text(&error.report().to_string());
            self.check_ended(user, error);
        }
    }

    /// Checks that consent is reported as ended only for a reason.
    fn check_ended(&self, user: usize, error: &Error) {
        let now = self.world.millis();
        let state = self.world.lock();
        let known = &state.users.all[user];
        let may_have_ended = known.has_withdrawn
            || known.is_forgotten
            || known.has_refreshed
            || known.is_muddled
            || state
                .platform
                .grants
                .iter()
                .any(|it| it.user == user && (it.excuse.is_some() || it.has_ended(now)))
            || state
                .users
                .links
                .iter()
                .any(|link| link.user == user && link.is_given_up);
        std::mem::drop(state);
        if matches!(error, Error::ConsentEnded { .. }) && !may_have_ended {
            self.world.violation(format!(
                "3: {} is said to have ended consent: {error}",
                name(user)
            ));
        }
    }

    /// Checks that a flow that is not shared is in doubt about its refresh token only after a lost answer.
    fn check_doubt(&self, link: &Link, results: &[Result<Delivery, Error>]) {
        let state = self.world.lock();
        let links = &state.users.links;
        let may_be_in_doubt = state.platform.has_lost_a_refresh(link.user)
            || links
                .iter()
                .any(|it| it.code == link.code && it.was_suspended);
        std::mem::drop(state);
        let is_in_doubt = |result: &_| matches!(result, Err(Error::RefreshInDoubt));
        if results.iter().any(is_in_doubt) && !may_be_in_doubt {
            self.world.violation(format!(
                "5: the refresh token of {} is said to be in doubt, and no answer was lost",
                name(link.user)
            ));
        }
    }

    pub(super) fn item(&self) -> String {
        let mut state = self.world.lock();
        state.users.items += 1;
        format!("item-{}-end", state.users.items)
    }

    pub(super) async fn flow_of(&self, user: usize, reuses: bool) -> Option<Arc<Authorization>> {
        let known = self.world.lock().users.all[user]
            .flows
            .get(&self.host.id)
            .cloned();
        if let (true, Some(flow)) = (reuses, known) {
            return Some(flow);
        }
        let name = name(user);
        let finding = self.tokens.find(&name, &self.contract, &self.client);
        let found = self.call(format!("find {name}"), STORE, finding).await;
        Some(self.remember(user, found.ok()??))
    }

    fn remember(&self, user: usize, flow: Authorization) -> Arc<Authorization> {
        let flow = Arc::new(flow);
        let mut state = self.world.lock();
        let flows = &mut state.users.all[user].flows;
        flows.insert(self.host.id, flow.clone());
        flow
    }

    /// The application asks for a refresh explicitly.
    pub(super) async fn refresh(self: Arc<Self>, user: usize, drop: Drop) {
        let Some(flow) = self.flow_of(user, true).await else {
            return;
        };
        {
            let mut state = self.world.lock();
            state.users.refreshes[user] += 1;
            state.users.all[user].has_refreshed = true;
        }
        let begun = Instant::now();
        let (was_in_doubt, before) = (is_in_doubt(&flow), refresh_token(&flow));
        let refreshing = self.call(format!("refresh {}", name(user)), CALL, api::refresh(&flow));
        if let Some(Err(error)) = drop.apply(refreshing).await
            && !was_in_doubt
        {
            self.check_lost(&before, begun, &error);
            self.check_has_left(&[before, refresh_token(&flow)], &error);
        }
    }

    /// A machine is paused while it refreshes, and again when the answer has come, so that the call ends before the store
    /// has the new tokens.
    pub(super) async fn refresh_late(self: Arc<Self>, user: usize, mut rng: StdRng) {
        let refreshing = tokio::spawn(self.clone().refresh(user, Drop::Never));
        let pause = Duration::from_millis(rng.random_range(26_000..29_900));
        let machine = self.clone();
        machine.pause_after(rng.random_range(1..80), pause).await;
        let pause = Duration::from_secs(5);
        self.pause_after(rng.random_range(1..15), pause).await;
        let _ = refreshing.await;
    }

    /// Checks that an answer which came during a call is not lost. A push may refresh twice; the last refresh is the one that
    /// fails.
    fn check_lost(&self, token: &str, begun: Instant, error: &Error) {
        let begun = Instant::now()
            .checked_sub(CALL)
            .map_or(begun, |it| it.max(begun));
        let is_said_to_be_lost = matches!(
            error.reason(),
            Error::Request(RequestError::AnswerLost {
                operation: Operation::RefreshToken,
                ..
            })
        );
        let state = self.world.lock();
        let has_come = state.platform.has_refreshed(self.host.id, token, begun);
        std::mem::drop(state);
        if is_said_to_be_lost && has_come {
            self.world.violation(format!(
                "5: {:?} has new tokens for {token}, and a call says: {error}",
                self.host
            ));
        }
    }

    /// Checks that no caller learns that a refresh token may be spent if it never left a machine. It is one of those that the
    /// flow had before and after the call.
    fn check_has_left(&self, tokens: &[String; 2], error: &Error) {
        let is_said_to_be_lost = matches!(
            error.reason(),
            Error::Request(RequestError::AnswerLost {
                operation: Operation::RefreshToken,
                ..
            })
        );
        let has_left = {
            let platform = &self.world.lock().platform;
            tokens.iter().any(|token| platform.has_left(token))
        };
        if is_said_to_be_lost && !has_left {
            self.world.violation(format!(
                "2: no refresh token left a machine, and a call says: {error}"
            ));
        }
    }

    /// A machine is paused during a refresh for so long that another is asked for an explicit refresh.
    pub(super) async fn be_overtaken(
        self: Arc<Self>,
        other: Arc<Self>,
        user: usize,
        mut rng: StdRng,
    ) {
        let mut pause = rng.random_range(10..70);
        if rng.random_bool(0.3) {
            // A push that finds its token expired takes longer to reach its refresh.
            self.world.lock().platform.expire_access_tokens(user);
            pause += rng.random_range(0..80);
            let pushing = Pushing {
                user,
                shape: Shape::One,
                drop: Drop::Never,
                reuses: true,
                size: 100,
            };
            tokio::spawn(self.clone().push(pushing));
        } else if self.flow_of(user, false).await.is_some() {
            tokio::spawn(self.clone().refresh(user, Drop::Never));
        } else {
            return;
        }
        if rng.random_bool(0.5) {
            // Its lease shows that the token is being sent.
            self.host.pause_at(Some("lease"));
        } else {
            sleep(Duration::from_millis(pause)).await;
            self.host.pause();
            self.world.log(format!("{:?} pauses", self.host));
        }
        sleep(Duration::from_secs(rng.random_range(62..160))).await;
        self.host.pause_at(None);
        // The other machine may be paused or die. If its flow is an old one, it sends nothing.
        let refreshing = async {
            other.flow_of(user, false).await;
            other.refresh(user, Drop::any(&mut rng)).await;
        };
        let _ = timeout(CALL * 2, refreshing).await;
        self.host.resume();
        self.world.log(format!("{:?} resumes", self.host));
    }

    /// The application forgets the user.
    pub(super) async fn forget(self: Arc<Self>, user: usize) {
        self.world.lock().users.all[user].is_forgotten = true;
        let name = name(user);
        for _ in 0..20 {
            let before = self.exchanges(user);
            let forgetting = self.tokens.forget(&name, &self.contract);
            if self
                .call(format!("forget {name}"), STORE, forgetting)
                .await
                .is_ok()
            {
                let after = self.exchanges(user);
                let user = &mut self.world.lock().users.all[user];
                // An exchange that was still running may keep its tokens after that.
                let is_alone = before == after && after.0 == 0 && !user.has_dropped_a_callback;
                user.forgotten_for_good = is_alone.then_some(after.1);
                return;
            }
        }
    }

    /// How many exchanges of a user are running, how many there were, and how many calls that may exchange.
    pub(super) fn exchanges(&self, user: usize) -> (usize, usize, usize) {
        let state = self.world.lock();
        let known = &state.users.all[user];
        let exchanged = state.platform.grants_of(user);
        (known.connecting, exchanged, known.connections)
    }

    /// Notes that a call may keep tokens for a user.
    fn connecting(&self, user: usize) -> Connecting<'_> {
        let mut state = self.world.lock();
        state.users.all[user].connecting += 1;
        state.users.all[user].connections += 1;
        state.users.all[user].forgotten_for_good = None;
        Connecting {
            machine: self,
            user,
        }
    }

    /// Checks the result of a callback after all faults have ended.
    pub(super) async fn receive_at_last(&self, link: usize, calm_at: SystemTime) {
        let number = link;
        let link = self.touch(number);
        let received = self
            .call(
                "receive_callback at last",
                CALL,
                self.receiving(&link.query),
            )
            .await;
        let state = self.world.lock();
        let link = &state.users.links[number];
        let code = &state.platform.codes[&link.code];
        let user = &state.users.all[link.user];
        let grant = code.grant.map(|grant| &state.platform.grants[grant]);
        let is_excused = link.is_taken
            || !link.is_parked
            || link.expires <= calm_at + Duration::from_mins(1)
            || user.is_muddled
            || link.is_given_up
            || link.excuse.is_some()
            || user.is_forgotten
            || user.has_withdrawn
            || grant.is_some_and(|grant| grant.excuse.is_some())
            || (grant.is_none() && state.platform.is_code_in_doubt(&link.code));
        std::mem::drop(state);
        if let (Err(error), false) = (received, is_excused) {
            self.world.violation(format!(
                "3: the callback of link {number} brings nothing: {}",
                error.error()
            ));
        }
    }

    /// Checks that a user's consent can be used after all faults have ended.
    pub(super) async fn push_at_last(&self, user: usize) {
        let Some(flow) = self.flow_of(user, false).await else {
            return self.lost(user, "the store has nothing");
        };
        let item = self.item();
        let push = async || api::push(&flow, api::item(&item, 100, user)).await;
        let mut result = push().await;
        if matches!(result, Err(Error::RefreshInDoubt)) {
            self.world.lock().users.refreshes[user] += 1;
            if let Err(error) = api::refresh(&flow).await {
                return self.lost(user, &error.report().to_string());
            }
            result = push().await;
        }
        match result {
            Ok(delivery) if delivery.status() == DeliveryStatus::Delivered => {}
            other => self.lost(user, &format!("{other:?}")),
        }
    }

    pub(super) fn lost(&self, user: usize, why: &str) {
        self.world
            .violation(format!("3: the consent of {} is lost: {why}", name(user)));
    }
}

/// Whether a flow's refresh token is being sent or may have been sent, possibly by the machine that marked it in the store.
fn is_in_doubt(flow: &Authorization) -> bool {
    let text = serde_json::to_string(&flow.suspend()).expect("JSON");
    text.contains(r#""sent""#)
}

fn refresh_token(flow: &Authorization) -> String {
    let record = serde_json::to_value(flow.suspend()).expect("JSON");
    let token = record["state_data"]["tokens"]["refresh_token"].as_str();
    token.expect("a token").to_owned()
}

struct Connecting<'a> {
    machine: &'a Machine,
    user: usize,
}

impl std::ops::Drop for Connecting<'_> {
    fn drop(&mut self) {
        let mut state = self.machine.world.lock();
        state.users.all[self.user].connecting -= 1;
    }
}

/// A call that receives a callback. It continues if it is dropped.
struct Receiving<'a> {
    machine: &'a Machine,
    link: usize,
    has_ended: bool,
}

impl<'a> Receiving<'a> {
    fn begin(machine: &'a Machine, link: usize) -> Self {
        machine.world.lock().users.links[link].receiving += 1;
        Self {
            machine,
            link,
            has_ended: false,
        }
    }

    /// A call reports that its code was not used, and no other call is running. Then the code is not sent any more.
    fn end(mut self, error: Option<&Error>) {
        self.has_ended = error.is_none_or(|error| !error.may_have_taken_effect());
        let mut state = self.machine.world.lock();
        let link = &state.users.links[self.link];
        let is_last = link.receiving == 1 && !link.goes_on;
        let code = link.code.clone();
        if error.is_some() && self.has_ended && is_last {
            state.platform.may_send(&code, false);
        }
    }
}

impl std::ops::Drop for Receiving<'_> {
    fn drop(&mut self) {
        let mut state = self.machine.world.lock();
        let link = &mut state.users.links[self.link];
        link.receiving -= 1;
        link.goes_on |= !self.has_ended;
    }
}

/// The application is responsible for a flow. It has lost the flow if this is dropped before the flow is kept.
struct Responsible<'a> {
    machine: &'a Machine,
    link: usize,
}

impl<'a> Responsible<'a> {
    fn begin(machine: &'a Machine, link: usize) -> Self {
        machine.world.lock().users.links[link].is_taken = true;
        machine.world.lock().users.links[link].is_given_up = true;
        Self { machine, link }
    }

    fn end(self) {
        let mut state = self.machine.world.lock();
        let link = &mut state.users.links[self.link];
        link.is_given_up = link.was_suspended;
    }
}
