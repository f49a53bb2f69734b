-- Two machines that start at once would both make the tables.
SELECT pg_advisory_xact_lock(7236279120362);

CREATE TABLE IF NOT EXISTS digime_outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract_id TEXT NOT NULL,
    user_key TEXT NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    due_at BIGINT,
    remove_at BIGINT,
    claim TEXT,
    connected BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    lost BIGINT NOT NULL DEFAULT 0,
    enqueued_at BIGINT NOT NULL,
    tried_since BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    last_error TEXT,
    file_name TEXT NOT NULL,
    labels TEXT NOT NULL,
    size BIGINT NOT NULL,
    content BYTEA,
    UNIQUE (contract_id, user_key, reference)
);

CREATE INDEX IF NOT EXISTS digime_outbox_due ON digime_outbox (due_at, id, contract_id, user_key) WHERE due_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS digime_outbox_removal ON digime_outbox (remove_at) WHERE remove_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS digime_outbox_sending ON digime_outbox (contract_id, user_key, due_at) WHERE state = 'sending';

CREATE INDEX IF NOT EXISTS digime_outbox_by_state ON digime_outbox (state, id);

CREATE TABLE IF NOT EXISTS digime_outbox_held_back (
    contract_id TEXT PRIMARY KEY,
    until BIGINT NOT NULL
);
