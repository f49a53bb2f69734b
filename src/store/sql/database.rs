//! The seam between the SQL stores and what runs their statements.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;

/// What runs the statements of an [`SqlStore`](super::SqlStore): a connection pool of the application, of any driver.
///
/// With the features `sqlite` and `postgres` it is implemented for the pools of `sqlx` 0.9. With neither, `sqlx` is not
/// compiled. An implementation for another driver, here `tokio-postgres` behind one connection:
///
/// ```
/// # mod tokio_postgres {
/// #     pub mod types {
/// #         pub struct Type;
/// #         impl Type { pub const TEXT: Type = Type; pub const INT8: Type = Type; }
/// #         pub trait ToSql {}
/// #         impl ToSql for &str {}
/// #         impl ToSql for i64 {}
/// #     }
/// #     pub struct Client;
/// #     #[derive(Debug)]
/// #     pub struct Error;
/// #     impl std::fmt::Display for Error { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
/// #     impl std::error::Error for Error {}
/// #     pub struct Row;
/// #     impl Row {
/// #         pub fn len(&self) -> usize { 0 }
/// #         pub fn try_get(&self, _: usize) -> Result<Option<String>, Error> { Ok(None) }
/// #     }
/// #     impl Client {
/// #         pub async fn query_typed(&self, _: &str, _: &[(&(dyn types::ToSql + Sync), types::Type)]) -> Result<Vec<Row>, Error> { Ok(Vec::new()) }
/// #         pub fn is_closed(&self) -> bool { false }
/// #     }
/// # }
/// use digime::async_trait;
/// use digime::store::{SqlArgument, SqlDatabase, SqlDialect, SqlError, SqlRow, SqlStore};
/// use tokio_postgres::types::{ToSql, Type};
///
/// struct MyDatabase(tokio_postgres::Client);
///
/// #[async_trait]
/// impl SqlDatabase for MyDatabase {
///     const DIALECT: SqlDialect = SqlDialect::Postgres;
///
///     async fn execute(&self, sql: &'static str, arguments: &[SqlArgument<'_>]) -> Result<Vec<SqlRow>, SqlError> {
///         let typed: Vec<(&(dyn ToSql + Sync), Type)> = arguments
///             .iter()
///             .map(|argument| match argument {
///                 SqlArgument::Text(text) => (text as &(dyn ToSql + Sync), Type::TEXT),
///                 SqlArgument::Number(number) => (number as &(dyn ToSql + Sync), Type::INT8),
///             })
///             .collect();
///         let rows = self.0.query_typed(sql, &typed).await.map_err(|error| match self.0.is_closed() {
///             true => SqlError::connection(error),
///             false => SqlError::statement(error),
///         })?;
///         let text_of = |row: &tokio_postgres::Row| (0..row.len()).map(|column| row.try_get(column)).collect();
///         rows.iter().map(text_of).collect::<Result<_, _>>().map_err(SqlError::statement)
///     }
/// }
///
/// async fn store(client: tokio_postgres::Client) -> Result<SqlStore<MyDatabase>, digime::Error> {
///     let store = SqlStore::new(MyDatabase(client));
///     store.migrate().await?;
///     Ok(store)
/// }
/// ```
///
/// The tests of the feature `conformance` say whether it is right: run them on `SqlStore::new(…)`.
#[async_trait]
pub trait SqlDatabase: Send + Sync + 'static {
    /// Which SQL the database understands.
    const DIALECT: SqlDialect;

    /// Executes one statement, waits until it is committed, and returns its rows.
    ///
    /// `sql` is one of a few dozen texts, which can be prepared and cached. `arguments` are its parameters: `$1`, `$2` and so
    /// on in PostgreSQL, and `?1`, `?2` in SQLite. All columns that it returns are text, and may be null. It is not called
    /// inside a transaction, and may run on any connection.
    ///
    /// # Errors
    /// [`SqlError::Connection`] if the statement may or may not have been executed, or surely was not, and trying again may
    /// help. The store then repeats it for some seconds, which does nothing twice. Any other failure is
    /// [`SqlError::Statement`].
    async fn execute(
        &self,
        sql: &'static str,
        arguments: &[SqlArgument<'_>],
    ) -> Result<Vec<SqlRow>, SqlError>;

    /// Called when tokens were replaced or removed, to make the old ones unreadable in the database's files. By default it
    /// does nothing.
    ///
    /// A SQLite connection of your own should have `PRAGMA secure_delete = ON`, and `PRAGMA wal_checkpoint(TRUNCATE)` here if it
    /// writes a log ahead (WAL). PostgreSQL's files are read by its server alone.
    async fn wipe(&self) {}
}

/// The SQL that a database understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlDialect {
    /// SQLite, 3.42 or later, whose `unixepoch` knows milliseconds.
    Sqlite,
    /// PostgreSQL. The store is tested with 15.
    Postgres,
}

/// A parameter of a statement.
#[derive(Clone, Copy)]
pub enum SqlArgument<'a> {
    /// A parameter of type `TEXT`. It may be secret.
    Text(&'a str),
    /// A parameter of type `BIGINT`.
    Number(i64),
}

impl fmt::Debug for SqlArgument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text([redacted])"),
            Self::Number(number) => f.debug_tuple("Number").field(number).finish(),
        }
    }
}

/// The columns of a row.
pub type SqlRow = Vec<Option<String>>;

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The connection failed, and the same statement may succeed on another.
    #[error("the connection to the database failed")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
    /// Repeating the statement would not help.
    #[error("the database refused a statement")]
    Statement(#[source] Box<dyn Error + Send + Sync>),
}

impl SqlError {
    /// A fault of the connection, with the driver's own error.
    pub fn connection(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Connection(cause.into())
    }

    /// Any other failure, with the driver's own error.
    pub fn statement(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Statement(cause.into())
    }

    pub(super) fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Connection(cause) | Self::Statement(cause) => cause,
        }
    }
}
