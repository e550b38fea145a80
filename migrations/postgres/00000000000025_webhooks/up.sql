-- Where tenants want events to be sent, and how far the deliveries have come.
CREATE TABLE webhook_endpoints (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    id uuid NOT NULL,
    url text COLLATE "C" NOT NULL,
    -- Names with a space between them, or *.
    event_types text COLLATE "C" NOT NULL,
    description text COLLATE "C",
    with_customer boolean NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('active', 'disabled')),
    disabled_at timestamptz,
    disabled_reason text COLLATE "C",
    -- Not a digest: deliveries are signed with it.
    secret text COLLATE "C" NOT NULL,
    former_secret text COLLATE "C",
    former_until timestamptz,
    -- The first failure since the last success.
    failing_since timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- All events up to here are delivered, given up, not wanted, or in a lane.
    cursor_seq bigint NOT NULL CHECK (cursor_seq >= 0),
    -- Counts the leases. A worker writes only under the number that it has got.
    fence bigint NOT NULL,
    -- The end of a lease, or of a pause.
    due_at timestamptz NOT NULL,
    -- When the first of its lanes is due.
    lanes_due_at timestamptz,
    PRIMARY KEY (merchant_id, environment, id)
);

-- For workers, which look for endpoints of all tenants.
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (status, due_at);

-- Customers with events behind the cursor that are not delivered yet, and single events that are sent again.
CREATE TABLE webhook_lanes (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    endpoint_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    -- The event that is sent again; 0 for the lane of the customer.
    replayed_seq bigint NOT NULL CHECK (replayed_seq >= 0),
    next_seq bigint NOT NULL CHECK (next_seq > 0),
    -- Those of the event at next_seq.
    attempts bigint NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, environment, endpoint_id, customer_id, replayed_seq),
    FOREIGN KEY (merchant_id, environment, endpoint_id) REFERENCES webhook_endpoints (merchant_id, environment, id)
        ON DELETE CASCADE
);

-- The condition holds for every row, but only a statement that compares the time implies it: without statistics, the planner
-- could take this index for a customer, and read all lanes of an endpoint.
CREATE INDEX webhook_lanes_due ON webhook_lanes (merchant_id, environment, endpoint_id, due_at) WHERE due_at IS NOT NULL;

-- What was sent, and what came of it. A background job deletes the old ones.
CREATE TABLE webhook_attempts (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    endpoint_id uuid NOT NULL,
    -- In the order of time.
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    -- None: a test.
    customer_id uuid,
    number bigint NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    status bigint,
    duration_ms bigint NOT NULL,
    answer text COLLATE "C" CHECK (octet_length(answer) <= 1024),
    error text COLLATE "C" CHECK (octet_length(error) <= 1024),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, environment, endpoint_id, id),
    FOREIGN KEY (merchant_id, environment, endpoint_id) REFERENCES webhook_endpoints (merchant_id, environment, id)
        ON DELETE CASCADE
);

-- As for events: statements are planned once, perhaps while a table is empty. The tenant selects nothing, the other columns of
-- an index do.
ALTER TABLE webhook_endpoints
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);
ALTER TABLE webhook_lanes
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);
ALTER TABLE webhook_attempts
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);
INSERT INTO merchants (id, name, created_at) VALUES ('00000000-0000-0000-0000-000000000000', '', now());
INSERT INTO webhook_endpoints (merchant_id, environment, id, url, event_types, with_customer, status, secret, created_at,
                               updated_at, cursor_seq, fence, due_at)
    SELECT '00000000-0000-0000-0000-000000000000', 'sandbox', lpad(to_hex(n), 32, '0')::uuid, '', '*', false, 'active', '', now(),
           now(), n, n, now() + n * interval '1 second'
    FROM generate_series(1, 1000) AS n;
INSERT INTO webhook_lanes (merchant_id, environment, endpoint_id, customer_id, replayed_seq, next_seq, attempts, due_at)
    SELECT merchant_id, environment, id, id, 0, fence, 1, due_at FROM webhook_endpoints;
INSERT INTO webhook_attempts (merchant_id, environment, endpoint_id, id, event_id, number, outcome, duration_ms, created_at)
    SELECT merchant_id, environment, id, id, id, 1, '', 1, due_at FROM webhook_endpoints;
ANALYZE webhook_endpoints, webhook_lanes, webhook_attempts;
DELETE FROM webhook_endpoints;
DELETE FROM merchants WHERE id = '00000000-0000-0000-0000-000000000000';

-- Last: where Citus distributes merchants, it sets no statistics for a table that refers to them.
ALTER TABLE webhook_endpoints ADD FOREIGN KEY (merchant_id) REFERENCES merchants (id);

-- Programs of before these tables do not use them.
INSERT INTO harmless_migrations (version) VALUES ('00000000000025');
