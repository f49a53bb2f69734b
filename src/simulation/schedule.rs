//! The steps of a run.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::api::{self, Notes, Terms};
use super::application::{Drop, Pushing, Shape, Then, Users, name};
use super::host::SetUp;
use super::invariants::{Book, PUSH};
use super::machine::{Machine, PATIENCE};
use super::platform::Platform;
use super::runs::Outcome;
use super::store::Records;
use super::trace::Texts;
use super::weather::{Dates, Weather, pick};
use super::world::{State, World, base};

/// The machines of a run, and the random numbers that decide the steps.
pub(super) struct Run {
    pub world: Arc<World>,
    pub rng: StdRng,
    pub machines: Vec<Running>,
    started: u64,
    has_crashes: bool,
    has_refreshes: bool,
    has_wrong_set_ups: bool,
}

pub(super) struct Running {
    pub machine: Arc<Machine>,
    tasks: Vec<JoinHandle<()>>,
}

pub(super) async fn run(seed: u64, texts: Texts) -> Outcome {
    let mut run = Run::new(seed, texts);
    run.connect_users().await;
    run.steps().await;
    if !run.is_broken() {
        run.end().await;
    }
    run.world.is_over.store(true, Relaxed);
    let mut state = run.world.lock();
    Outcome {
        violations: std::mem::take(&mut state.book.violations),
        log: std::mem::take(&mut state.book.log),
        calls: state.book.calls_ended,
        requests: state.platform.requests(),
    }
}

