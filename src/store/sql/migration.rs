//! The tables: which there have to be, which there are, and how they are made.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::SqlDialect;

const FLOWS: (&str, &[&str]) = (
    "digime_flows",
    &["key", "record", "expires_at", "put_id", "claim", "note"],
);

const TOKENS: (&str, &[&str]) = (
    "digime_tokens",
    &["key", "version", "record", "holder", "leased_until"],
);

/// The columns that the tables of an earlier version do not have. SQLite has no `ADD COLUMN IF NOT EXISTS`.
const SQLITE_COLUMNS: [&str; 3] = [
    "ALTER TABLE digime_flows ADD COLUMN put_id TEXT",
    "ALTER TABLE digime_flows ADD COLUMN claim TEXT",
    "ALTER TABLE digime_flows ADD COLUMN note TEXT",
];

/// Finds the columns, as `table.column`, and the indexes. It needs no rights on the tables.
const PRESENT_IN_SQLITE: &str = "SELECT 'digime_flows.' || name FROM pragma_table_info('digime_flows') \
     UNION ALL SELECT 'digime_tokens.' || name FROM pragma_table_info('digime_tokens') \
     UNION ALL SELECT name FROM sqlite_schema WHERE type = 'index' AND name = 'digime_flows_by_expiry'";

const PRESENT_IN_POSTGRES: &str = "SELECT CAST(relname AS TEXT) || '.' || CAST(attname AS TEXT) \
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE NOT attisdropped AND attnum > 0 \
     AND attrelid IN (to_regclass('digime_flows'), to_regclass('digime_tokens')) \
     UNION ALL SELECT CAST(relname AS TEXT) FROM pg_class \
     WHERE oid IN (to_regclass('digime_flows_by_expiry'), to_regclass('digime_tokens_by_key'))";

impl SqlDialect {
    /// The tables, in SQL.
    pub(super) const fn schema(self) -> &'static str {
        match self {
            Self::Sqlite => include_str!("../sqlite.sql"),
            Self::Postgres => include_str!("../postgres.sql"),
        }
    }

    pub(super) fn present(self) -> &'static str {
        match self {
            Self::Sqlite => PRESENT_IN_SQLITE,
            Self::Postgres => PRESENT_IN_POSTGRES,
        }
    }

    /// The statements that make what is missing. Some may fail because what they make exists.
    pub(super) fn migration(self) -> Vec<&'static str> {
        match self {
            Self::Sqlite => {
                let tables = self.schema().split(';').map(str::trim);
                let tables = tables.filter(|statement| !statement.is_empty());
                tables.chain(SQLITE_COLUMNS).collect()
            }
            Self::Postgres => vec![&POSTGRES_BLOCK],
        }
    }

    fn indexes(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &["digime_flows_by_expiry"],
            Self::Postgres => &["digime_flows_by_expiry", "digime_tokens_by_key"],
        }
    }
}

/// One statement, and so one transaction. Two machines that start at once would both make the tables, so one of them waits.
static POSTGRES_BLOCK: LazyLock<String> = LazyLock::new(|| {
    let schema = SqlDialect::Postgres.schema();
    format!(
        "DO $digime$ BEGIN \
         PERFORM pg_advisory_xact_lock(7236279120361); \
         PERFORM set_config('client_min_messages', 'warning', true); \
         {schema} END $digime$"
    )
});

/// What a database lacks.
#[derive(Default)]
pub(super) struct Missing {
    /// Tables and columns, in words.
    pub tables: Vec<String>,
    /// Only slower without them.
    pub indexes: Vec<&'static str>,
}

impl Missing {
    /// What is not among the names that [`SqlDialect::present`] finds.
    pub(super) fn of(dialect: SqlDialect, present: &BTreeSet<String>) -> Self {
        let mut tables = Vec::new();
        for (table, columns) in [FLOWS, TOKENS] {
            let lacks = |column: &&&str| !present.contains(&format!("{table}.{column}"));
            let lacking: Vec<_> = columns.iter().filter(lacks).collect();
            if lacking.len() == columns.len() {
                tables.push(format!("table `{table}`"));
            } else {
                let column = |column| format!("column `{table}.{column}`");
                tables.extend(lacking.into_iter().map(column));
            }
        }
        let indexes = dialect.indexes().iter().copied();
        Self {
            tables,
            indexes: indexes.filter(|index| !present.contains(*index)).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.indexes.is_empty()
    }
}
