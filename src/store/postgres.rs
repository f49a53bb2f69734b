use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::StoreError;
use super::sql::pool::execute;
use super::sql::{SqlArgument, SqlDatabase, SqlDialect, SqlError, SqlRow, SqlStore};

/// A store in PostgreSQL, for many machines.
///
/// A call whose connection fails is repeated for some seconds, and does nothing twice. PostgreSQL itself keeps what was
/// removed and replaced in its files, until `VACUUM` and the recycling of its log.
pub type PostgresStore = SqlStore<PgPool>;

impl SqlStore<PgPool> {
    /// Connects to a URL such as `postgres://user:password@host/database`, and checks that the tables exist. Calls wait for a
    /// connection for at most five seconds.
    ///
    /// The user needs no right to make tables. [`connect_and_migrate`](Self::connect_and_migrate) makes them, once and after
    /// an update of this library. `docs/databases.md` in the repository lists the grants of both users.
    ///
    /// ```no_run
    /// use digime::store::PostgresStore;
    ///
    /// # async fn example() -> Result<(), digime::Error> {
    /// let store = PostgresStore::connect("postgres://shop:secret@db.internal/shop").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`StoreError::NotMigrated`] if a table or column is missing. The message names it.
    /// - [`StoreError::Failed`] if the database can't be reached, or does not let its user use the tables.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let store = Self::connect_lazy(url)?;
        store.check().await?;
        store.sweep().await?;
        Ok(store)
    }

    /// Connects as [`connect`](Self::connect) does, and makes the tables and columns that do not exist yet. The user needs the
    /// right to make them only if one is missing.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the database can't be reached, or does not let the tables be made.
    pub async fn connect_and_migrate(url: &str) -> Result<Self, StoreError> {
        let store = Self::connect_lazy(url)?;
        store.migrate().await?;
        store.sweep().await?;
        Ok(store)
    }

    fn connect_lazy(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(StoreError::failed)?;
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Ok(Self::new(pool))
    }
}

#[async_trait]
impl SqlDatabase for PgPool {
    const DIALECT: SqlDialect = SqlDialect::Postgres;

    async fn execute(
        &self,
        sql: &'static str,
        arguments: &[SqlArgument<'_>],
    ) -> Result<Vec<SqlRow>, SqlError> {
        execute(self, sql, arguments, || place(&self.connect_options())).await
    }
}

/// Which database it is, without a password.
fn place(options: &PgConnectOptions) -> String {
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
