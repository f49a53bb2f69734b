-- These statements mean the same to PostgreSQL and to SQLite. Times are Unix milliseconds.

CREATE TABLE shop_orders (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    customer TEXT NOT NULL,
    product TEXT NOT NULL,
    cents BIGINT NOT NULL,
    ordered_at BIGINT NOT NULL
);

CREATE INDEX shop_orders_of_customer ON shop_orders (tenant, customer, ordered_at);

-- The customers of each shop. A transaction that adds an order, and one that notes a consent, lock the row. So an order that is
-- added while its customer consents gets its receipt saved too.
CREATE TABLE shop_customers (
    tenant TEXT NOT NULL,
    customer TEXT NOT NULL,
    saves_receipts BOOLEAN NOT NULL,
    PRIMARY KEY (tenant, customer)
);

-- What each page with a link is about. The flow itself is parked in digime's own table.
CREATE TABLE shop_attempts (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    customer TEXT NOT NULL,
    state TEXT NOT NULL UNIQUE,
    link TEXT NOT NULL,
    outcome TEXT NOT NULL,
    -- When the callback came that is being answered.
    called_back_at BIGINT,
    expires_at BIGINT NOT NULL
);

CREATE INDEX shop_attempts_of_customer ON shop_attempts (tenant, customer);
CREATE INDEX shop_attempts_by_expiry ON shop_attempts (expires_at);

CREATE TABLE shop_sessions (
    id TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX shop_sessions_by_expiry ON shop_sessions (expires_at);
