//! What the shop asks of digi.me. Only this module calls one API or the other; everything that both have is written once, for any
//! contract whose consent lasts.

mod import;
mod postbox;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use digime::push::Pushes;
use digime::store::{Connection, ParkedFlows, SharedTokens, Store};
use digime::suspended::Parkable;
use digime::tokens::TokenContract;
use digime::{Callback, Client, ClientBuilder, Error, Suspended};
use digime_import::{ConnectionEnd, ImportFlow, OnboardingUrl, end_connection, lapsing_soon};
use digime_outbox::{ConnectedUsers, Outbox};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::config::Config;
use crate::tenant::Tenant;

pub use import::ImportContract;
pub use postbox::PostboxContract;

/// How many receipts are pushed at once.
const PUSHES: usize = 8;

/// How long pushes in progress may take after the shop was asked to stop. One that is cut off is repeated by another process.
const LAST_PUSHES: Duration = Duration::from_secs(10);

/// How long a consent to a postbox usually lasts. digi.me does not say when it ends, and a refresh does not lengthen it.
const USUAL_CONSENT: Duration = Duration::from_hours(30 * 24);

type Tokens = SharedTokens<Arc<dyn Store>>;

pub struct DigiMe {
    pub tokens: Tokens,
    client: Client,
    flows: ParkedFlows<Arc<dyn Store>>,
    contracts: Contracts,
    notice: Duration,
}

/// The contracts of all tenants, by their slugs.
enum Contracts {
    Postbox(BTreeMap<String, PostboxContract>),
    Import(BTreeMap<String, ImportContract>),
}

/// Runs the same code for the contracts of either API. Their types differ, so a function can't.
macro_rules! with {
    ($digi_me:expr, $contracts:ident => $call:expr) => {
        match &$digi_me.contracts {
            Contracts::Postbox($contracts) => $call,
            Contracts::Import($contracts) => $call,
        }
    };
}

/// What a customer has to open in order to consent.
pub struct Asked {
    /// `digime://…` for the digi.me app, or a page of digi.me.
    pub link: String,
    /// What the callback brings back.
    pub state: String,
    pub expires_at: SystemTime,
}

/// What is known of the consent of a customer who is connected.
#[derive(Clone, Copy, Debug)]
pub struct Consent {
    pub since: Option<SystemTime>,
    pub ends: Option<SystemTime>,
    /// Whether digi.me has said when it ends. Otherwise it is what is usual.
    pub is_exact: bool,
    pub ends_soon: bool,
    /// It can be renewed nevertheless.
    pub has_ended: bool,
}

/// A consent that ends soon, or has ended.
pub struct Lapsing {
    /// The tenant's slug.
    pub tenant: String,
    pub customer: String,
    pub ends: Option<SystemTime>,
}

impl DigiMe {
    /// # Errors
    /// An error that names the setting that can't be used.
    pub fn new(config: &Config, store: Arc<dyn Store>) -> Result<Self> {
        let contracts = match config.api {
            Api::Postbox => Contracts::Postbox(by_slug(&config.tenants, PostboxContract::of)),
            Api::Import => Contracts::Import(by_slug(&config.tenants, ImportContract::of)),
        };
        let client = builder(config)?.build();
        Ok(Self {
            tokens: SharedTokens::new(store.clone()),
            client: client.context("`base_url` can't be used")?,
            flows: ParkedFlows::new(store),
            contracts,
            notice: config.consent_notice,
        })
    }

    /// Asks for a consent, or for a new one in place of that which the customer has given, and parks the flow until it is called
    /// back.
    pub async fn ask(&self, tenant: &Tenant, customer: &str) -> Result<Asked, Error> {
        let customer = customer.to_owned();
        match &self.contracts {
            Contracts::Postbox(contracts) => {
                let contract = &contracts[&tenant.slug];
                let awaiting = contract.ask(&self.client).await?;
                let (link, state) = (awaiting.url().to_string(), awaiting.state().to_owned());
                self.park(link, state, awaiting.suspend().with(customer))
                    .await
            }
            Contracts::Import(contracts) => {
                let contract = &contracts[&tenant.slug];
                let asking = contract.ask(&self.tokens, &self.client, &customer);
                let awaiting = asking.await?;
                let (link, state) = (awaiting.url().to_string(), awaiting.state().to_owned());
                self.park(link, state, awaiting.suspend().with(customer))
                    .await
            }
        }
    }

    async fn park<C, P: Parkable>(
        &self,
        link: String,
        state: String,
        flow: Suspended<C, P, String>,
    ) -> Result<Asked, Error> {
        let expires_at = flow.expires_at().unwrap_or_else(SystemTime::now);
        self.flows.park(flow).await?;
        Ok(Asked {
            link,
            state,
            expires_at,
        })
    }

    /// Takes the callback of whichever tenant's flow waits for it, and returns the customer, who is connected now. `None` if no
    /// flow waits.
    pub async fn called_back(&self, callback: Callback) -> Result<Option<String>, Error> {
        with!(self, contracts => self.receive(callback, contracts).await)
    }

