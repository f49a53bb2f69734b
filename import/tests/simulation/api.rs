//! What differs from the flow of `digime`: the contract, the calls, and the steps of a run.

use std::sync::Arc;

use digime::push::PushMany;
use digime::store::ParkedFlows;
use digime::url::Url;
use digime::{
    ApplicationId, Callback, ClientBuilder, ContractId, Delivery, Error, Flow, PostboxItem,
    RedirectUri, Rejected, Verifier, digime_contract,
};
use digime_import::{AwaitingConsent, Import, ImportError, ImportFlow, OnboardingUrl};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::application::{Authorization, Drop, Waiting, name};
use super::host::SetUp;
use super::invariants::CALL;
use super::machine::{Hsm, Machine};
use super::schedule::Run;
use super::weather::Dates;
use super::wire::person;
use super::world::State;

pub(super) use digime_import::Connected;

pub(super) use super::endings::{Notes, has_arrived};
pub(super) use super::wire::{
    Terms, act, consented, declined, destination, expired, names_redirect_uri, pushed,
    refuse_session,
};

/// How long runs are made by default.
pub(super) const DEFAULT_SECONDS: u64 = 20;

pub(super) const BASE_URL: &str = "http://127.0.0.1:9/v1.7";

/// The parameter of a page that has the code of the authorization.
pub(super) const CODE_OF_LINK: &str = "code";

pub(super) type Awaiting = AwaitingConsent<Verifier>;

#[digime_contract(kind = Import)]
#[derive(Clone)]
pub(super) struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: Hsm,
    redirect_uri: RedirectUri,
}

impl Receipts {
    pub(super) fn new(private_key: Hsm, redirect_uri: RedirectUri) -> Self {
        Self {
            application_id: ApplicationId::new("shop").expect("an id"),
            contract_id: ContractId::new("receipts").expect("an id"),
            private_key,
            redirect_uri,
        }
    }
}

pub(super) fn client() -> ClientBuilder {
    let pages = OnboardingUrl::new("http://127.0.0.1:9/apps/saas/").expect("a URL");
    digime_import::client().base_url(BASE_URL).extension(pages)
}

impl Machine {
    /// Asks for consent.
    pub(super) async fn ask(&self, user: usize) -> Option<(Waiting, Url)> {
        let flow = self.contract.flow(&self.client);
        let awaiting = self.call("authorize", CALL, flow.authorize()).await.ok()?;
        let url = awaiting.url().clone();
        Some((awaiting.suspend().with(name(user)), url))
    }
}

/// Takes the flow that waits for a callback.
pub(super) async fn claim(
    machine: &Machine,
    callback: &Callback,
) -> Result<(Flow<Receipts, Awaiting>, String), Error> {
    let flows = ParkedFlows::new(machine.store());
    let state = callback.state().unwrap_or_default();
    flows
        .claim_by_key(state, &machine.contract, &machine.client)
        .await
}

pub(super) async fn exchange_code(
    flow: Flow<Receipts, Awaiting>,
    callback: Callback,
) -> Result<Authorization, Rejected<Flow<Receipts, Awaiting>>> {
    flow.exchange_code(callback).await
}

pub(super) async fn push(flow: &Authorization, item: PostboxItem) -> Result<Delivery, Error> {
    flow.push(item).await
}

pub(super) fn push_many(flow: &Authorization, items: Vec<PostboxItem>) -> PushMany<'_> {
    flow.push_many(items)
}

pub(super) async fn refresh(flow: &Authorization) -> Result<(), Error> {
    flow.refresh().await.map(drop)
}

/// An item whose name and size are described, since the platform learns neither.
pub(super) fn item(name: &str, size: usize, user: usize) -> PostboxItem {
    PostboxItem::bytes(name, vec![7; size])
        .account(destination(user))
        .reference(name)
        .tag(size.to_string())
}

pub(super) fn belongs_to(flow: &Authorization, user: usize) -> bool {
    let id = flow.as_state().person_id();
    id.is_none_or(|id| id == person(user))
}

/// Whether an exchange brought the tokens of another user than the one who was asked.
pub(super) fn is_another_users(error: &Error) -> bool {
    matches!(error.as_extension(), Some(ImportError::AnotherPerson))
}

/// What is wrong with the store, beyond what is wrong for every flow.
pub(super) fn wrong_records(state: &mut State) -> Vec<String> {
    let mut wrong = state.lying_records();
    wrong.extend(state.lost_records());
    wrong
}

/// Takes a step that only this flow has. False if it takes none.
pub(super) fn step(run: &mut Run, machine: usize, user: usize) -> bool {
    let running = run.machines[machine].machine.clone();
    let connected = run.connected_user().unwrap_or(user);
    match run.rng.random_range(0..100) {
        0..9 => {
            let logs_in = run.log_in(connected);
            let reuses = run.rng.random_bool(0.5);
            run.spawn(machine, running.renew(connected, logs_in, reuses));
        }
        9..13 => {
            run.world.lock().platform.lapse(connected);
            run.world
                .log(format!("the consent of {} lapses", name(connected)));
        }
        13..15 => {
            let drop = Drop::any(&mut run.rng);
            if run.rng.random_bool(0.3) {
                run.spawn(machine, running.clone().pause_at("replace"));
            }
            run.spawn(machine, running.end_connection(connected, drop));
        }
        15..18 if run.machines.len() > 1 => {
            let other = (machine + 1) % run.machines.len();
            let other = run.machines[other].machine.clone();
            let rng = StdRng::seed_from_u64(run.rng.random());
            run.spawn(
                machine,
                running.be_overtaken_by_the_end(other, connected, rng),
            );
        }
        18..21 => run.spawn(machine, running.attach(connected)),
        _ => return false,
    }
    true
}

/// Makes checks that only this flow has, after all others.
pub(super) async fn end(sound: &Arc<Machine>) {
    let users = sound.world.lock().users.all.len();
    // Without a date, nothing tells a machine that its clock is behind.
    sound.world.lock().weather.dates = Dates::Missing;
    let clock_ahead = -240_000;
    let set_up = SetUp {
        clock_ahead,
        ..SetUp::default()
    };
    let late = Machine::start(&sound.world, sound.host.id + 1, set_up);
    for user in 0..users {
        sound.renew_at_last(user).await;
        late.renew_at_last(user).await;
        sound.end_at_last(user).await;
    }
}
