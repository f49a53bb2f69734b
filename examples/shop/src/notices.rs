//! Asks customers in time to renew their consent: a note in the database, which their pages show until it is renewed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::db::millis;
use crate::digi_me::Lapsing;
use crate::page::{PageError, date};
use crate::tenant::Tenant;

/// How long the job waits after it could not note something.
const PAUSE: Duration = Duration::from_mins(1);

/// What the pages of a customer say about the end of the consent.
pub struct Notice {
    /// The tenant's slug.
    pub slug: String,
    pub ends_on: String,
    pub has_ended: bool,
}

/// Notes who has to be asked, until `stop` is cancelled. Each customer is asked once for each consent, also after a restart.
pub async fn ask_in_time(app: Arc<App>, stop: CancellationToken) {
    let asking = async {
        // Those who could not be noted are told once more.
        while let Err(error) = note_all(&app).await {
            tracing::warn!(%error, "it was not noted which consents end soon: trying again");
            tokio::time::sleep(PAUSE).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(asking).await;
}

async fn note_all(app: &App) -> anyhow::Result<()> {
    let mut lapsing = app.digi_me.lapsing_soon();
    while let Some(lapsing) = lapsing.try_next().await? {
        let Lapsing {
            tenant, customer, ..
        } = &lapsing;
        if app
            .db
            .note_notice(tenant, customer, end(lapsing.ends))
            .await?
        {
            metrics::counter!("shop_consent_notices_total", "tenant" => tenant.clone())
                .increment(1);
        }
    }
    Ok(())
}

/// What a customer's pages have to say. Nothing if the consent was renewed since the customer was asked.
pub async fn of(app: &App, tenant: &Tenant, customer: &str) -> Result<Option<Notice>, PageError> {
    let Some(noted) = app.db.notice(&tenant.slug, customer).await? else {
        return Ok(None);
    };
    let consent = app.digi_me.consent(tenant, customer).await?;
    let consent = consent.filter(|consent| end(consent.ends) == noted);
    Ok(consent.map(|consent| Notice {
        slug: tenant.slug.clone(),
        ends_on: consent.ends.map(date).unwrap_or_default(),
        has_ended: consent.has_ended,
    }))
}

/// The end of a consent, as it is noted.
fn end(ends: Option<SystemTime>) -> i64 {
    ends.map_or(0, millis)
}
