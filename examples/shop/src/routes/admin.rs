//! What the operator sees: what was pushed, what waits, what failed and why, and who is connected.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use digime_outbox::{Filter, Listed, State as Way};
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tower_sessions::Session;

use crate::app::App;
use crate::page::{Frame, PageError, date_and_time, html};
use crate::session::{self, Admin};
use crate::tenant::Tenant;

/// How many receipts a page shows, and how many customers of each shop.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    was_wrong: bool,
}

pub async fn login_page(State(app): State<Arc<App>>) -> Result<Html<String>, PageError> {
    html(&Login {
        frame: Frame::of(&app),
        was_wrong: false,
    })
}

#[derive(Deserialize)]
pub struct Token {
    token: String,
}

pub async fn login(
    State(app): State<Arc<App>>,
    session: Session,
    Form(form): Form<Token>,
) -> Result<Response, PageError> {
    if session::sign_in(&session, &app, &form.token).await? {
        return Ok(Redirect::to("/admin").into_response());
    }
    tracing::warn!("somebody tried to sign in with a wrong admin token");
    let page = html(&Login {
        frame: Frame::of(&app),
        was_wrong: true,
    })?;
    Ok((StatusCode::FORBIDDEN, page).into_response())
}

pub async fn logout(session: Session) -> Result<Redirect, PageError> {
    session::sign_out(&session).await?;
    Ok(Redirect::to("/admin/login"))
}

#[derive(Template)]
#[template(path = "admin.html")]
struct Overview<'a> {
    frame: Frame,
    counts: Vec<Count>,
    entries: Vec<Row<'a>>,
    /// The query of the page with older receipts.
    older: Option<String>,
    customers: Vec<Customers<'a>>,
    /// How many customers' new tokens are not in the database yet.
    unsaved: usize,
}

struct Count {
    state: Way,
    text: &'static str,
    entries: u64,
    is_shown: bool,
}

struct Row<'a> {
    tenant: &'a str,
    entry: Listed,
}

/// The connected customers of a tenant.
struct Customers<'a> {
    tenant: &'a str,
    shown: Vec<Customer>,
    are_more: bool,
}

struct Customer {
    name: String,
    since: Option<String>,
    /// By API 1.7, which says it.
    until: Option<String>,
    is_in_doubt: bool,
}

#[derive(Deserialize)]
pub struct Shown {
    state: Option<String>,
    after: Option<i64>,
}

pub async fn overview(
    _: Admin,
    State(app): State<Arc<App>>,
    Query(shown): Query<Shown>,
) -> Result<Html<String>, PageError> {
    let counts = app.outbox.counts().await?;
    let state = Way::ALL
        .into_iter()
        .find(|state| Some(state.as_str()) == shown.state.as_deref());
    let filter = state.map_or(Filter::all(), |state| Filter::all().state(state));
    let listed = app.outbox.list(&filter, shown.after, SHOWN).await?;
    let last = listed.last().filter(|_| listed.len() == SHOWN);
    let older = last.map(|last| match state {
        Some(state) => format!("state={}&after={}", state.as_str(), last.id),
        None => format!("after={}", last.id),
    });
    let mut customers = Vec::new();
    for tenant in &app.config.tenants {
        customers.push(Customers::of(&app, tenant).await?);
    }
    let count = |it: Way| Count {
        state: it,
        text: text(it),
        entries: counts.count(it),
        is_shown: state == Some(it),
    };
    html(&Overview {
        frame: Frame::of(&app),
        counts: Way::ALL.into_iter().map(count).collect(),
        entries: listed
            .into_iter()
            .map(|entry| Row::of(&app, entry))
            .collect(),
        older,
        customers,
        unsaved: app.digi_me.tokens.unsaved(),
    })
}

impl<'a> Row<'a> {
    fn of(app: &'a App, entry: Listed) -> Self {
        let mut tenants = app.config.tenants.iter();
        let tenant =
            tenants.find(|tenant| *tenant.contract_id.as_str() == entry.recipient.contract);
        Self {
            tenant: tenant.map_or("unknown", |tenant| &tenant.name),
            entry,
        }
    }

    fn text(&self) -> &'static str {
        text(self.entry.state)
    }

    fn is_over(&self) -> bool {
        self.entry.state == Way::Delivered
    }

    /// What a worker is sending can be neither retried nor discarded.
    fn can_be_changed(&self) -> bool {
        !matches!(self.entry.state, Way::Sending | Way::Delivered)
    }
}

impl<'a> Customers<'a> {
    async fn of(app: &App, tenant: &'a Tenant) -> Result<Self, PageError> {
        let connections = app.digi_me.connections(tenant).take(SHOWN + 1);
        let mut shown: Vec<_> = connections
            .map_ok(|(name, connection)| Customer {
                name,
                since: connection.consented_at().map(date_and_time),
                until: connection.consent_expires_at().map(date_and_time),
                is_in_doubt: connection.is_in_doubt(),
            })
            .try_collect()
            .await?;
        let are_more = shown.len() > SHOWN;
        shown.truncate(SHOWN);
        Ok(Self {
            tenant: &tenant.name,
            shown,
            are_more,
        })
    }
}

fn text(state: Way) -> &'static str {
    match state {
        Way::Waiting => "waiting",
        Way::Sending => "being pushed",
        Way::AwaitingConsent => "waiting for consent",
        Way::Delivered => "saved",
        _ => "given up",
    }
}

pub async fn retry(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(entry): Path<i64>,
) -> Result<Redirect, PageError> {
    app.outbox.retry(entry).await?;
    Ok(Redirect::to("/admin"))
}

pub async fn discard(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(entry): Path<i64>,
) -> Result<Redirect, PageError> {
    app.outbox.discard(entry).await?;
    Ok(Redirect::to("/admin"))
}
