//! What a customer sees: the orders, which receipts are saved, and until when the consent lasts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{Html, Redirect};
use digime_outbox::State as Way;
use serde_json::{Value, json};
use tower_sessions::Session;

use crate::app::App;
use crate::db::orders::Order;
use crate::page::{Frame, PageError, date, html};
use crate::tenant::Tenant;
use crate::{receipts, session};

/// How long a consent usually lasts on digi.me. A refresh of the tokens does not lengthen it.
const CONSENT: Duration = Duration::from_hours(30 * 24);

/// When to ask again, so that no receipt has to wait.
const ASK_AGAIN: Duration = Duration::from_hours(23 * 24);

#[derive(Template)]
#[template(path = "receipts.html")]
struct Receipts<'a> {
    frame: Frame,
    tenant: &'a Tenant,
    consent: Consent,
    orders: Vec<Row>,
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
enum Consent {
    /// The customer has never asked for it, or has taken it back.
    None,
    Given {
        since: Option<SystemTime>,
        ends_soon: bool,
    },
    /// It was given, and has ended.
    Ended,
}

impl Consent {
    async fn of(app: &App, tenant: &Tenant, customer: &str) -> Result<Self, PageError> {
        let connection = app.tokens.connection(customer, tenant).await?;
        let saves = app.db.saves_receipts(&tenant.slug, customer).await?;
        Ok(match connection {
            None if saves => Self::Ended,
            None => Self::None,
            Some(connection) => {
                if !saves && !receipts::note_missed_consent(app, tenant, customer).await? {
                    return Ok(Self::None);
                }
                let since = connection.consented_at();
                let age = since.and_then(|since| since.elapsed().ok());
                let ends_soon = age.is_some_and(|age| age > ASK_AGAIN);
                Self::Given { since, ends_soon }
            }
        })
    }

    fn given_on(&self) -> Option<String> {
        match self {
            Self::Given { since, .. } => since.map(date),
            _ => None,
        }
    }

    fn ends_about(&self) -> Option<String> {
        match self {
            Self::Given { since, .. } => since.map(|since| date(since + CONSENT)),
            _ => None,
        }
    }
}

pub async fn receipts(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
) -> Result<Html<String>, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let mut consent = Consent::None;
    let mut orders = Vec::new();
    if let Some(customer) = session::customer(&session).await? {
        consent = Consent::of(&app, tenant, &customer).await?;
        orders = rows(&app, tenant, &customer).await?;
    }
    let is_on_its_way = orders.iter().any(|row| row.state == "waiting");
    let status = is_on_its_way.then(|| summary(&orders));
    html(&Receipts {
        frame: Frame::of(&app),
        tenant,
        consent,
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
