CREATE TABLE IF NOT EXISTS digime_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    contract_id TEXT NOT NULL,
    user_key TEXT NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    due_at INTEGER,
    remove_at INTEGER,
    claim TEXT,
    connected INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    enqueued_at INTEGER NOT NULL,
    tried_since INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    last_error TEXT,
    file_name TEXT NOT NULL,
    labels TEXT NOT NULL,
    size INTEGER NOT NULL,
    content BLOB,
    UNIQUE (contract_id, user_key, reference)
);

CREATE INDEX IF NOT EXISTS digime_outbox_due ON digime_outbox (due_at, id, contract_id, user_key) WHERE due_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS digime_outbox_removal ON digime_outbox (remove_at) WHERE remove_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS digime_outbox_sending ON digime_outbox (contract_id, user_key, due_at) WHERE state = 'sending';

CREATE INDEX IF NOT EXISTS digime_outbox_by_state ON digime_outbox (state, id);

CREATE TABLE IF NOT EXISTS digime_outbox_held_back (
    contract_id TEXT PRIMARY KEY,
    until INTEGER NOT NULL
);
