-- Two machines that start at once would both make the tables.
SELECT pg_advisory_xact_lock(7236279120361);

CREATE TABLE IF NOT EXISTS digime_flows (
    key TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS digime_flows_by_expiry ON digime_flows (expires_at);

CREATE TABLE IF NOT EXISTS digime_tokens (
    key TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    record TEXT NOT NULL,
    holder TEXT,
    leased_until BIGINT NOT NULL DEFAULT 0
);
