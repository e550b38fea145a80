-- More statuses, and what a billing engine reports of a subscription that this service only shows. SQLite cannot change a
-- CHECK, so the table is built anew, in this transaction; no other table refers to it.
--
-- With a rowid, as customers have one: details make rows wide.
CREATE TABLE new_subscriptions (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL,
    customer_id BLOB NOT NULL,
    -- The billing engine's identifier of the subscription, unique for each customer.
    id TEXT NOT NULL,
    plan_id TEXT,
    name TEXT,
    status TEXT NOT NULL CHECK (status IN ('active', 'trialing', 'past_due', 'paused', 'cancelled', 'expired')),
    started_at INTEGER NOT NULL,
    cancelled_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL CHECK (updated_at >= created_at),
    version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1),
    -- The text as it was given, to the last digit.
    details TEXT CHECK (json_valid(details) AND json_type(details) = 'object'),
    PRIMARY KEY (merchant_id, environment, customer_id, id),
    FOREIGN KEY (merchant_id, environment, customer_id) REFERENCES customers (merchant_id, environment, id)
) STRICT;

INSERT INTO new_subscriptions (merchant_id, environment, customer_id, id, plan_id, name, status, started_at, cancelled_at, created_at,
                               updated_at, version)
    SELECT merchant_id, environment, customer_id, id, plan_id, name, status, started_at, cancelled_at, created_at,
           updated_at, version
    FROM subscriptions;
DROP TABLE subscriptions;
ALTER TABLE new_subscriptions RENAME TO subscriptions;
