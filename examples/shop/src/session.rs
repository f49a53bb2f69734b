//! Who makes a request.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use rand::RngExt;
use subtle::ConstantTimeEq;
use time::Duration;
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, Session, SessionManagerLayer};

use crate::app::App;
use crate::db::{Db, millis};
use crate::page::PageError;

const CUSTOMER: &str = "customer";
const ADMIN: &str = "admin";

/// Customers come back months later.
const SESSION_LIFETIME: Duration = Duration::days(365);

/// How long one stays signed in as an operator.
const ADMIN_LIFETIME: std::time::Duration = std::time::Duration::from_hours(8);

pub fn layer(db: Db, is_https: bool) -> SessionManagerLayer<Db> {
    // The prefix makes browsers refuse the cookie from a subdomain or over http.
    let name = if is_https { "__Host-shop" } else { "shop" };
    SessionManagerLayer::new(db)
        .with_name(name)
        .with_http_only(true)
        .with_secure(is_https)
        // The callback is a link that the digi.me app opens: a navigation from elsewhere, to which `Strict` sends no cookie.
        // Lax does, and keeps the cookie from requests that other sites' forms and scripts send.
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(SESSION_LIFETIME))
}

/// The customer of a session, if there is one.
///
/// A shop of your own has accounts, and asks who has signed in. Here everybody who begins to do something is a customer.
pub async fn customer(session: &Session) -> Result<Option<String>, PageError> {
    Ok(session.get(CUSTOMER).await?)
}

/// The customer of a session, who is a new one if there is none.
pub async fn customer_or_new(session: &Session) -> Result<String, PageError> {
    if let Some(customer) = customer(session).await? {
        return Ok(customer);
    }
    let customer = random_id();
    session.insert(CUSTOMER, &customer).await?;
    Ok(customer)
}

/// Makes the session an operator's, if the token is the right one.
pub async fn sign_in(session: &Session, app: &App, token: &str) -> Result<bool, PageError> {
    if !is_admin_token(app, token) {
        return Ok(false);
    }
    // A session that somebody else knew before must not become an operator's.
    session.cycle_id().await?;
    // The session itself may be a customer's too, and last longer.
    let until = millis(SystemTime::now() + ADMIN_LIFETIME);
    session.insert(ADMIN, until).await?;
    Ok(true)
}

pub async fn sign_out(session: &Session) -> Result<(), PageError> {
    session.remove::<i64>(ADMIN).await?;
    Ok(())
}

pub fn is_admin_token(app: &App, token: &str) -> bool {
    token
        .as_bytes()
        .ct_eq(app.config.admin_token.as_bytes())
        .into()
}

/// A request of an operator. Others are sent to the page where one signs in.
pub struct Admin;

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, app).await;
        let session = session.map_err(IntoResponse::into_response)?;
        match session.get::<i64>(ADMIN).await {
            Ok(Some(until)) if until > millis(SystemTime::now()) => Ok(Self),
            Ok(_) => Err(Redirect::to("/admin/login").into_response()),
            Err(error) => Err(PageError::from(error).into_response()),
        }
    }
}

/// Cannot be guessed.
pub fn random_id() -> String {
    let bytes: [u8; 16] = rand::rng().random();
    bytes
        .iter()
        .fold(String::new(), |id, byte| format!("{id}{byte:02x}"))
}
