-- What API 1.7 needs. The statements mean the same to PostgreSQL and to SQLite.

-- Whether the customer has asked that everything is deleted at digi.me, and it is not known yet that it is.
ALTER TABLE shop_customers ADD COLUMN is_leaving BOOLEAN NOT NULL DEFAULT FALSE;

-- The customers who were asked to renew their consent, with the end of that consent.
CREATE TABLE shop_notices (
    tenant TEXT NOT NULL,
    customer TEXT NOT NULL,
    consent_ends_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, customer)
);
