//! What the operator sees: what was pushed, what waits, what failed and why, and who is connected.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures_util::TryStreamExt;
use serde::Deserialize;
use tower_sessions::Session;

use crate::app::App;
use crate::page::{Frame, PageError, date_and_time, html};
use crate::receipts::Row;
use crate::session::{self, Admin};

/// How many customers and receipts the page shows of each kind.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    was_wrong: bool,
}

pub async fn login_page(State(app): State<Arc<App>>) -> Result<Html<String>, PageError> {
    html(&Login { frame: Frame::of(&app), was_wrong: false })
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
    Ok(html(&Login { frame: Frame::of(&app), was_wrong: true })?.into_response())
}

pub async fn logout(session: Session) -> Result<Redirect, PageError> {
    session.flush().await?;
    Ok(Redirect::to("/admin/login"))
}

#[derive(Template)]
#[template(path = "admin.html")]
struct Overview<'a> {
    frame: Frame,
    counts: Vec<(&'static str, u64)>,
    entries: Vec<Row>,
    tenants: Vec<Customers<'a>>,
    unsaved: usize,
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
    is_in_doubt: bool,
}

pub async fn overview(_: Admin, State(app): State<Arc<App>>) -> Result<Html<String>, PageError> {
    let counts = app.outbox.list().await;
    let mut tenants = Vec::new();
    for tenant in &app.config.tenants {
        let mut connections = std::pin::pin!(app.tokens.connections(tenant));
        let mut shown = Vec::new();
        while shown.len() <= SHOWN
            && let Some((name, connection)) = connections.try_next().await?
        {
            let since = connection.consented_at().map(date_and_time);
            shown.push(Customer { name, since, is_in_doubt: connection.is_in_doubt() });
        }
        let are_more = shown.len() > SHOWN;
        shown.truncate(SHOWN);
        tenants.push(Customers { tenant: &tenant.name, shown, are_more });
    }
    html(&Overview {
        frame: Frame::of(&app),
        counts: crate::receipts::named(&counts),
        entries: crate::receipts::rows(&app, SHOWN).await?,
        tenants,
        unsaved: app.tokens.unsaved(),
    })
}

pub async fn retry(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(entry): Path<u64>,
) -> Result<Redirect, PageError> {
    app.outbox.retry(entry).await;
    Ok(Redirect::to("/admin"))
}

pub async fn discard(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(entry): Path<u64>,
) -> Result<Redirect, PageError> {
    app.outbox.discard(entry).await;
    Ok(Redirect::to("/admin"))
}
