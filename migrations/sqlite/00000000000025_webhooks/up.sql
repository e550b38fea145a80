-- Where tenants want events to be sent, and how far the deliveries have come.
CREATE TABLE webhook_endpoints (
    merchant_id BLOB NOT NULL REFERENCES merchants (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    id BLOB NOT NULL,
    url TEXT NOT NULL,
    -- Names with a space between them, or *.
    event_types TEXT NOT NULL,
    description TEXT,
    with_customer INTEGER NOT NULL CHECK (with_customer IN (0, 1)),
    status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    disabled_at INTEGER,
    disabled_reason TEXT,
    -- Not a digest: deliveries are signed with it.
    secret TEXT NOT NULL,
    former_secret TEXT,
    former_until INTEGER,
    -- The first failure since the last success.
    failing_since INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- All events up to here are delivered, given up, not wanted, or in a lane.
    cursor_seq INTEGER NOT NULL CHECK (cursor_seq >= 0),
    -- Counts the leases. A worker writes only under the number that it has got.
    fence INTEGER NOT NULL,
    -- The end of a lease, or of a pause.
    due_at INTEGER NOT NULL,
    -- When the first of its lanes is due.
    lanes_due_at INTEGER,
    PRIMARY KEY (merchant_id, environment, id)
) STRICT;

-- For workers, which look for endpoints of all tenants.
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (status, due_at);

-- Customers with events behind the cursor that are not delivered yet, and single events that are sent again.
CREATE TABLE webhook_lanes (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    endpoint_id BLOB NOT NULL,
    customer_id BLOB NOT NULL,
    -- The event that is sent again; 0 for the lane of the customer.
    replayed_seq INTEGER NOT NULL CHECK (replayed_seq >= 0),
    next_seq INTEGER NOT NULL CHECK (next_seq > 0),
    -- Those of the event at next_seq.
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, environment, endpoint_id, customer_id, replayed_seq),
    FOREIGN KEY (merchant_id, environment, endpoint_id) REFERENCES webhook_endpoints (merchant_id, environment, id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The condition holds for every row, as on PostgreSQL, where it keeps the planner from taking this index for a customer.
CREATE INDEX webhook_lanes_due ON webhook_lanes (merchant_id, environment, endpoint_id, due_at) WHERE due_at IS NOT NULL;

-- What was sent, and what came of it. A background job deletes the old ones.
CREATE TABLE webhook_attempts (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    endpoint_id BLOB NOT NULL,
    -- In the order of time.
    id BLOB NOT NULL,
    event_id BLOB NOT NULL,
    -- None: a test.
    customer_id BLOB,
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,
    duration_ms INTEGER NOT NULL,
    answer TEXT CHECK (length(CAST(answer AS BLOB)) <= 1024),
    error TEXT CHECK (length(CAST(error AS BLOB)) <= 1024),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, environment, endpoint_id, id),
    FOREIGN KEY (merchant_id, environment, endpoint_id) REFERENCES webhook_endpoints (merchant_id, environment, id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Programs of before these tables do not use them.
INSERT INTO harmless_migrations (version) VALUES ('00000000000025');
