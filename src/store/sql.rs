//! The store in an SQL database. A [`Dialect`] says how the databases differ.
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

pub(super) mod repeated;
mod sweeper;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::{
    AssertSqlSafe, ColumnIndex, Database, Decode, Encode, Error, Executor, IntoArguments, Pool,
    Row, SqlSafeStr, SqlStr, Type,
};

use repeated::repeated;

use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};
use crate::chain::Chain;
use crate::observe;
use sweeper::Sweeper;

/// How many expired flows one statement removes.
const BATCH: usize = 1000;

/// A store in an SQL database: [`SqliteStore`](super::SqliteStore) or [`PostgresStore`](super::PostgresStore). A clone is
/// the same store.
///
/// Its tables are in [`SCHEMA`](Self::SCHEMA), each with `digime_` before its name. A flow that was claimed stays in its
/// row, under its claim, until it expires. Expired flows are removed when the store is opened, and later by its calls, at
/// most once a minute.
pub struct SqlStore<DB: Dialect> {
    pub(super) pool: Pool<DB>,
    statements: Arc<Statements>,
    sweeper: Arc<Sweeper>,
}

/// A database that [`SqlStore`] works on: `sqlx::Sqlite` and `sqlx::Postgres`. No others can be added outside of this
/// crate.
pub trait Dialect: Database + sealed::Sealed {
    #[doc(hidden)]
    const SCHEMA: &'static str;

    /// The present, in Unix milliseconds.
    #[doc(hidden)]
    const NOW: &'static str;

    /// Added to a key, for its bytes to be compared.
    #[doc(hidden)]
    const BY_BYTES: &'static str;

    /// Added to a query for rows to remove: leaves out the rows that another connection is removing.
    #[doc(hidden)]
    const SKIP_LOCKED: &'static str;

    /// Which database it is, without a password.
    #[doc(hidden)]
    fn place(pool: &Pool<Self>) -> String;

    #[doc(hidden)]
    fn migrate(pool: &Pool<Self>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Executes a statement, waits until it is committed, and returns its rows.
    #[doc(hidden)]
    fn rows<'a>(
        pool: &'a Pool<Self>,
        sql: SqlStr,
        arguments: &'a [Argument<'a>],
    ) -> BoxFuture<'a, Result<Vec<Columns>, Error>>;

    /// Makes old tokens unreadable in the database's files, as far as the statements did not do so.
    #[doc(hidden)]
    fn wipe(pool: &Pool<Self>) -> BoxFuture<'_, ()>;
}

pub(super) mod sealed {
    #[expect(unnameable_types, reason = "it seals a public trait")]
    pub trait Sealed {}
}

/// An argument of a statement.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub enum Argument<'a> {
    Text(&'a str),
    Number(i64),
}

use Argument::{Number, Text};

/// A row whose columns are text.
pub(super) type Columns = Vec<Option<String>>;

/// What [`Dialect::rows`] does on every database.
pub(super) async fn rows<DB>(
    pool: &Pool<DB>,
    sql: SqlStr,
    arguments: &[Argument<'_>],
) -> Result<Vec<Columns>, Error>
where
    DB: Database<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'r> Option<String>: Decode<'r, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    let mut query = sqlx::query(sql);
    for argument in arguments {
        query = match *argument {
            Text(text) => query.bind(text),
            Number(number) => query.bind(number),
        };
    }
    // `fetch_optional` would not wait for the commit, and not see it fail.
    let rows = query.fetch_all(pool).await?;
    let columns = |row: &DB::Row| (0..row.len()).map(|column| row.try_get(column)).collect();
    rows.iter().map(columns).collect()
}

/// The statements that differ from one database to another.
struct Statements {
    sweep: SqlStr,
    put: SqlStr,
    peek: SqlStr,
    take: SqlStr,
    lease: SqlStr,
    list: SqlStr,
}

impl Statements {
    fn of<DB: Dialect>() -> Self {
        let (now, skip_locked, by_bytes) = (DB::NOW, DB::SKIP_LOCKED, DB::BY_BYTES);
        // They are made of constants.
        let sql = |text: String| AssertSqlSafe(text).into_sql_str();
        Self {
            sweep: sql(format!(
                "DELETE FROM digime_flows WHERE key IN (SELECT key FROM digime_flows WHERE expires_at <= {now} \
                 ORDER BY expires_at LIMIT {BATCH} {skip_locked}) RETURNING key"
            )),
            put: sql(format!(
                "INSERT INTO digime_flows (key, record, expires_at, put_id) VALUES ($1, $2, {now} + $3, $4) \
                 ON CONFLICT (key) DO UPDATE SET record = excluded.record, expires_at = excluded.expires_at, \
                 put_id = excluded.put_id, claim = NULL, note = NULL \
                 WHERE digime_flows.put_id IS DISTINCT FROM excluded.put_id"
            )),
            peek: sql(format!(
                "SELECT record, claim, note FROM digime_flows WHERE key = $1 AND expires_at > {now}"
            )),
            take: sql(format!(
                "UPDATE digime_flows SET claim = $2 WHERE key = $1 AND expires_at > {now} \
                 AND (claim IS NULL OR claim = $2) RETURNING record"
            )),
            lease: sql(format!(
                "UPDATE digime_tokens SET holder = $3, leased_until = {now} + $4 WHERE key = $1 AND version = $2 \
                 AND (holder = $3 OR leased_until <= {now}) RETURNING version"
            )),
            list: sql(format!(
                "SELECT key, version, record FROM digime_tokens WHERE key{by_bytes} >= $1 AND key{by_bytes} < $2 \
                 AND key{by_bytes} > $3 ORDER BY key{by_bytes} LIMIT $4"
            )),
        }
    }
}

