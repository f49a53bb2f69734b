//! The receipts that customers save: what is put into the outbox, what takes it out, and what its pages show.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use digime::{Contract, PostboxItem};
use rand::seq::IndexedRandom;

use crate::app::App;
use crate::db::orders::{self, Order};
use crate::db::{millis, on};
use crate::outbox_stub::{Done, Entry, State};
use crate::page::{PageError, date_and_time};
use crate::tenant::{Product, Tenant};

#[derive(Template)]
#[template(path = "receipt.txt", escape = "none")]
struct Receipt<'a> {
    tenant: &'a Tenant,
    order: &'a Order,
    line: String,
    ordered_at: String,
}

pub async fn order(app: &App, tenant: &Tenant, customer: &str, product: &Product) -> Result<Order, PageError> {
    let order = Order {
        id: number(),
        tenant: tenant.slug.clone(),
        customer: customer.to_owned(),
        product: product.name.clone(),
        cents: product.price.0.into(),
        ordered_at: millis(SystemTime::now()),
    };
    on!(&app.db, pool => {
        let mut tx = pool.begin_with(app.db.begin()).await?;
        sqlx::query(orders::INSERT)
            .bind(&order.id)
            .bind(&order.tenant)
            .bind(&order.customer)
            .bind(&order.product)
            .bind(order.cents)
            .bind(order.ordered_at)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    });
    if app.db.is_saver(&tenant.slug, customer).await? {
        put(app, tenant, &order).await;
    }
    Ok(order)
}

async fn put(app: &App, tenant: &Tenant, order: &Order) {
    let receipt = Receipt { tenant, order, line: "=".repeat(tenant.name.chars().count()), ordered_at: date_and_time(order.time()) };
    app.outbox.enqueue(order.id.clone(), order.customer.clone(), tenant.contract_id().to_string(), format!("receipt-{}.txt", order.id), receipt.render().unwrap().into_bytes()).await;
}

pub async fn connected(app: &App, tenant: &Tenant, customer: &str) -> Result<(), PageError> {
    app.db.note_connected(&tenant.slug, customer).await?;
    on!(&app.db, pool => sqlx::query("INSERT INTO shop_savers (tenant, customer) VALUES ($1, $2) ON CONFLICT DO NOTHING").bind(&tenant.slug).bind(customer).execute(pool).await.map(drop))?;
    for order in app.db.orders(&tenant.slug, customer).await? {
        put(app, tenant, &order).await;
    }
    app.outbox.connected(customer, tenant.contract_id().as_str()).await;
    Ok(())
}

pub async fn disconnect(app: &App, tenant: &Tenant, customer: &str) -> Result<(), PageError> {
    app.tokens.forget(customer, tenant).await?;
    on!(&app.db, pool => sqlx::query("DELETE FROM shop_savers WHERE tenant = $1 AND customer = $2").bind(&tenant.slug).bind(customer).execute(pool).await.map(drop))?;
    Ok(())
}

pub fn deliver(app: Arc<App>) -> impl Fn(Entry) -> futures_util::future::BoxFuture<'static, Done> {
    move |entry| {
        let app = app.clone();
        Box::pin(async move {
            let Some(tenant) = app.config.tenants.iter().find(|t| t.contract_id.as_str() == entry.contract) else { return Done::Failed("no tenant".into()) };
            match app.tokens.find(&entry.user, tenant, &app.client).await {
                Ok(None) => Done::NeedsConsent,
                Err(e) => Done::Transient(e.report().to_string()),
                Ok(Some(flow)) => match flow.push(PostboxItem::bytes(entry.name, entry.bytes).account(entry.user).reference(entry.reference)).await {
                    Ok(_) => Done::Delivered,
                    Err(e) if matches!(e.reason(), digime::Error::ConsentEnded{..}) => Done::NeedsConsent,
                    Err(e) => Done::Failed(e.report().to_string()),
                },
            }
        })
    }
}

fn number() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    (0..8).filter_map(|_| LETTERS.choose(&mut random)).map(|&letter| char::from(letter)).collect()
}

/// Whether a receipt is in the person's digi.me.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// The customer has not asked for it.
    Not,
    Waiting,
    /// It waits until the customer consents again.
    WaitsForConsent,
    Saved,
    Failed,
}

impl Saving {
    /// As in the pages' classes.
    pub fn class(self) -> &'static str {
        match self {
            Self::Not => "not-saved",
            Self::Waiting => "waiting",
            Self::WaitsForConsent => "consent",
            Self::Saved => "saved",
            Self::Failed => "failed",
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Self::Not => "not saved",
            Self::Waiting => "on its way",
            Self::WaitsForConsent => "waits for your consent",
            Self::Saved => "saved",
            Self::Failed => "could not be saved; we look into it",
        }
    }
}

pub async fn of_customer(app: &App, tenant: &Tenant, customer: &str) -> Result<Vec<(Order, Saving)>, PageError> {
    let entries = app.outbox.list().await;
    Ok(app.db.orders(&tenant.slug, customer).await?.into_iter().map(|order| {
        let saving = entries.iter().find(|e| e.reference == order.id).map_or(Saving::Not, |e| match e.state {
            State::Waiting => Saving::Waiting, State::NeedsConsent => Saving::WaitsForConsent, State::Delivered => Saving::Saved, State::Failed => Saving::Failed });
        (order, saving)
    }).collect())
}

pub struct Row { pub id: u64, pub reference: String, pub tenant: String, pub customer: String, pub state: &'static str, pub why: Option<String>, pub attempts: u32 }
impl Row { pub fn is_open(&self) -> bool { self.state != "delivered" } }
fn name(s: State) -> &'static str { match s { State::Waiting => "waiting", State::NeedsConsent => "consent", State::Delivered => "delivered", State::Failed => "failed" } }
pub async fn rows(app: &App, _n: usize) -> Result<Vec<Row>, PageError> {
    Ok(app.outbox.list().await.into_iter().rev().map(|e| Row { id: e.id, reference: e.reference, tenant: e.contract, customer: e.user, state: name(e.state), why: e.last_error, attempts: e.attempts }).collect())
}
pub fn named(counts: &[Entry]) -> Vec<(&'static str, u64)> {
    [State::Waiting, State::NeedsConsent, State::Failed, State::Delivered].map(|s| (name(s), counts.iter().filter(|e| e.state == s).count() as u64)).to_vec()
}
