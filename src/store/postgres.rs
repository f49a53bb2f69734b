use std::future::ready;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Error, PgPool, Postgres, SqlStr};

use super::StoreError;
use super::sql::repeated::repeated;
use super::sql::{Argument, Columns, Dialect, SqlStore, rows, sealed};

/// A store in PostgreSQL, for many machines.
///
/// A call whose connection fails is repeated for some seconds, and does nothing twice. PostgreSQL itself keeps what was
/// removed and replaced in its files, until `VACUUM` and the recycling of its log.
pub type PostgresStore = SqlStore<Postgres>;

impl SqlStore<Postgres> {
    /// Connects to a URL such as `postgres://user:password@host/database`, and makes the tables that do not exist yet.
    /// Calls wait for a connection for at most five seconds.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the database can't be reached, or does not let the tables be made.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(StoreError::failed)?;
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Self::new(pool).set_up().await
    }
}

impl sealed::Sealed for Postgres {}

impl Dialect for Postgres {
    const SCHEMA: &'static str = include_str!("postgres.sql");
    const NOW: &'static str = "CAST(extract(epoch FROM now()) * 1000 AS BIGINT)";
    const BY_BYTES: &'static str = " COLLATE \"C\"";
    const SKIP_LOCKED: &'static str = "FOR UPDATE SKIP LOCKED";

    fn place(pool: &PgPool) -> String {
        let options = pool.connect_options();
        let database = options.get_database().unwrap_or(options.get_username());
        match options.get_socket() {
            Some(socket) => format!("PostgreSQL at {}, database `{database}`", socket.display()),
            None => format!(
                "PostgreSQL at {}:{}, database `{database}`",
                options.get_host(),
                options.get_port()
            ),
        }
    }

    fn migrate(pool: &PgPool) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            repeated(pool, || sqlx::raw_sql(Self::SCHEMA).execute(pool))
                .await
                .map(drop)
        }
        .boxed()
    }

    fn rows<'a>(
        pool: &'a PgPool,
        sql: SqlStr,
        arguments: &'a [Argument<'a>],
    ) -> BoxFuture<'a, Result<Vec<Columns>, Error>> {
        rows(pool, sql, arguments).boxed()
    }

    /// Only the server reads PostgreSQL's files.
    fn wipe(_: &PgPool) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}
