//! *Save my receipts to digi.me*: the link, the QR code, and the page that follows the phone.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};
use tower_sessions::Session;

use crate::api::Api;
use crate::app::App;
use crate::db::attempts::{Attempt, Outcome};
use crate::db::millis;
use crate::page::{Frame, PageError, html};
use crate::session::{self, random_id};
use crate::tenant::Tenant;

/// Begins a flow, and leads to its page: the shop's own with a link for the digi.me app, or digi.me's. By API 1.7 a customer who is
/// connected renews the consent.
pub async fn begin(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
) -> Result<Redirect, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let customer = session::customer_or_new(&session).await?;
    if app.db.is_leaving(&slug, &customer).await? {
        // The deletion ends first.
        return Ok(Redirect::to(&format!("/{slug}/receipts")));
    }
    let turn = app.links.take().await?;
    let asked = app.digi_me.ask(tenant, &customer).await?;
    drop(turn);
    let attempt = Attempt {
        id: random_id(),
        tenant: slug,
        customer,
        state: asked.state,
        link: asked.link,
        outcome: Outcome::Waiting,
        called_back_at: None,
        expires_at: millis(asked.expires_at),
    };
    app.db.begin_attempt(&attempt).await?;
    Ok(match app.config.api {
        Api::Postbox => Redirect::to(&format!("/{}/connect/{}", attempt.tenant, attempt.id)),
        Api::Import => Redirect::to(&attempt.link),
    })
}

#[derive(Template)]
#[template(path = "connect.html")]
struct Connect<'a> {
    frame: Frame,
    tenant: &'a Tenant,
    attempt: &'a Attempt,
    outcome: Outcome,
    /// What opens the person's digi.me.
    link: String,
    qr_code: Option<String>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path((slug, id)): Path<(String, String)>,
    session: Session,
) -> Result<Response, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let attempt = own_attempt(&app, &slug, &id, &session).await?;
    let outcome = attempt.outcome();
    // By API 1.7 the customer was sent to digi.me at once.
    if outcome == Outcome::Connected || app.config.api == Api::Import {
        return Ok(Redirect::to(&format!("/{slug}/receipts")).into_response());
    }
    let link = link(&app, &attempt);
    let qr_code = qr_code(&link);
    let frame = Frame::of(&app);
    let page = Connect {
        frame,
        tenant,
        attempt: &attempt,
        outcome,
        link,
        qr_code,
    };
    Ok(html(&page)?.into_response())
}

/// What the page asks for until there is something new to show.
pub async fn status(
    State(app): State<Arc<App>>,
    Path((slug, id)): Path<(String, String)>,
    session: Session,
) -> Result<Json<Value>, PageError> {
    let attempt = own_attempt(&app, &slug, &id, &session).await?;
    Ok(Json(json!({ "status": attempt.outcome().name() })))
}

#[derive(Template)]
#[template(path = "done.html")]
struct Done<'a> {
    frame: Frame,
    tenant: &'a Tenant,
    attempt: &'a Attempt,
    outcome: Outcome,
    /// Whether this is the browser in which the customer began.
    is_own: bool,
    api: Api,
}

/// Where the callback leads: to a page without secrets in its address, which can be loaded again. On a phone it has no
/// session, so it shows nothing of the customer.
pub async fn done(
    State(app): State<Arc<App>>,
    Path((slug, id)): Path<(String, String)>,
    session: Session,
) -> Result<Html<String>, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let attempt = app
        .db
        .attempt(&slug, &id)
        .await?
        .ok_or(PageError::NotFound)?;
    let is_own = session::customer(&session).await?.as_ref() == Some(&attempt.customer);
    let outcome = attempt.outcome();
    html(&Done {
        frame: Frame::of(&app),
        tenant,
        attempt: &attempt,
        outcome,
        is_own,
        api: app.config.api,
    })
}

async fn own_attempt(
    app: &App,
    slug: &str,
    id: &str,
    session: &Session,
) -> Result<Attempt, PageError> {
    let customer = session::customer(session).await?;
    let attempt = app.db.attempt(slug, id).await?;
    let own = attempt.filter(|attempt| Some(&attempt.customer) == customer.as_ref());
    own.ok_or(PageError::NotFound)
}

/// The link for the digi.me app; in the demo, for the sandbox's page that replaces it.
fn link(app: &App, attempt: &Attempt) -> String {
    match app.sandbox().and_then(|pages| pages.phone_url.clone()) {
        None => attempt.link.clone(),
        Some(mut url) => {
            url.query_pairs_mut().append_pair("link", &attempt.link);
            url.into()
        }
    }
}

/// `None` if the link is too long for a QR code.
fn qr_code(link: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    let image = code.render::<svg::Color>().min_dimensions(240, 240).build();
    // The declaration of a file is not allowed within a page.
    image.find("<svg").map(|start| image[start..].to_owned())
}

impl Connect<'_> {
    fn minutes_left(&self) -> i64 {
        (self.attempt.expires_at - millis(SystemTime::now())).max(0) / 60_000
    }
}
