//! What a customer sees: the orders, which receipts are saved, and until when the consent lasts.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, Redirect};
use axum::{Form, Json};
use digime_import::ConnectionEnd;
use digime_outbox::State as Way;
use serde::Deserialize;
use serde_json::{Value, json};
use tower_sessions::Session;

use crate::api::Api;
use crate::app::App;
use crate::db::orders::Order;
use crate::digi_me::Consent;
use crate::page::{Frame, PageError, date, html};
use crate::tenant::Tenant;
use crate::{receipts, session};

#[derive(Template)]
#[template(path = "receipts.html")]
struct Receipts<'a> {
    frame: Frame,
    tenant: &'a Tenant,
    standing: Standing,
    api: Api,
    orders: Vec<Row>,
    /// How many receipts wait for a consent.
    waiting: usize,
    /// What the page asks for until it changes. `None` if nothing is on its way.
    status: Option<String>,
}

/// An order, and where its receipt is.
struct Row {
    order: Order,
    /// As in the classes of the page.
    state: &'static str,
    text: &'static str,
}

impl Row {
    fn of((order, way): (Order, Option<Way>)) -> Self {
        let (state, text) = match way {
            None => ("not-saved", "not saved"),
            Some(Way::Delivered) => ("saved", "saved"),
            Some(Way::AwaitingConsent) => ("consent", "waits for your consent"),
            Some(Way::GivenUp) => ("failed", "not saved yet; we look into it"),
            Some(_) => ("waiting", "on its way"),
        };
        Self { order, state, text }
    }
}

/// Whether receipts can be saved.
enum Standing {
    /// The customer has never asked for it, or has taken it back.
    None,
    Connected(Consent),
    /// A consent was given, and has ended. digi.me may have said when.
    Ended(Option<Consent>),
    /// The customer has asked that everything is deleted, which is not finished.
    Leaving,
}

impl Standing {
    async fn of(app: &App, tenant: &Tenant, customer: &str) -> Result<Self, PageError> {
        if app.db.is_leaving(&tenant.slug, customer).await? {
            return Ok(Self::Leaving);
        }
        let consent = app.digi_me.consent(tenant, customer).await?;
        let saves = app.db.saves_receipts(&tenant.slug, customer).await?;
        let Some(consent) = consent else {
            return Ok(if saves { Self::Ended(None) } else { Self::None });
        };
        if !saves && !receipts::note_missed_consent(app, tenant, customer).await? {
            return Ok(Self::None);
        }
        Ok(if consent.has_ended {
            Self::Ended(Some(consent))
        } else {
            Self::Connected(consent)
        })
    }
}

impl Consent {
    fn given_on(&self) -> Option<String> {
        self.since.map(date)
    }

    fn ends_on(&self) -> Option<String> {
        self.ends.map(date)
    }
}

pub async fn receipts(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
) -> Result<Html<String>, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let mut standing = Standing::None;
    let mut orders = Vec::new();
    if let Some(customer) = session::customer(&session).await? {
        standing = Standing::of(&app, tenant, &customer).await?;
        orders = rows(&app, tenant, &customer).await?;
    }
    let is_on_its_way = orders.iter().any(|row| row.state == "waiting");
    let status = is_on_its_way.then(|| summary(&orders));
    html(&Receipts {
        frame: Frame::of_customer(&app, tenant, &session).await?,
        tenant,
        standing,
        api: app.config.api,
        waiting: orders.iter().filter(|row| row.state == "consent").count(),
        orders,
        status,
    })
}

pub async fn status(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
) -> Result<Json<Value>, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let customer = session::customer(&session)
        .await?
        .ok_or(PageError::NotFound)?;
    let orders = rows(&app, tenant, &customer).await?;
    Ok(Json(json!({ "status": summary(&orders) })))
}

async fn rows(app: &App, tenant: &Tenant, customer: &str) -> Result<Vec<Row>, PageError> {
    let orders = receipts::of_customer(app, tenant, customer).await?;
    Ok(orders.into_iter().map(Row::of).collect())
}

/// How many receipts are in which state, as in `2 saved, 1 waiting`.
fn summary(orders: &[Row]) -> String {
    let mut counts = BTreeMap::new();
    for row in orders {
        *counts.entry(row.state).or_insert(0) += 1;
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    counts.join(", ")
}

/// Takes the consent back, as far as the shop is concerned: it forgets the tokens, and what waits.
pub async fn disconnect(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
) -> Result<Redirect, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    if let Some(customer) = session::customer(&session).await? {
        receipts::disconnect(&app, tenant, &customer).await?;
    }
    Ok(Redirect::to(&format!("/{slug}/receipts")))
}

#[derive(Deserialize)]
pub struct Deletion {
    /// The customer knows that it can't be undone.
    #[serde(default)]
    is_sure: bool,
}

/// Deletes everything at digi.me.
pub async fn delete(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
    Form(form): Form<Deletion>,
) -> Result<Redirect, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let receipts = Redirect::to(&format!("/{slug}/receipts"));
    let Some(customer) = session::customer(&session).await? else {
        return Ok(receipts);
    };
    // Whoever has begun is sure.
    if !form.is_sure && !app.db.is_leaving(&slug, &customer).await? {
        return Ok(receipts);
    }
    Ok(match receipts::delete(&app, tenant, &customer).await {
        Ok(Some(ConnectionEnd::Deleted)) => Redirect::to(&format!("/{slug}/deleted/all")),
        Ok(Some(_)) => Redirect::to(&format!("/{slug}/deleted/before")),
        Ok(None) => return Err(PageError::NotFound),
        // The page says that it is not finished.
        Err(PageError::TryAgain) => receipts,
        Err(error) => return Err(error),
    })
}

#[derive(Template)]
#[template(path = "deleted.html")]
struct Deleted<'a> {
    frame: Frame,
    tenant: &'a Tenant,
    /// Whether it was deleted by this request. Otherwise the consent was over before.
    is_by_this_request: bool,
}

/// How a deletion has ended. The page can be loaded again.
pub async fn deleted(
    State(app): State<Arc<App>>,
    Path((slug, end)): Path<(String, String)>,
) -> Result<Html<String>, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let is_by_this_request = match &*end {
        "all" => true,
        "before" => false,
        _ => return Err(PageError::NotFound),
    };
    html(&Deleted {
        frame: Frame::of(&app),
        tenant,
        is_by_this_request,
    })
}
