//! What the SQL stores have in common: all but how they connect, make their tables and tell the time.
//!
//! ```sql
//! digime_flows  (key, record, expires_at, put_id, claim, note)
//! digime_tokens (key, version, record, holder, leased_until)
//! ```
//!
//! Times are Unix milliseconds by the database's clock, which all machines share.
//!
//! A statement may be committed and its answer lost. So each can be repeated, and is: a repetition finds what the first
//! execution left (the `claim` of a take, the `put_id` of a put, the version of a replacement) and changes nothing. A
//! claimed flow stays until it expires, so that its claim can put it back.

use std::io;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use sqlx::{ConnectOptions, Connection, Database, Error, Pool};

use super::StoreError;

/// How often a flow is parked between two times that expired ones are removed.
pub const SWEEP_EVERY: usize = 64;

/// For how long a call is repeated after faults of the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// For how long one connection attempt may look for the cause of a fault.
const DIAGNOSIS: Duration = Duration::from_secs(2);

pub fn failed(error: Error) -> StoreError {
    StoreError::failed(error)
}

pub fn millis(duration: Duration) -> i64 {
    // Far enough from the end of the range that the present can be added to it.
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 2)
}

pub fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(8)
        .with_jitter()
}

/// Executes a call, and again after faults of the connection.
pub async fn repeated<DB, T, F>(
    pool: &Pool<DB>,
    call: impl FnMut() -> F + Send,
) -> Result<T, StoreError>
where
    DB: Database,
    F: Future<Output = Result<T, Error>> + Send,
{
    let begun = Instant::now();
    let done = call
        .retry(pauses())
        .when(|error| is_of_connection(error) && begun.elapsed() < PATIENCE)
        .notify(|error, pause| tracing::warn!(%error, ?pause, "asking the database again"))
        .await;
    match done {
        Err(Error::PoolTimedOut) => Err(failed(why_timed_out(pool).await)),
        done => done.map_err(failed),
    }
}

/// Whether the connection failed, and the statement may or may not have been executed.
fn is_of_connection(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::WorkerCrashed => true,
        // PostgreSQL's classes of connection exceptions, and of shutting down and starting up.
        Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
        _ => false,
    }
}

/// The pool does not say why it has no connection, so one is tried.
async fn why_timed_out<DB: Database>(pool: &Pool<DB>) -> Error {
    let options = pool.connect_options();
    let attempt = async { options.connect().await?.close().await };
    match tokio::time::timeout(DIAGNOSIS, attempt).await {
        Ok(Ok(())) => Error::PoolTimedOut,
        Ok(Err(error)) => error,
        Err(_) => io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer to a connection attempt in {DIAGNOSIS:?}"),
        )
        .into(),
    }
}

