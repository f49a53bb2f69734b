//! What all requests share, and how the shop starts and stops.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::HeaderValue;
use digime_outbox::Outbox;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, SandboxPages};
use crate::db::Db;
use crate::digi_me::DigiMe;
use crate::tenant::Tenant;
use crate::turns::Turns;
use crate::{notices, receipts, web};

/// How many links are made at once.
const LINKS: usize = 64;

/// How many callbacks are worked on at once. A process that is killed loses no more consents than these.
const CALLBACKS: usize = 16;

/// How long the others wait. After that, half of a request's time is left.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long requests in progress may take after the shop was asked to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// How long new tokens may take to reach the database after pushes have ended. Those that do not are lost, with their consents.
const LAST_TOKENS: Duration = Duration::from_secs(30);

const BETWEEN_SWEEPS: Duration = Duration::from_mins(1);

pub struct App {
    pub config: Config,
    pub digi_me: DigiMe,
    pub db: Db,
    pub outbox: Outbox,
    pub links: Turns,
    pub callbacks: Turns,
    pub metrics: PrometheusHandle,
    pub content_security_policy: HeaderValue,
}

impl App {
    pub fn tenant(&self, slug: &str) -> Option<&Tenant> {
        self.config
            .tenants
            .iter()
            .find(|tenant| tenant.slug == slug)
    }

    /// The pages of the sandbox, if one replaces digi.me.
    pub fn sandbox(&self) -> Option<&SandboxPages> {
        self.config.sandbox.as_ref()
    }
}

/// A shop that is ready to run.
pub struct Shop {
    app: Arc<App>,
    listener: TcpListener,
}

impl Shop {
    /// Opens the database, and makes what is missing in it. Several shops may share a PostgreSQL database.
    ///
    /// # Errors
    /// An error that says what can't be used.
    pub async fn build(config: Config, listener: TcpListener) -> Result<Self> {
        let db = Db::connect(&config.database_url).await?;
        let store = db.store().await.context("can't make digime's tables")?;
        let outbox = db.outbox();
        outbox
            .migrate()
            .await
            .context("can't make the outbox's tables")?;
        let app = App {
            digi_me: DigiMe::new(&config, store)?,
            db,
            outbox,
            links: Turns::new(LINKS, LONGEST_WAIT),
            callbacks: Turns::new(CALLBACKS, LONGEST_WAIT),
            metrics: web::metrics().await?,
            content_security_policy: web::content_security_policy(&config)?,
            config,
        };
        Ok(Self {
            app: Arc::new(app),
            listener,
        })
    }

    /// Serves, and pushes receipts in the background, until `stop` is cancelled. Then it finishes what it has begun.
    ///
    /// # Errors
    /// An I/O error of the socket.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let Self { app, listener } = self;
        let background = TaskTracker::new();
        background.spawn(push(app.clone(), stop.clone()));
        background.spawn(notices::ask_in_time(app.clone(), stop.clone()));
        background.spawn(sweep(app.clone(), stop.clone()));
        background.close();

        let server = axum::serve(listener, web::router(app.clone()))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::select! {
            ended = server.into_future() => ended?,
            () = after(&stop, LAST_REQUESTS) => tracing::warn!("some requests were cut off"),
        }
        // The server may also have failed.
        stop.cancel();
        background.wait().await;
        if tokio::time::timeout(LAST_TOKENS, app.digi_me.tokens.flush())
            .await
            .is_err()
        {
            let customers = app.digi_me.tokens.unsaved();
            tracing::error!(
                customers,
                "new tokens are lost: these customers have to consent again"
            );
        }
        // A request that was cut off may still have a connection.
        let _ = tokio::time::timeout(LAST_REQUESTS, app.db.close()).await;
        Ok(())
    }
}

async fn after(stop: &CancellationToken, time: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(time).await;
}

/// Pushes what is in the outbox, also what other processes have put there.
async fn push(app: Arc<App>, stop: CancellationToken) {
    app.digi_me.push(&app.outbox, stop).await;
}

/// Removes what has expired, ends deletions that were not finished, and sums up the measurements, which would grow if nobody asked
/// for them.
async fn sweep(app: Arc<App>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(BETWEEN_SWEEPS);
    let sweeps = async {
        loop {
            interval.tick().await;
            app.metrics.run_upkeep();
            for swept in [app.db.sweep_sessions().await, app.db.sweep_attempts().await] {
                if let Err(error) = swept {
                    tracing::warn!(%error, "expired sessions and attempts are still in the database");
                }
            }
            receipts::finish_deletions(&app).await;
        }
    };
    // A sweep is cut off, since it would wait for a database that is away.
    let _: Option<()> = stop.run_until_cancelled(sweeps).await;
}
