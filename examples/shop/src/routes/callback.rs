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
    let _turn = app.callbacks.take().await?;
    let attempt = app
        .db
        .called_back(state)
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
        Err(Error::Store(StoreError::NothingParked)) => return Ok(done),
        // Another request exchanges the code, or its process was killed while it did.
        Err(Error::Store(StoreError::InProgress)) => match attempt.outcome() {
            Outcome::Lost => Outcome::Lost,
            _ => return Err(PageError::TryAgain),
        },
        Err(error) if error.may_have_taken_effect() => {
            tracing::error!(error = %error.report(), tenant = tenant.slug, "a code may be spent");
            Outcome::Lost
        }
        // The flow still waits: the person loads this very page again.
        Err(error) => {
            app.db.end_callback(&attempt).await?;
            return Err(match error {
                Error::Callback(_) => PageError::BadCallback,
                error => PageError::try_again(&error),
            });
        }
    };
    app.db.note_outcome(&attempt, outcome).await?;
    let labels = [
        ("tenant", tenant.slug.clone()),
        ("outcome", outcome.name().to_owned()),
    ];
    metrics::counter!("shop_callbacks_total", &labels).increment(1);
    Ok(done)
}
