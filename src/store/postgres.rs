use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::sql::{SWEEP_EVERY, failed, millis, repeated, sql_store};
use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};

/// A store in PostgreSQL, for many machines. A clone is the same store.
///
/// Its tables are in [`PostgresStore::SCHEMA`], each with `digime_` before its name. A flow that was claimed stays in its
/// row, under its claim, until it expires.
///
/// A call whose connection fails is repeated for some seconds, and does nothing twice. PostgreSQL itself keeps what was
/// removed and replaced in its files, until `VACUUM` and the recycling of its log.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    parked: Arc<AtomicUsize>,
}

impl PostgresStore {
    /// The tables, in SQL that can be run again, on the tables of an earlier version too. A later version only adds to it.
    pub const SCHEMA: &str = include_str!("postgres.sql");

    /// Connects to a URL as in `postgres://user:password@host/database`, and makes the tables where they are not there.
    /// Calls wait for a connection for at most five seconds.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the database can't be reached, or does not let the tables be made.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(failed)?;
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        let store = Self::new(pool);
        store.migrate().await?;
        Ok(store)
    }

    /// Makes the tables where they are not there, and the columns that an earlier version did not have.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the database failed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        repeated(&self.pool, || {
            sqlx::raw_sql(Self::SCHEMA).execute(&self.pool)
        })
        .await?;
        Ok(())
    }
}

/// Only the server reads PostgreSQL's files.
fn wipe(_: &PgPool) -> Ready<()> {
    ready(())
}

sql_store!(
    PostgresStore,
    pool: PgPool,
    now: "CAST(extract(epoch FROM now()) * 1000 AS BIGINT)",
    lock: " FOR UPDATE SKIP LOCKED",
    bytewise: " COLLATE \"C\""
);
