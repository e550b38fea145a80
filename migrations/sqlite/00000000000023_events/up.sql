-- What happened to the customers of each tenant: one row for each write, in the transaction of the write.
CREATE TABLE events (
    -- Without a reference to the merchant: each row is written with a customer, which has one.
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- Counts the events of a tenant, without gaps, in the order of their commits.
    seq INTEGER NOT NULL CHECK (seq > 0),
    customer_id BLOB NOT NULL,
    subscription_id TEXT,
    -- That of the customer, or of the subscription, after the write.
    version INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    -- JSON, under the names of the native API.
    changes TEXT NOT NULL,
    actor_type TEXT NOT NULL CHECK (actor_type IN ('api_key', 'token', 'operator', 'system')),
    actor_id TEXT,
    actor_issuer TEXT,
    request_id TEXT,
    reason TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, environment, seq)
) STRICT;

-- For the history of one customer. The condition holds for every row, as on PostgreSQL, where it keeps the planner from taking
-- this index for a place in the log.
CREATE INDEX events_of_customer ON events (merchant_id, environment, customer_id, seq) WHERE customer_id IS NOT NULL;

-- The last seq of each tenant.
CREATE TABLE feed_heads (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    seq INTEGER NOT NULL CHECK (seq > 0),
    PRIMARY KEY (merchant_id, environment)
) STRICT, WITHOUT ROWID;

-- Programs of before these tables do not use them. What they write meanwhile makes no events.
INSERT INTO harmless_migrations (version) VALUES ('00000000000023');