    async fn receive<C: TokenContract + Sync + 'static>(
        &self,
        callback: Callback,
        contracts: &BTreeMap<String, C>,
    ) -> Result<Option<String>, Error> {
        let contract = self.flows.contract_of(&callback, contracts.values());
        let Some(contract) = contract.await? else {
            return Ok(None);
        };
        let user = |customer: &String| customer.clone();
        let receiving = self
            .tokens
            .receive_callback(callback, contract, &self.client, user);
        let (_connected, customer) = receiving.await?;
        Ok(Some(customer))
    }

    /// What is known of a customer's consent. `None` if the customer is not connected.
    pub async fn consent(&self, tenant: &Tenant, customer: &str) -> Result<Option<Consent>, Error> {
        let connection = with!(self, contracts => {
            self.tokens.connection(customer, &contracts[&tenant.slug]).await?
        });
        Ok(connection.map(|connection| self.consent_of(&connection)))
    }

    /// Digi.me's clock decides, which this machine's may differ from.
    fn consent_of(&self, connection: &Connection) -> Consent {
        let now = self.client.platform_clock();
        let (since, exact) = (connection.consented_at(), connection.consent_expires_at());
        let ends = exact.or_else(|| since.map(|since| since + USUAL_CONSENT));
        Consent {
            since,
            ends,
            is_exact: exact.is_some(),
            ends_soon: ends.is_some_and(|ends| ends <= now + self.notice),
            has_ended: connection.has_ended(&self.client),
        }
    }

    /// The customers of a tenant who are connected.
    pub fn connections(
        &self,
        tenant: &Tenant,
    ) -> BoxStream<'_, Result<(String, Connection), Error>> {
        with!(self, contracts => self.tokens.connections(&contracts[&tenant.slug]))
    }

    /// Forgets the customer's tokens. What is in the person's digi.me stays there.
    pub async fn forget(&self, tenant: &Tenant, customer: &str) -> Result<(), Error> {
        with!(self, contracts => self.tokens.forget(customer, &contracts[&tenant.slug]).await)
    }

    /// Deletes the person's library at digi.me, and then the customer's tokens. `None` by API 1.5, which has no such call.
    pub async fn delete(
        &self,
        tenant: &Tenant,
        customer: &str,
    ) -> Result<Option<ConnectionEnd>, Error> {
        let Contracts::Import(contracts) = &self.contracts else {
            return Ok(None);
        };
        let contract = &contracts[&tenant.slug];
        let end = end_connection(&self.tokens, customer, contract, &self.client).await?;
        Ok(Some(end))
    }

    /// Tells of each consent that ends soon. By API 1.5 it never does, since digi.me does not say when a consent ends.
    pub fn lapsing_soon(&self) -> BoxStream<'_, Result<Lapsing, Error>> {
        let Contracts::Import(contracts) = &self.contracts else {
            return stream::pending().boxed();
        };
        let of_tenant = |(slug, contract)| {
            let lapsing = lapsing_soon(&self.tokens, contract, &self.client, self.notice);
            let lapsing = lapsing.map_ok(move |(customer, connection)| Lapsing {
                tenant: String::clone(slug),
                customer,
                ends: connection.consent_expires_at(),
            });
            lapsing.boxed()
        };
        stream::select_all(contracts.iter().map(of_tenant)).boxed()
    }

    /// Pushes what is in the outbox, also what other processes have put there, until `stop` is cancelled.
    pub async fn push(&self, outbox: &Outbox, stop: CancellationToken) {
        with!(self, contracts => self.push_under(contracts, outbox, stop).await);
    }

    async fn push_under<C>(
        &self,
        contracts: &BTreeMap<String, C>,
        outbox: &Outbox,
        stop: CancellationToken,
    ) where
        C: TokenContract<Granted: Pushes> + Clone + Send + Sync + 'static,
    {
        let contracts = contracts.values().cloned();
        let users = ConnectedUsers::new(self.tokens.clone(), self.client.clone(), contracts);
        outbox
            .worker(users)
            .concurrency(PUSHES)
            .grace(LAST_PUSHES)
            .run_until(stop.cancelled_owned())
            .await;
    }
}

fn by_slug<C>(tenants: &[Tenant], contract: impl Fn(&Tenant) -> C) -> BTreeMap<String, C> {
    let by_slug = |tenant: &Tenant| (tenant.slug.clone(), contract(tenant));
    tenants.iter().map(by_slug).collect()
}

/// The client, for whichever platform the settings name.
fn builder(config: &Config) -> Result<ClientBuilder> {
    let mut builder = match config.api {
        Api::Postbox => Client::builder(),
        Api::Import => digime_import::client(),
    };
    if let Some(base_url) = &config.base_url {
        builder = builder.base_url(base_url);
    }
    if let Some(host) = &config.dangerously_allow_http_to {
        builder = builder.dangerously_allow_http_to(host);
    }
    if let Some(pages) = &config.onboarding_url {
        let allowed = config.dangerously_allow_http_to.as_deref();
        let pages = if allowed.is_some() && pages.host_str() == allowed {
            OnboardingUrl::dangerously_over_http(pages)
        } else {
            OnboardingUrl::new(pages)
        };
        builder = builder.extension(pages.context("`onboarding_url` can't be used")?);
    }
    Ok(builder)
}