/// Implements both kinds of store for `$store { pool, parked }` with its `SCHEMA`, where `$now` is the present in SQL,
/// `$lock` how rows that another connection is removing are left alone, and `$bytewise` the collation that
/// compares keys by their bytes. The function `wipe` does what it takes besides
/// that old tokens can't be read in the database's files.
macro_rules! sql_store {
    ($store:ty, pool: $pool:ty, now: $now:literal, lock: $lock:literal, bytewise: $bytewise:literal) => {
        impl $store {
            /// A store in a database that the application has connected to. Its settings stay as they are.
            #[must_use]
            pub fn new(pool: $pool) -> Self {
                Self {
                    pool,
                    parked: Arc::default(),
                }
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
                repeated(&self.pool, || sqlx::query(sql).execute(&self.pool)).await?;
                Ok(())
            }
        }

        #[async_trait]
        impl FlowStore for $store {
            async fn put(&self, key: &str, parked: &FlowRecord) -> Result<(), StoreError> {
                if self.parked.fetch_add(1, Relaxed) % SWEEP_EVERY == 0 {
                    self.sweep().await?;
                }
                let sql = concat!(
                    "INSERT INTO digime_flows (key, record, expires_at, put_id) VALUES ($1, $2, ",
                    $now,
                    " + $3, $4) ON CONFLICT (key) DO UPDATE SET record = excluded.record, \
                     expires_at = excluded.expires_at, put_id = excluded.put_id, claim = NULL, note = NULL \
                     WHERE digime_flows.put_id IS DISTINCT FROM excluded.put_id"
                );
                repeated(&self.pool, || {
                    sqlx::query(sql)
                        .bind(key)
                        .bind(&parked.record)
                        .bind(millis(parked.expires_in))
                        .bind(&parked.id)
                        .execute(&self.pool)
                })
                .await?;
                Ok(())
            }

            async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
                let sql = concat!(
                    "SELECT record, claim, note FROM digime_flows WHERE key = $1 AND expires_at > ",
                    $now
                );
                let row: Option<(String, Option<String>, Option<String>)> =
                    repeated(&self.pool, || {
                        sqlx::query_as(sql).bind(key).fetch_optional(&self.pool)
                    })
                    .await?;
                Ok(row.map(|(record, claim, note)| match claim {
                    None => Found::Waiting(record),
                    Some(_) => Found::Taken(note),
                }))
            }

            async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
                let sql = concat!(
                    "UPDATE digime_flows SET claim = $2 WHERE key = $1 AND expires_at > ",
                    $now,
                    " AND (claim IS NULL OR claim = $2) RETURNING record"
                );
                // `fetch_optional` would not wait for the commit, and not see it fail.
                let mut rows = repeated(&self.pool, || {
                    sqlx::query_scalar(sql)
                        .bind(key)
                        .bind(claim)
                        .fetch_all(&self.pool)
                })
                .await?;
                Ok(rows.pop())
            }

            async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
                let sql = "UPDATE digime_flows SET claim = NULL WHERE key = $1 AND claim = $2 AND note IS NULL";
                repeated(&self.pool, || {
                    sqlx::query(sql).bind(key).bind(claim).execute(&self.pool)
                })
                .await?;
                Ok(())
            }

            async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
                let sql = "UPDATE digime_flows SET record = '', note = $3 WHERE key = $1 AND claim = $2";
                repeated(&self.pool, || {
                    sqlx::query(sql)
                        .bind(key)
                        .bind(claim)
                        .bind(note)
                        .execute(&self.pool)
                })
                .await?;
                Ok(())
            }
        }

        #[async_trait]
        impl TokenStore for $store {
            async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
                let sql = "SELECT version, record FROM digime_tokens WHERE key = $1";
                let row: Option<(String, String)> = repeated(&self.pool, || {
                    sqlx::query_as(sql).bind(user).fetch_optional(&self.pool)
                })
                .await?;
                Ok(row.map(|(version, record)| TokenRecord { version, record }))
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
                    " + $4 WHERE key = $1 AND version = $2 AND (holder = $3 OR leased_until <= ",
                    $now,
                    ")"
                );
                let done = repeated(&self.pool, || {
                    sqlx::query(sql)
                        .bind(user)
                        .bind(version)
                        .bind(holder)
                        .bind(millis(duration))
                        .execute(&self.pool)
                })
                .await?;
                Ok(done.rows_affected() == 1)
            }

            async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
                let sql = "UPDATE digime_tokens SET holder = NULL, leased_until = 0 WHERE key = $1 AND holder = $2";
                repeated(&self.pool, || {
                    sqlx::query(sql).bind(user).bind(holder).execute(&self.pool)
                })
                .await?;
                Ok(())
            }

            async fn replace(
                &self,
                user: &str,
                version: Option<&str>,
                kept: &TokenRecord,
            ) -> Result<bool, StoreError> {
                let done = match version {
                    Some(version) => {
                        let sql = "UPDATE digime_tokens SET version = $3, record = $4, holder = NULL, \
                                   leased_until = 0 WHERE key = $1 AND version = $2";
                        repeated(&self.pool, || {
                            sqlx::query(sql)
                                .bind(user)
                                .bind(version)
                                .bind(&kept.version)
                                .bind(&kept.record)
                                .execute(&self.pool)
                        })
                        .await?
                    }
                    None => {
                        let sql = "INSERT INTO digime_tokens (key, version, record) VALUES ($1, $2, $3) \
                                   ON CONFLICT (key) DO NOTHING";
                        repeated(&self.pool, || {
                            sqlx::query(sql)
                                .bind(user)
                                .bind(&kept.version)
                                .bind(&kept.record)
                                .execute(&self.pool)
                        })
                        .await?
                    }
                };
                wipe(&self.pool).await;
                if done.rows_affected() == 1 {
                    return Ok(true);
                }
                let there = self.load(user).await?;
                Ok(there.is_some_and(|there| there.version == kept.version))
            }

            async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
                let sql = "DELETE FROM digime_tokens WHERE key = $1 AND version = $2";
                let done = repeated(&self.pool, || {
                    sqlx::query(sql).bind(user).bind(version).execute(&self.pool)
                })
                .await?;
                wipe(&self.pool).await;
                Ok(done.rows_affected() == 1)
            }

            async fn list(
                &self,
                prefix: &str,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
                let sql = concat!(
                    "SELECT key, version, record FROM digime_tokens WHERE key",
                    $bytewise,
                    " >= $1 AND key",
                    $bytewise,
                    " > $2 AND substr(key, 1, length($1)) = $1 ORDER BY key",
                    $bytewise,
                    " LIMIT $3"
                );
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let rows: Vec<(String, String, String)> = repeated(&self.pool, || {
                    sqlx::query_as(sql)
                        .bind(prefix)
                        .bind(after.unwrap_or_default())
                        .bind(limit)
                        .fetch_all(&self.pool)
                })
                .await?;
                let listed = rows
                    .into_iter()
                    .map(|(user, version, record)| (user, TokenRecord { version, record }));
                Ok(listed.collect())
            }
        }
    };
}

pub(super) use sql_store;
