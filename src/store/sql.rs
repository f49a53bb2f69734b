//! What the SQL stores have in common: all but how they connect, make their tables and tell the time.
//!
//! ```sql
//! digime_flows  (key, record, expires_at)
//! digime_tokens (key, version, record, holder, leased_until)
//! ```
//!
//! Times are Unix milliseconds by the database's clock, which all machines share.

use super::StoreError;

/// How often a flow is parked between two times that expired ones are removed.
pub const SWEEP_EVERY: usize = 64;

pub fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Failed(Box::new(error))
}

pub fn millis(duration: std::time::Duration) -> i64 {
    // Far enough from the end of the range that the present can be added to it.
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 2)
}

/// Implements both kinds of store for `$store { pool, parked }` with its `SCHEMA`, where `$now` is the present in SQL and
/// `$lock` how rows that another connection is removing are left alone.
macro_rules! sql_store {
    ($store:ty, pool: $pool:ty, now: $now:literal, lock: $lock:literal) => {
        impl $store {
            /// A store in a database that the application has connected to.
            #[must_use]
            pub fn new(pool: $pool) -> Self {
                Self {
                    pool,
                    parked: Arc::default(),
                }
            }

            /// Makes the tables, where they are not there.
            ///
            /// # Errors
            /// [`StoreError::Failed`] when the database failed.
            pub async fn migrate(&self) -> Result<(), StoreError> {
                sqlx::raw_sql(Self::SCHEMA)
                    .execute(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(())
            }

            /// Removes flows that have expired. Parking does it by itself from time to time.
            ///
            /// # Errors
            /// [`StoreError::Failed`] when the database failed.
            pub async fn sweep(&self) -> Result<(), StoreError> {
                let sql = concat!(
                    "DELETE FROM digime_flows WHERE key IN (SELECT key FROM digime_flows WHERE expires_at <= ",
                    $now,
                    " ORDER BY expires_at LIMIT 1000",
                    $lock,
                    ")"
                );
                sqlx::query(sql).execute(&self.pool).await.map_err(failed)?;
                Ok(())
            }
        }

        impl FlowStore for $store {
            async fn put(&self, key: &str, parked: Parked) -> Result<(), StoreError> {
                if self.parked.fetch_add(1, Relaxed) % SWEEP_EVERY == 0 {
                    self.sweep().await?;
                }
                let sql = concat!(
                    "INSERT INTO digime_flows (key, record, expires_at) VALUES ($1, $2, ",
                    $now,
                    " + $3)"
                );
                sqlx::query(sql)
                    .bind(key)
                    .bind(parked.record)
                    .bind(millis(parked.expires_in))
                    .execute(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(())
            }

            async fn take(&self, key: &str) -> Result<Option<Parked>, StoreError> {
                let sql = concat!(
                    "DELETE FROM digime_flows WHERE key = $1 AND expires_at > ",
                    $now,
                    " RETURNING record, expires_at - ",
                    $now
                );
                let row: Option<(String, i64)> = sqlx::query_as(sql)
                    .bind(key)
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(row.map(|(record, millis)| Parked {
                    record,
                    expires_in: Duration::from_millis(millis.unsigned_abs()),
                }))
            }
        }

        impl TokenStore for $store {
            async fn load(&self, user: &str) -> Result<Option<Kept>, StoreError> {
                let row: Option<(String, String)> =
                    sqlx::query_as("SELECT version, record FROM digime_tokens WHERE key = $1")
                        .bind(user)
                        .fetch_optional(&self.pool)
                        .await
                        .map_err(failed)?;
                Ok(row.map(|(version, record)| Kept { version, record }))
            }

            async fn save(&self, user: &str, kept: &Kept) -> Result<(), StoreError> {
                let sql = "INSERT INTO digime_tokens (key, version, record) VALUES ($1, $2, $3) \
                           ON CONFLICT (key) DO UPDATE SET version = excluded.version, record = excluded.record, \
                           holder = NULL, leased_until = 0";
                sqlx::query(sql)
                    .bind(user)
                    .bind(&kept.version)
                    .bind(&kept.record)
                    .execute(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(())
            }

            async fn lease(
                &self,
                user: &str,
                version: &str,
                holder: &str,
                duration: Duration,
            ) -> Result<bool, StoreError> {
                let sql = concat!(
                    "UPDATE digime_tokens SET holder = $3, leased_until = ",
                    $now,
                    " + $4 WHERE key = $1 AND version = $2 AND leased_until <= ",
                    $now
                );
                let done = sqlx::query(sql)
                    .bind(user)
                    .bind(version)
                    .bind(holder)
                    .bind(millis(duration))
                    .execute(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(done.rows_affected() == 1)
            }

            async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
                let sql = "UPDATE digime_tokens SET holder = NULL, leased_until = 0 WHERE key = $1 AND holder = $2";
                sqlx::query(sql)
                    .bind(user)
                    .bind(holder)
                    .execute(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(())
            }

            async fn replace(
                &self,
                user: &str,
                version: &str,
                kept: &Kept,
            ) -> Result<bool, StoreError> {
                let sql = "UPDATE digime_tokens SET version = $3, record = $4, holder = NULL, leased_until = 0 \
                           WHERE key = $1 AND version = $2";
                let done = sqlx::query(sql)
                    .bind(user)
                    .bind(version)
                    .bind(&kept.version)
                    .bind(&kept.record)
                    .execute(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(done.rows_affected() == 1)
            }

            async fn remove(&self, user: &str, version: Option<&str>) -> Result<bool, StoreError> {
                let sql = "DELETE FROM digime_tokens \
                           WHERE key = $1 AND (CAST($2 AS TEXT) IS NULL OR version = $2)";
                let done = sqlx::query(sql)
                    .bind(user)
                    .bind(version)
                    .execute(&self.pool)
                    .await
                    .map_err(failed)?;
                Ok(done.rows_affected() == 1)
            }
        }
    };
}

pub(super) use sql_store;
