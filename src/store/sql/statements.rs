//! The statements.

use std::sync::LazyLock;

use super::SqlDialect;

/// How many expired flows one statement removes.
pub(super) const BATCH: usize = 1000;

pub(super) struct Statements {
    pub sweep: String,
    pub put: String,
    pub peek: String,
    pub take: String,
    pub put_back: String,
    pub leave_note: String,
    pub load: String,
    pub lease: String,
    pub release: String,
    pub save: String,
    pub replace: String,
    pub remove: String,
    pub list: String,
}

impl Statements {
    pub(super) fn of(dialect: SqlDialect) -> &'static Self {
        static SQLITE: LazyLock<Statements> = LazyLock::new(|| Statements::new(SqlDialect::Sqlite));
        static POSTGRES: LazyLock<Statements> =
            LazyLock::new(|| Statements::new(SqlDialect::Postgres));
        match dialect {
            SqlDialect::Sqlite => &SQLITE,
            SqlDialect::Postgres => &POSTGRES,
        }
    }

    fn new(dialect: SqlDialect) -> Self {
        let (now, skip_locked, by_bytes) = words(dialect);
        let sql = |text: &str| numbered(dialect, text);
        Self {
            sweep: sql(&format!(
                "DELETE FROM digime_flows WHERE key IN (SELECT key FROM digime_flows WHERE expires_at <= {now} \
                 ORDER BY expires_at LIMIT {BATCH} {skip_locked}) RETURNING key"
            )),
            put: sql(&format!(
                "INSERT INTO digime_flows (key, record, expires_at, put_id) VALUES ($1, $2, {now} + $3, $4) \
                 ON CONFLICT (key) DO UPDATE SET record = excluded.record, expires_at = excluded.expires_at, \
                 put_id = excluded.put_id, claim = NULL, note = NULL \
                 WHERE digime_flows.put_id IS DISTINCT FROM excluded.put_id"
            )),
            peek: sql(&format!(
                "SELECT record, claim, note FROM digime_flows WHERE key = $1 AND expires_at > {now}"
            )),
            take: sql(&format!(
                "UPDATE digime_flows SET claim = $2 WHERE key = $1 AND expires_at > {now} \
                 AND (claim IS NULL OR claim = $2) RETURNING record"
            )),
            put_back: sql(
                "UPDATE digime_flows SET claim = NULL WHERE key = $1 AND claim = $2 AND note IS NULL",
            ),
            leave_note: sql(
                "UPDATE digime_flows SET record = '', note = $3 WHERE key = $1 AND claim = $2",
            ),
            load: sql("SELECT version, record FROM digime_tokens WHERE key = $1"),
            lease: sql(&format!(
                "UPDATE digime_tokens SET holder = $3, leased_until = {now} + $4 WHERE key = $1 AND version = $2 \
                 AND (holder = $3 OR leased_until <= {now}) RETURNING version"
            )),
            release: sql(
                "UPDATE digime_tokens SET holder = NULL, leased_until = 0 WHERE key = $1 AND holder = $2",
            ),
            save: sql(
                "INSERT INTO digime_tokens (key, version, record) VALUES ($1, $2, $3) \
                 ON CONFLICT (key) DO NOTHING RETURNING version",
            ),
            replace: sql(
                "UPDATE digime_tokens SET version = $3, record = $4, holder = NULL, leased_until = 0 \
                 WHERE key = $1 AND version = $2 RETURNING version",
            ),
            remove: sql(
                "DELETE FROM digime_tokens WHERE key = $1 AND version = $2 RETURNING version",
            ),
            list: sql(&format!(
                "SELECT key, version, record FROM digime_tokens WHERE key{by_bytes} >= $1 AND key{by_bytes} < $2 \
                 AND key{by_bytes} > $3 ORDER BY key{by_bytes} LIMIT $4"
            )),
        }
    }
}

/// SQLite takes `$2` for a name, whose place depends on what comes before it. `?2` is the second parameter.
fn numbered(dialect: SqlDialect, text: &str) -> String {
    match dialect {
        SqlDialect::Sqlite => text.replace('$', "?"),
        SqlDialect::Postgres => text.to_owned(),
    }
}

/// The present in Unix milliseconds; what leaves out the rows that another connection is removing; what makes a key
/// compare by its bytes.
fn words(dialect: SqlDialect) -> (&'static str, &'static str, &'static str) {
    match dialect {
        SqlDialect::Sqlite => ("CAST(unixepoch('subsec') * 1000 AS INTEGER)", "", ""),
        SqlDialect::Postgres => (
            "CAST(extract(epoch FROM now()) * 1000 AS BIGINT)",
            "FOR UPDATE SKIP LOCKED",
            " COLLATE \"C\"",
        ),
    }
}
