//! The shop's database: a SQLite file or PostgreSQL. The flows, the tokens and the outbox are in it too.

pub mod attempts;
pub mod customers;
mod notices;
pub mod orders;
pub mod sessions;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use digime::store::{PostgresStore, SqliteStore, Store};
use digime_outbox::Outbox;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgConnection, PgPool, SqlitePool};

/// How long the outbox keeps what it has delivered, without its content: it is the shop's record of what was saved.
const KEPT: Duration = Duration::from_hours(10 * 365 * 24);

/// How long a request waits for a connection. When many people come at once, waiting is better than an error.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs the same code on either database. Its types differ, so a function can't.
macro_rules! on {
    ($db:expr, $pool:ident => $query:expr) => {
        match $db {
            $crate::db::Db::Sqlite($pool) => $query,
            $crate::db::Db::Postgres($pool) => $query,
        }
    };
}
pub(crate) use on;

impl Db {
    pub async fn connect(url: &str) -> Result<Self> {
        let db = if url.starts_with("sqlite:") {
            let pool = open_file(url).await;
            Self::Sqlite(pool.with_context(|| format!("can't open the database {url}"))?)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options: PgConnectOptions = url.parse().context("`database_url` can't be used")?;
            let place = format!("{}:{}", options.get_host(), options.get_port());
            // At each start the server would say that the table of migrations exists.
            let options = options.options([("client_min_messages", "warning")]);
            let first = PgConnection::connect_with(&options).await;
            // A pool would ask again for some time, and not say why it had to.
            let first = first.with_context(|| format!("can't connect to PostgreSQL at {place}"))?;
            first.close().await?;
            let pool = PgPoolOptions::new()
                .max_connections(20)
                .acquire_timeout(PATIENCE)
                .connect_with(options)
                .await;
            Self::Postgres(pool.context("can't connect to PostgreSQL again")?)
        } else {
            bail!("`database_url` begins with neither `sqlite:` nor `postgres:`");
        };
        let migrations = sqlx::migrate!();
        on!(&db, pool => migrations.run(pool).await).context("can't make the shop's tables")?;
        Ok(db)
    }

    /// Where digime keeps flows and tokens.
    pub async fn store(&self) -> Result<Arc<dyn Store>> {
        Ok(match self {
            Self::Sqlite(pool) => {
                let store = SqliteStore::new(pool.clone());
                store.migrate().await?;
                Arc::new(store)
            }
            Self::Postgres(pool) => {
                let store = PostgresStore::new(pool.clone());
                store.migrate().await?;
                Arc::new(store)
            }
        })
    }

    /// Where receipts wait until they are in the person's digi.me.
    pub fn outbox(&self) -> Outbox {
        let outbox = match self {
            Self::Sqlite(pool) => Outbox::sqlite(pool.clone()),
            Self::Postgres(pool) => Outbox::postgres(pool.clone()),
        };
        outbox.retention(KEPT)
    }

    pub async fn ping(&self) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(drop))
    }

    /// How a transaction that writes begins. One of SQLite that reads first could not write later, if another one did.
    pub(crate) fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN",
        }
    }

    pub async fn close(&self) {
        on!(self, pool => pool.close().await);
    }
}

/// Opens a file with the settings that digime's own `SqliteStore::open` uses, since tokens are in it.
async fn open_file(url: &str) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .busy_timeout(PATIENCE);
    #[cfg(unix)]
    create_private(options.get_filename())?;
    Ok(SqlitePoolOptions::new()
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await?)
}

/// Only the shop's own user may read the file. SQLite gives its other files the same permissions.
#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    if path.exists() {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop)
}

/// Unix milliseconds, as the tables have them.
pub fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}