impl Run {
    fn new(seed: u64, texts: Texts) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let terms = Terms::any(&mut rng);
        let users = rng.random_range(1..4);
        let state = State {
            weather: Weather::new(rng.random()),
            platform: Platform::new(terms),
            records: Records::default(),
            users: Users::new(users),
            book: Book::default(),
            notes: Notes::default(),
        };
        let world = Arc::new(World {
            state: Mutex::new(state),
            begun: Instant::now(),
            base: base(),
            texts,
            is_over: AtomicBool::new(false),
        });
        let mut run = Self {
            world,
            machines: Vec::new(),
            started: 0,
            has_crashes: rng.random_bool(0.4),
            has_refreshes: rng.random_bool(0.5),
            has_wrong_set_ups: rng.random_bool(0.4),
            rng,
        };
        for _ in 0..run.rng.random_range(1..4) {
            let running = run.start_machine();
            run.machines.push(running);
        }
        run
    }

    fn start_machine(&mut self) -> Running {
        self.started += 1;
        let set_up = self.set_up();
        let id = self.started;
        self.world.log(format!("m{id} starts {set_up:?}"));
        Running {
            machine: Machine::start(&self.world, id, set_up),
            tasks: Vec::new(),
        }
    }

    fn set_up(&mut self) -> SetUp {
        if !self.has_wrong_set_ups {
            return SetUp::default();
        }
        let day = 24 * 60 * 60 * 1000;
        let clock_ahead = pick(
            &mut self.rng,
            &[
                0,
                0,
                0,
                20_000,
                -20_000,
                120_000,
                -120_000,
                240_000,
                400_000,
                2 * day,
                -2 * day,
            ],
        );
        // A wrong clock can't be detected if a wrong `Date` agrees with it.
        let clock_ahead = match self.world.lock().weather.dates {
            Dates::SometimesWrong => 0,
            Dates::Right | Dates::Missing => clock_ahead,
        };
        SetUp {
            clock_ahead,
            has_wrong_redirect_uri: self.rng.random_bool(0.15),
        }
    }

    fn is_broken(&self) -> bool {
        !self.world.lock().book.violations.is_empty()
    }

    /// Connects most users before anything goes wrong, so that there is something to lose.
    async fn connect_users(&mut self) {
        self.world.lock().weather.set_calm(true);
        let users = self.world.lock().users.all.len();
        for user in 0..users {
            let machine = self.machine();
            let machine = self.machines[machine].machine.clone();
            machine.clone().begin(user).await;
            let link = self.world.lock().users.links.len().checked_sub(1);
            if let Some(link) = link
                && self.rng.random_bool(0.5)
            {
                machine.receive(link, Drop::Never, Then::Nothing).await;
            }
        }
        self.world.lock().weather.set_calm(false);
    }

    async fn steps(&mut self) {
        for _ in 0..self.rng.random_range(20..60) {
            self.step();
            let pause = match self.rng.random_range(0..10) {
                0..4 => self.rng.random_range(0..60),
                4..8 => self.rng.random_range(50..6_000),
                8 => self.rng.random_range(5_000..60_000),
                _ => self.rng.random_range(60_000..900_000),
            };
            sleep(Duration::from_millis(pause)).await;
            self.check();
            if self.is_broken() {
                return;
            }
        }
    }

    fn check(&mut self) {
        let paused = |id: u64| {
            let machines = self.machines.iter().map(|running| &running.machine.host);
            machines
                .filter(|host| host.id == id)
                .map(|host| host.paused_for())
                .sum()
        };
        self.world.check(paused);
        for running in &mut self.machines {
            running.tasks.retain(|task| !task.is_finished());
        }
    }

    pub(super) fn user(&mut self) -> usize {
        let users = self.world.lock().users.all.len();
        self.rng.random_range(0..users)
    }

    /// A user whose tokens are in the store.
    pub(super) fn connected_user(&mut self) -> Option<usize> {
        let state = self.world.lock();
        let users = 0..state.users.all.len();
        let connected: Vec<usize> = users
            .filter(|user| state.records.of(&name(*user)).is_some())
            .collect();
        drop(state);
        (!connected.is_empty()).then(|| pick(&mut self.rng, &connected))
    }

    /// A user's link, preferably one that was not followed yet.
    fn link(&mut self) -> Option<usize> {
        let state = self.world.lock();
        let links = &state.users.links;
        let new: Vec<usize> = (0..links.len())
            .filter(|link| links[*link].is_new())
            .collect();
        if !new.is_empty() && self.rng.random_bool(0.7) {
            return Some(pick(&mut self.rng, &new));
        }
        (!links.is_empty()).then(|| self.rng.random_range(0..links.len()))
    }

    pub(super) fn machine(&mut self) -> usize {
        self.rng.random_range(0..self.machines.len())
    }

    pub(super) fn spawn(
        &mut self,
        machine: usize,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.machines[machine].tasks.push(tokio::spawn(work));
    }

    fn step(&mut self) {
        let machine = self.machine();
        let running = self.machines[machine].machine.clone();
        let user = self.user();
        if api::step(self, machine, user) {
            return;
        }
        match self.rng.random_range(0..100) {
            0..7 => self.spawn(machine, running.begin(user)),
            7..10 => {
                let other = self.machine();
                let other = self.machines[other].machine.clone();
                self.spawn(machine, running.begin_hastily(other, user));
            }
            10..23 => {
                let Some(link) = self.link() else {
                    return self.spawn(machine, running.begin(user));
                };
                let drop = Drop::any(&mut self.rng);
                let then = Then::any(&mut self.rng);
                self.spawn(machine, running.clone().receive(link, drop, then));
                match self.rng.random_range(0..4) {
                    0 => {
                        let other = self.machine();
                        let racing = self.machines[other].machine.clone();
                        self.spawn(other, racing.receive(link, Drop::Never, Then::Nothing));
                    }
                    1 if self.machines.len() > 1 => {
                        let other = (machine + 1) % self.machines.len();
                        let also = self.machines[other].machine.clone();
                        let delay = Duration::from_millis(self.rng.random_range(500..20_000));
                        self.spawn(other, also.push_for_link(link, delay));
                        self.spawn(machine, running.pause_at("replace"));
                    }
                    _ => {}
                }
            }
            23..25 => {
                if let Some(link) = self.link() {
                    self.spawn(machine, running.decline(link));
                }
            }
            25..28 => {
                if let Some(link) = self.link() {
                    let rng = StdRng::seed_from_u64(self.rng.random());
                    self.spawn(machine, running.receive_late(link, rng));
                }
            }
            28..40 => {
                if let Some(link) = self.link() {
                    let rng = StdRng::seed_from_u64(self.rng.random());
                    self.spawn(machine, running.connect_by_hand(link, rng));
                }
            }
            40..58 => {
                let pushing = Pushing {
                    user,
                    shape: Shape::any(&mut self.rng),
                    drop: Drop::any(&mut self.rng),
                    reuses: self.rng.random_bool(0.6),
                    size: pick(&mut self.rng, &[0, 100, 1000, 600_000]),
                };
                self.spawn(machine, running.push(pushing.clone()));
                if self.rng.random_bool(0.3) {
                    let other = self.machine();
                    let also = self.machines[other].machine.clone();
                    self.spawn(other, also.push(pushing));
                }
            }
            67..69 if self.has_refreshes => {
                let drop = Drop::any(&mut self.rng);
                self.spawn(machine, running.refresh(user, drop));
            }
            69 if self.has_refreshes => {
                let user = self.connected_user().unwrap_or(user);
                let rng = StdRng::seed_from_u64(self.rng.random());
                self.spawn(machine, running.refresh_late(user, rng));
            }
            58..67 if self.has_refreshes && self.machines.len() > 1 => {
                let other = (machine + 1) % self.machines.len();
                let other = self.machines[other].machine.clone();
                let user = self.connected_user().unwrap_or(user);
                let rng = StdRng::seed_from_u64(self.rng.random());
                self.spawn(machine, running.be_overtaken(other, user, rng));
            }
            70 => self.spawn(machine, running.forget(user)),
            71..80 => self.something_ends(user),
            _ => self.something_fails(machine),
        }
    }

    /// Ends a session, token, consent or key of the platform early.
    fn something_ends(&mut self, user: usize) {
        let mut state = self.world.lock();
        let line = match self.rng.random_range(0..11) {
            0 => {
                state.users.all[user].has_withdrawn = true;
                state.platform.withdraw(user);
                format!("{} withdraws consent", name(user))
            }
            1..5 => {
                state.platform.expire_access_tokens(user);
                format!("tokens of {} expire", name(user))
            }
            5..8 => {
                state.platform.change_key();
                "the platform's key is changed".to_owned()
            }
            _ => {
                state.platform.end_sessions();
                "sessions end".to_owned()
            }
        };
        drop(state);
        self.world.log(line);
    }

    /// Makes a machine or a connection fail, or work again.
    fn something_fails(&mut self, machine: usize) {
        let host = self.machines[machine].machine.host.clone();
        let fails = self.rng.random();
        match self.rng.random_range(0..20) {
            0..4 => {
                self.world.log(format!("{host:?} pauses"));
                host.pause();
            }
            4..7 => {
                self.world.log("all resume");
                for running in &self.machines {
                    running.machine.host.resume();
                }
            }
            7..10 if self.has_crashes => self.crash(machine),
            10..12 => {
                self.world
                    .log(format!("{host:?} is cut from the store: {fails}"));
                host.cut_from_store(fails);
            }
            12..14 => {
                self.world
                    .log(format!("{host:?} is cut from the platform: {fails}"));
                host.cut_from_platform(fails);
            }
            14..17 => {
                self.world.log(format!("the store is away: {fails}"));
                self.world.lock().weather.store_is_away = fails;
            }
            17..19 => {
                self.world.log(format!("the platform is away: {fails}"));
                self.world.lock().weather.platform_is_away = fails;
            }
            _ => {
                self.world.log(format!("the signers are away: {fails}"));
                self.world.lock().weather.signer_is_away = fails;
            }
        }
    }

    /// A machine dies, and another takes its place.
    fn crash(&mut self, machine: usize) {
        let fresh = self.start_machine();
        let dead = std::mem::replace(&mut self.machines[machine], fresh);
        let host = &dead.machine.host;
        self.world.log(format!("{host:?} dies"));
        host.die();
        dead.tasks.iter().for_each(JoinHandle::abort);
        self.world.machine_is_gone(host);
    }

    /// Ends all faults, waits, and makes the final checks.
    async fn end(&mut self) {
        self.world.log("all faults are over");
        let calm_at = self.world.time();
        self.world.lock().weather.calm_down();
        for running in &self.machines {
            let host = &running.machine.host;
            host.resume();
            host.cut_from_platform(false);
            host.cut_from_store(false);
        }
        sleep(PUSH * 2).await;
        self.check();
        self.check_silence().await;
        if self.is_broken() {
            return;
        }
        let sound = Machine::start(&self.world, self.started + 1, SetUp::default());
        self.check_forgotten();
        let links = self.world.lock().users.links.len();
        for link in 0..links {
            sound.receive_at_last(link, calm_at).await;
        }
        let users = self.world.lock().users.all.len();
        for user in 0..users {
            if self.must_have_consent(user) {
                sound.push_at_last(user).await;
            }
        }
        api::end(&sound).await;
        self.check();
    }

    /// Whether no call is running, no tokens wait to be saved, and nothing is sent.
    async fn check_silence(&mut self) {
        let (are_running, before) = {
            let state = self.world.lock();
            (state.book.are_calls_running(), state.platform.requests())
        };
        if are_running {
            self.world
                .violation("4: a call has not ended although nothing is left to wait for".into());
        }
        sleep(PATIENCE * 2).await;
        if self.world.lock().platform.requests() != before {
            self.world
                .violation("4: requests are sent although no call is running".into());
        }
        for running in &mut self.machines {
            let unsaved = running.machine.tokens.unsaved();
            if unsaved > 0 {
                self.world
                    .violation(format!("3: {unsaved} tokens are not saved at the end"));
            }
        }
    }

    fn check_forgotten(&self) {
        let state = self.world.lock();
        let known = state.users.all.iter().enumerate();
        let wrong: Vec<String> = known
            .filter(|(number, user)| {
                user.forgotten_for_good == Some(state.platform.grants_of(*number))
                    && state.records.of(&name(*number)).is_some()
            })
            .map(|(number, _)| format!("{} was forgotten and is in the store", name(number)))
            .collect();
        drop(state);
        for wrong in wrong {
            self.world.violation(wrong);
        }
    }

    /// Whether a user's last consent must be usable: tokens were issued for it, and nothing excuses their loss.
    fn must_have_consent(&self, user: usize) -> bool {
        let state = self.world.lock();
        let known = &state.users.all[user];
        if known.is_forgotten || known.is_muddled {
            return false;
        }
        let mut grants = state.platform.grants.iter().enumerate();
        let Some((number, grant)) = grants.rfind(|(_, grant)| grant.user == user) else {
            return false;
        };
        let is_given_up =
            state.users.links.iter().any(|link| {
                link.is_given_up && state.platform.codes[&link.code].grant == Some(number)
            });
        // The platform's time decides which of two consents is the later one.
        let is_order_known =
            state.weather.dates == Dates::Right || state.platform.grants_of(user) == 1;
        !grant.has_ended(self.world.millis())
            && grant.excuse.is_none()
            && !is_given_up
            && is_order_known
    }
}