const PUT_BACK: &str =
    "UPDATE digime_flows SET claim = NULL WHERE key = $1 AND claim = $2 AND note IS NULL";

const LEAVE_NOTE: &str =
    "UPDATE digime_flows SET record = '', note = $3 WHERE key = $1 AND claim = $2";

const LOAD: &str = "SELECT version, record FROM digime_tokens WHERE key = $1";

const RELEASE: &str =
    "UPDATE digime_tokens SET holder = NULL, leased_until = 0 WHERE key = $1 AND holder = $2";

const REPLACE: &str = "UPDATE digime_tokens SET version = $3, record = $4, holder = NULL, leased_until = 0 \
                       WHERE key = $1 AND version = $2 RETURNING version";

const SAVE: &str = "INSERT INTO digime_tokens (key, version, record) VALUES ($1, $2, $3) \
                    ON CONFLICT (key) DO NOTHING RETURNING version";

const REMOVE: &str = "DELETE FROM digime_tokens WHERE key = $1 AND version = $2 RETURNING version";

impl<DB: Dialect> SqlStore<DB> {
    /// The tables, in SQL that can be run again. A later version only adds to it; [`migrate`](Self::migrate) also adds the
    /// columns that the tables of an earlier version do not have.
    pub const SCHEMA: &'static str = DB::SCHEMA;

    /// A store in a database that the application has connected to, whose settings stay as they are.
    #[must_use]
    pub fn new(pool: Pool<DB>) -> Self {
        Self {
            pool,
            statements: Arc::new(Statements::of::<DB>()),
            sweeper: Arc::new(Sweeper::default()),
        }
    }

    /// Makes the tables and columns that do not exist yet.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the database failed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        DB::migrate(&self.pool).await
    }

    /// Removes all flows that have expired. The store does it by itself from time to time.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the database failed.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        while self
            .execute(self.statements.sweep.clone(), &[])
            .await?
            .len()
            == BATCH
        {}
        Ok(())
    }

    /// Makes the tables, and removes what has expired.
    pub(super) async fn set_up(self) -> Result<Self, StoreError> {
        self.migrate().await?;
        self.sweep().await?;
        Ok(self)
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
        sql: impl SqlSafeStr,
        arguments: &[Argument<'_>],
    ) -> Result<Vec<Columns>, StoreError> {
        let sql = sql.into_sql_str();
        repeated(&self.pool, || DB::rows(&self.pool, sql.clone(), arguments)).await
    }
}

#[async_trait]
impl<DB: Dialect> FlowStore for SqlStore<DB> {
    async fn put(&self, key: &str, flow: &FlowRecord) -> Result<(), StoreError> {
        self.sweep_sometimes();
        let expires_in = Number(millis(flow.expires_in));
        let arguments = [Text(key), Text(&flow.record), expires_in, Text(&flow.id)];
        self.execute(self.statements.put.clone(), &arguments)
            .await?;
        Ok(())
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let sql = self.statements.peek.clone();
        let mut rows = self.execute(sql, &[Text(key)]).await?;
        Ok(match rows.pop().as_deref_mut() {
            Some([Some(record), None, _]) => Some(Found::Waiting(std::mem::take(record))),
            Some([_, _, note]) => Some(Found::Taken(note.take())),
            _ => None,
        })
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        self.sweep_sometimes();
        let sql = self.statements.take.clone();
        let rows = self.execute(sql, &[Text(key), Text(claim)]).await?;
        Ok(rows.into_iter().flatten().flatten().next())
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        self.execute(PUT_BACK, &[Text(key), Text(claim)]).await?;
        Ok(())
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        self.execute(LEAVE_NOTE, &[Text(key), Text(claim), Text(note)])
            .await?;
        Ok(())
    }
}

#[async_trait]
impl<DB: Dialect> TokenStore for SqlStore<DB> {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        self.sweep_sometimes();
        let mut rows = self.execute(LOAD, &[Text(user)]).await?;
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
        let sql = self.statements.lease.clone();
        let duration = Number(millis(duration));
        let arguments = [Text(user), Text(version), Text(holder), duration];
        Ok(!self.execute(sql, &arguments).await?.is_empty())
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.execute(RELEASE, &[Text(user), Text(holder)]).await?;
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
                self.execute(REPLACE, &arguments).await?
            }
            None => self.execute(SAVE, &[user, new[0], new[1]]).await?,
        };
        DB::wipe(&self.pool).await;
        if !replaced.is_empty() {
            return Ok(true);
        }
        // It may be a repetition.
        let found = self.execute(LOAD, &[user]).await?;
        let version = found.first().and_then(|columns| columns.first());
        Ok(version == Some(&Some(tokens.version.clone())))
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        let removed = self.execute(REMOVE, &[Text(user), Text(version)]).await?;
        DB::wipe(&self.pool).await;
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
        let sql = self.statements.list.clone();
        let arguments = [Text(prefix), Text(&end), after, limit];
        let rows = self.execute(sql, &arguments).await?;
        Ok(rows.into_iter().filter_map(listed).collect())
    }
}

fn listed(columns: Columns) -> Option<(String, TokenRecord)> {
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

impl<DB: Dialect> Clone for SqlStore<DB> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            statements: self.statements.clone(),
            sweeper: self.sweeper.clone(),
        }
    }
}

impl<DB: Dialect> fmt::Debug for SqlStore<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("pool", &self.pool)
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
            rows = count().fetch_one(&store.pool).await.expect("a number");
        }
    }
}
