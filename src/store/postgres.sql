-- Two machines that start at once would both make the tables.
SELECT pg_advisory_xact_lock(7236279120361);

CREATE TABLE IF NOT EXISTS digime_flows (
    key TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    put_id TEXT,
    claim TEXT,
    note TEXT
);

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

-- Tables of an earlier version. ALTER TABLE would wait for whoever reads them, so it is left out where it is not needed.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = 'digime_flows'::regclass AND attname = 'claim'
    ) THEN
        ALTER TABLE digime_flows ADD COLUMN put_id TEXT, ADD COLUMN claim TEXT, ADD COLUMN note TEXT;
    END IF;
END
$$;
