CREATE TABLE old_subscriptions (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL,
    customer_id BLOB NOT NULL,
    -- The billing engine's identifier of the subscription, unique for each customer.
    id TEXT NOT NULL,
    plan_id TEXT,
    name TEXT,
    status TEXT NOT NULL CHECK (status IN ('active', 'cancelled')),
    started_at INTEGER NOT NULL,
    cancelled_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL CHECK (updated_at >= created_at),
    version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1),
    PRIMARY KEY (merchant_id, environment, customer_id, id),
    FOREIGN KEY (merchant_id, environment, customer_id) REFERENCES customers (merchant_id, environment, id)
) STRICT, WITHOUT ROWID;

INSERT INTO old_subscriptions (merchant_id, environment, customer_id, id, plan_id, name, status, started_at, cancelled_at, created_at,
                               updated_at, version)
    SELECT merchant_id, environment, customer_id, id, plan_id, name,
           CASE status WHEN 'active' THEN 'active' WHEN 'trialing' THEN 'active' ELSE 'cancelled' END,
           started_at, cancelled_at, created_at, updated_at, version
    FROM subscriptions;
DROP TABLE subscriptions;
ALTER TABLE old_subscriptions RENAME TO subscriptions;
