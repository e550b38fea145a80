-- What happened to the customers of each tenant: one row for each write, in the transaction of the write.
CREATE TABLE events (
    -- Without a reference to the merchant: each row is written with a customer, which has one.
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- Counts the events of a tenant, without gaps, in the order of their commits.
    seq bigint NOT NULL CHECK (seq > 0),
    customer_id uuid NOT NULL,
    subscription_id text COLLATE "C",
    -- That of the customer, or of the subscription, after the write.
    version bigint NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    -- JSON, under the names of the native API.
    changes text COLLATE "C" NOT NULL,
    actor_type text COLLATE "C" NOT NULL CHECK (actor_type IN ('api_key', 'token', 'operator', 'system')),
    actor_id text COLLATE "C",
    actor_issuer text COLLATE "C",
    request_id text COLLATE "C",
    reason text COLLATE "C",
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, environment, seq)
);

-- For the history of one customer. The condition holds for every row, but only a statement that compares the customer implies
-- it: without statistics, the planner could take this index for a place in the log, and read all rows of a tenant.
CREATE INDEX events_of_customer ON events (merchant_id, environment, customer_id, seq) WHERE customer_id IS NOT NULL;

-- The last seq of each tenant. Its row is locked from the numbering of a transaction's events to its commit, so that who sees
-- a seq sees all before it. Pages are kept half empty, so that a row is updated in its page.
CREATE TABLE feed_heads (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    seq bigint NOT NULL CHECK (seq > 0),
    PRIMARY KEY (merchant_id, environment)
) WITH (fillfactor = 50);

-- As for replies: statements are planned once, perhaps while the table is empty. The tenant selects nothing, the other columns
-- of an index do.
ALTER TABLE events
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);
INSERT INTO events (merchant_id, environment, seq, customer_id, version, event_type, changes, actor_type, created_at)
    SELECT '00000000-0000-0000-0000-000000000000', 'sandbox', n, lpad(to_hex(n), 32, '0')::uuid, 1, '', '', 'system', now()
    FROM generate_series(1, 1000) AS n;
ANALYZE events;
DELETE FROM events;

-- Programs of before these tables do not use them. What they write meanwhile makes no events.
INSERT INTO harmless_migrations (version) VALUES ('00000000000023');
