//! The store in an SQL database. [`SqlDatabase`] runs its statements, and [`SqlDialect`] says how the databases differ.
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

mod database;
mod migration;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) mod pool;
mod statements;
mod sweeper;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

pub use database::{SqlArgument, SqlDatabase, SqlDialect, SqlError, SqlRow};
use migration::Missing;
use statements::{BATCH, Statements};
use sweeper::Sweeper;

use super::repeated::repeated;
use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};
use crate::chain::Chain;
use crate::observe;
use SqlArgument::{Number, Text};

/// A store in an SQL database: `SqliteStore`, `PostgresStore`, or on anything else that runs SQL, which [`SqlDatabase`]
/// shows. A clone is the same store.
///
/// Its tables are in [`SCHEMA`](Self::SCHEMA), each with `digime_` before its name. A flow that was claimed stays in its
/// row, under its claim, until it expires. Expired flows are removed when the store is opened, and later by its calls, at
/// most once a minute.
pub struct SqlStore<D> {
    database: Arc<D>,
    sweeper: Arc<Sweeper>,
}

impl<D: SqlDatabase> SqlStore<D> {
    /// The tables, in SQL that can be run again. A later version only adds to it; [`migrate`](Self::migrate) also adds the
    /// columns that the tables of an earlier version do not have.
    pub const SCHEMA: &'static str = D::DIALECT.schema();

    /// A store in a database that the application has connected to, such as a pool of `sqlx`, whose settings stay as they
    /// are.
    #[must_use]
    pub fn new(database: D) -> Self {
        Self {
            database: Arc::new(database),
            sweeper: Arc::new(Sweeper::default()),
        }
    }

    /// Makes the tables, columns and indexes that do not exist yet. It looks first, and changes nothing if all exist.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the database failed, or does not let its user make them.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        if self.missing().await?.is_empty() {
            return Ok(());
        }
        let mut refused = Ok(());
        for statement in D::DIALECT.migration() {
            let done = self.execute(statement, &[]).await.map(drop);
            refused = refused.and(done);
        }
        // What another machine has made in the meantime could not be made again.
        if self.missing().await?.is_empty() {
            return Ok(());
        }
        refused?;
        self.check().await
    }

    /// Checks that the database can be reached and has the tables and columns. It needs no rights to make any.
    ///
    /// # Errors
    /// - [`StoreError::NotMigrated`] if a table or column is missing.
    /// - [`StoreError::Failed`] if the database failed.
    pub async fn check(&self) -> Result<(), StoreError> {
        let tables = self.missing().await?.tables;
        if tables.is_empty() {
            return Ok(());
        }
        Err(StoreError::NotMigrated(tables.join(" and no ")))
    }

    /// Removes all flows that have expired. The store does it by itself from time to time.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the database failed.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        while self.execute(&statements::<D>().sweep, &[]).await?.len() == BATCH {}
        Ok(())
    }

    async fn missing(&self) -> Result<Missing, StoreError> {
        let rows = self.execute(D::DIALECT.present(), &[]).await?;
        let present = rows.into_iter().flatten().flatten().collect();
        Ok(Missing::of(D::DIALECT, &present))
    }

    /// Removes what has expired, at most once a minute, in a task that no call waits for.
    fn sweep_sometimes(&self) {
        if self.sweeper.is_due(Instant::now()) {
            let store = self.clone();
            tokio::spawn(async move {
                if let Err(error) = store.sweep().await {
                    tracing::warn!(target: observe::STORE, error = %Chain(&error), "expired flows are still in the database");
                }
            });
        }
    }

    async fn execute(
        &self,
        sql: &'static str,
        arguments: &[SqlArgument<'_>],
    ) -> Result<Vec<SqlRow>, StoreError> {
        let call = || self.database.execute(sql, arguments);
        let may_pass = |error: &SqlError| matches!(error, SqlError::Connection(_));
        let done = repeated(call, may_pass).await;
        done.map_err(|error| StoreError::failed(error.into_cause()))
    }
}

fn statements<D: SqlDatabase>() -> &'static Statements {
    Statements::of(D::DIALECT)
}

