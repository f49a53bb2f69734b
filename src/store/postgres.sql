CREATE TABLE IF NOT EXISTS digime_flows (
    key TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Columns that the tables of an earlier version do not have.
ALTER TABLE digime_flows
    ADD COLUMN IF NOT EXISTS put_id TEXT,
    ADD COLUMN IF NOT EXISTS claim TEXT,
    ADD COLUMN IF NOT EXISTS note TEXT;

CREATE INDEX IF NOT EXISTS digime_flows_by_expiry ON digime_flows (expires_at);

CREATE TABLE IF NOT EXISTS digime_tokens (
    key TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    record TEXT NOT NULL,
    holder TEXT,
    leased_until BIGINT NOT NULL DEFAULT 0
);

-- Users are listed in the order of their keys' bytes, whatever the database's collation is.
CREATE INDEX IF NOT EXISTS digime_tokens_by_key ON digime_tokens (key COLLATE "C");
