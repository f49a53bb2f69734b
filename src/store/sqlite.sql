CREATE TABLE IF NOT EXISTS digime_flows (
    key TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    put_id TEXT,
    claim TEXT,
    note TEXT
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS digime_flows_by_expiry ON digime_flows (expires_at);

CREATE TABLE IF NOT EXISTS digime_tokens (
    key TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    record TEXT NOT NULL,
    holder TEXT,
    leased_until INTEGER NOT NULL DEFAULT 0
);
