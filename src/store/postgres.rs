use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sqlx::PgPool;

use super::sql::{SWEEP_EVERY, failed, millis, sql_store};
use super::{FlowStore, Kept, Parked, StoreError, TokenStore};

/// A store in PostgreSQL, for many machines. A clone is the same store.
///
/// Its tables are in [`PostgresStore::SCHEMA`], each with `digime_` before its name.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    parked: Arc<AtomicUsize>,
}

impl PostgresStore {
    /// The tables, in SQL that can be run again. A later version only adds to it.
    pub const SCHEMA: &str = include_str!("postgres.sql");

    /// Connects to a URL as in `postgres://user:password@host/database`, and makes the tables where they are not there.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the database can't be reached, or does not let the tables be made.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let store = Self::new(PgPool::connect(url).await.map_err(failed)?);
        store.migrate().await?;
        Ok(store)
    }
}

sql_store!(
    PostgresStore,
    pool: PgPool,
    now: "CAST(extract(epoch FROM now()) * 1000 AS BIGINT)",
    lock: " FOR UPDATE SKIP LOCKED"
);
