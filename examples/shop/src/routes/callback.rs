//! What the person's digi.me app calls back, in whichever browser the phone has.
//!
//! The request is a navigation from elsewhere, and usually has no session: the parked flow has the customer.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Redirect;
use digime::error::{CallbackError, StoreError};
use digime::{Callback, Error};

use crate::app::App;
use crate::db::attempts::Outcome;
use crate::page::PageError;
use crate::receipts;

pub async fn callback(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Redirect, PageError> {
    let callback = Callback::from_query(query.as_deref().unwrap_or_default());
    let callback = callback.map_err(|_| PageError::BadCallback)?;
    let state = callback.state().ok_or(PageError::BadCallback)?;
    let attempt = app
        .db
        .attempt_by_state(state)
        .await?
        .ok_or(PageError::UnknownCallback)?;
    let done = Redirect::to(&format!("/{}/connect/{}/done", attempt.tenant, attempt.id));

    let Some(tenant) = app
        .flows
        .contract_of(&callback, &app.config.tenants)
        .await?
    else {
        // The flow has ended. The page knows how.
        return Ok(done);
    };
    let user = |customer: &String| customer.clone();
    let received = app
        .tokens
        .receive_callback(callback, tenant, &app.client, user)
        .await;
    let outcome = match received {
        Ok((_authorized, customer)) => {
            receipts::connected(&app, tenant, &customer).await?;
            Outcome::Connected
        }
        Err(Error::Callback(CallbackError::Cancelled)) => Outcome::Declined,
        Err(Error::Callback(CallbackError::Failed)) => Outcome::Failed,
        Err(Error::Callback(_)) => return Err(PageError::BadCallback),
        Err(Error::Store(StoreError::NothingParked)) => return Ok(done),
        Err(error) if error.may_have_taken_effect() => {
            tracing::error!(error = %error.report(), tenant = tenant.slug, "a code may be spent");
            Outcome::Lost
        }
        // The flow still waits: the person loads this very page again.
        Err(error) => return Err(PageError::try_again(&error)),
    };
    app.db.note_outcome(&attempt, outcome).await?;
    let labels = [
        ("tenant", tenant.slug.clone()),
        ("outcome", outcome.name().to_owned()),
    ];
    metrics::counter!("shop_callbacks_total", &labels).increment(1);
    Ok(done)
}