#[async_trait]
impl<D: SqlDatabase> FlowStore for SqlStore<D> {
    async fn put(&self, key: &str, flow: &FlowRecord) -> Result<(), StoreError> {
        self.sweep_sometimes();
        let expires_in = Number(millis(flow.expires_in));
        let arguments = [Text(key), Text(&flow.record), expires_in, Text(&flow.id)];
        self.execute(&statements::<D>().put, &arguments).await?;
        Ok(())
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let mut rows = self.execute(&statements::<D>().peek, &[Text(key)]).await?;
        Ok(match rows.pop().as_deref_mut() {
            Some([Some(record), None, _]) => Some(Found::Waiting(std::mem::take(record))),
            Some([_, _, note]) => Some(Found::Taken(note.take())),
            _ => None,
        })
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        self.sweep_sometimes();
        let rows = self
            .execute(&statements::<D>().take, &[Text(key), Text(claim)])
            .await?;
        Ok(rows.into_iter().flatten().flatten().next())
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        self.execute(&statements::<D>().put_back, &[Text(key), Text(claim)])
            .await?;
        Ok(())
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        self.execute(
            &statements::<D>().leave_note,
            &[Text(key), Text(claim), Text(note)],
        )
        .await?;
        Ok(())
    }
}

#[async_trait]
impl<D: SqlDatabase> TokenStore for SqlStore<D> {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        self.sweep_sometimes();
        let mut rows = self.execute(&statements::<D>().load, &[Text(user)]).await?;
        Ok(match rows.pop().as_deref_mut() {
            Some([Some(version), Some(record)]) => Some(TokenRecord {
                version: std::mem::take(version),
                record: std::mem::take(record),
            }),
            _ => None,
        })
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        let duration = Number(millis(duration));
        let arguments = [Text(user), Text(version), Text(holder), duration];
        let leased = self.execute(&statements::<D>().lease, &arguments).await?;
        Ok(!leased.is_empty())
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.execute(&statements::<D>().release, &[Text(user), Text(holder)])
            .await?;
        Ok(())
    }

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        tokens: &TokenRecord,
    ) -> Result<bool, StoreError> {
        let (user, new) = (Text(user), [Text(&tokens.version), Text(&tokens.record)]);
        let replaced = match version {
            Some(version) => {
                let arguments = [user, Text(version), new[0], new[1]];
                self.execute(&statements::<D>().replace, &arguments).await?
            }
            None => {
                self.execute(&statements::<D>().save, &[user, new[0], new[1]])
                    .await?
            }
        };
        self.database.wipe().await;
        if !replaced.is_empty() {
            return Ok(true);
        }
        // It may be a repetition.
        let found = self.execute(&statements::<D>().load, &[user]).await?;
        let version = found.first().and_then(|columns| columns.first());
        Ok(version == Some(&Some(tokens.version.clone())))
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        let removed = self
            .execute(&statements::<D>().remove, &[Text(user), Text(version)])
            .await?;
        self.database.wipe().await;
        Ok(!removed.is_empty())
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        let end = format!("{prefix}{}", char::MAX);
        let limit = Number(i64::try_from(limit).unwrap_or(i64::MAX));
        let after = Text(after.unwrap_or_default());
        let arguments = [Text(prefix), Text(&end), after, limit];
        let rows = self.execute(&statements::<D>().list, &arguments).await?;
        Ok(rows.into_iter().filter_map(listed).collect())
    }
}

fn listed(columns: SqlRow) -> Option<(String, TokenRecord)> {
    let [Some(user), Some(version), Some(record)] = <[_; 3]>::try_from(columns).ok()? else {
        return None;
    };
    Some((user, TokenRecord { version, record }))
}

fn millis(duration: Duration) -> i64 {
    // Far enough from the end of the range that the present can be added to it.
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 2)
}

impl<D> Clone for SqlStore<D> {
    fn clone(&self) -> Self {
        Self {
            database: self.database.clone(),
            sweeper: self.sweeper.clone(),
        }
    }
}

impl<D: SqlDatabase> fmt::Debug for SqlStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("dialect", &D::DIALECT)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    #[tokio::test]
    async fn expired_flows_are_removed_by_calls_that_park_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("store.db")).await;
        let store = store.expect("a store");
        let abandoned = FlowRecord {
            id: "a parking".into(),
            record: "a verifier".into(),
            expires_in: Duration::ZERO,
        };
        store.put("key", &abandoned).await.expect("parked");
        let store = SqliteStore {
            sweeper: Arc::new(Sweeper::every(Duration::ZERO)),
            ..store
        };
        let count = || sqlx::query_scalar("SELECT count(*) FROM digime_flows");
        let mut rows = 1;
        while rows > 0 {
            assert_eq!(store.load("nobody").await.expect("it works"), None);
            rows = count().fetch_one(&*store.database).await.expect("a number");
        }
    }
}
