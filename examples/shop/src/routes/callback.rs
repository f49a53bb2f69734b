//! What the person's digi.me calls back: the app, in whichever browser the phone has, or the page of API 1.7, in the customer's own.
//!
//! The request is a navigation from elsewhere, and need not have a session: the parked flow has the customer.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Redirect;
use digime::error::{CallbackError, StoreError};
use digime::{Callback, Error};
use digime_import::ImportError;
use tower_sessions::Session;

use crate::api::Api;
use crate::app::App;
use crate::db::attempts::{Attempt, Outcome};
use crate::page::PageError;
use crate::{receipts, session};

pub async fn callback(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    session: Session,
) -> Result<Redirect, PageError> {
    let callback = Callback::from_query(query.as_deref().unwrap_or_default());
    let callback = callback.map_err(|_| PageError::BadCallback)?;
    let Some(state) = callback.state() else {
        return without_state(&app, &callback, &session).await;
    };
    let _turn = app.callbacks.take().await?;
    let attempt = app
        .db
        .called_back(state)
        .await?
        .ok_or(PageError::UnknownCallback)?;
    let tenant = app
        .tenant(&attempt.tenant)
        .ok_or(PageError::UnknownCallback)?;
    let outcome = match app.digi_me.called_back(callback).await {
        Ok(Some(customer)) => {
            receipts::connected(&app, tenant, &customer).await?;
            Outcome::Connected
        }
        // The flow has ended. The page knows how.
        Ok(None) | Err(Error::Store(StoreError::NothingParked)) => return Ok(done(&attempt)),
        // Another request exchanges the code, or its process was killed while it did.
        Err(Error::Store(StoreError::InProgress)) => match attempt.outcome() {
            outcome @ (Outcome::Lost | Outcome::AnotherPerson) => outcome,
            _ => return Err(PageError::TryAgain),
        },
        Err(error) if error.may_have_taken_effect() && answer(&error).is_none() => {
            tracing::error!(error = %error.report(), tenant = tenant.slug, "a code may be spent");
            Outcome::Lost
        }
        Err(error) => {
            let Some(outcome) = answer(&error) else {
                // The flow still waits: the person loads this very page again.
                app.db.end_callback(&attempt).await?;
                return Err(match error {
                    Error::Callback(_) => PageError::BadCallback,
                    error => PageError::try_again(&error),
                });
            };
            outcome
        }
    };
    app.db.note_outcome(&attempt, outcome).await?;
    let labels = [
        ("tenant", tenant.slug.clone()),
        ("outcome", outcome.name().to_owned()),
    ];
    metrics::counter!("shop_callbacks_total", &labels).increment(1);
    Ok(done(&attempt))
}

/// What the person has answered, if that is why there is no consent.
fn answer(error: &Error) -> Option<Outcome> {
    Some(match error {
        Error::Callback(CallbackError::Cancelled) => Outcome::Declined,
        Error::Callback(CallbackError::Failed) => Outcome::Failed,
        Error::Callback(CallbackError::NotConsented { code }) => {
            tracing::info!(code, "somebody has not consented");
            Outcome::NotConsented
        }
        error if matches!(error.as_extension(), Some(ImportError::AnotherPerson)) => {
            Outcome::AnotherPerson
        }
        _ => return None,
    })
}

/// A failure by API 1.7, which need not say whose it is. It comes in the customer's own browser, and is noted of the last attempt.
/// Nobody is hurt if it is made up: the attempt can still succeed.
async fn without_state(
    app: &App,
    callback: &Callback,
    session: &Session,
) -> Result<Redirect, PageError> {
    let success = callback.parameter("success");
    if app.config.api != Api::Import || !matches!(success, Ok(Some("false"))) {
        return Err(PageError::BadCallback);
    }
    let customer = session::customer(session).await?;
    let customer = customer.ok_or(PageError::UnknownCallback)?;
    let attempt = app.db.last_attempt(&customer).await?;
    let attempt = attempt.ok_or(PageError::UnknownCallback)?;
    app.db.note_outcome(&attempt, Outcome::NotConsented).await?;
    Ok(done(&attempt))
}

/// Leads to a page without secrets in its address.
fn done(attempt: &Attempt) -> Redirect {
    Redirect::to(&format!("/{}/connect/{}/done", attempt.tenant, attempt.id))
}
