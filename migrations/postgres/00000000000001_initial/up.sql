-- merchant_id comes first in every primary key, unique index and foreign key, and there are no triggers and no
-- sequences, so that the schema runs unchanged on Citus, distributed by merchant_id. The application makes
-- identifiers, times and versions.
--
-- Texts are COLLATE "C": compared byte by byte with any locale of the database, as on every other store.

CREATE TABLE merchants (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE api_keys (
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    name text COLLATE "C",
    -- SHA-256 of the key; the key itself is not stored.
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, digest)
);

-- A request with a key does not name the merchant, so a key is looked up by its digest alone. The command line revokes
-- a key by its identifier alone.
CREATE INDEX api_keys_digest ON api_keys (digest);
CREATE INDEX api_keys_id ON api_keys (id);

CREATE TABLE customers (
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- UUID version 7: ordered by the time of registration, so the primary key also serves the lists.
    id uuid NOT NULL,
    email text COLLATE "C",
    -- The folded address, for comparisons. The application computes it, because databases fold text differently.
    email_key text COLLATE "C",
    -- False for a customer that was accepted although other customers have its address.
    email_exclusive boolean NOT NULL,
    external_id text COLLATE "C",
    name text COLLATE "C",
    phone text COLLATE "C",
    address_line1 text COLLATE "C",
    address_line2 text COLLATE "C",
    address_city text COLLATE "C",
    address_state text COLLATE "C",
    address_postal_code text COLLATE "C",
    address_country text COLLATE "C",
    tax_id text COLLATE "C",
    -- json keeps the text as it was given; jsonb would rewrite numbers and reorder keys.
    metadata json NOT NULL CHECK (json_typeof(metadata) = 'object'),
    -- Each change increments it.
    version bigint NOT NULL CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL CHECK (updated_at >= created_at),
    -- A deleted customer keeps its row, but its address and its external identifier are free again.
    deleted_at timestamptz CHECK (deleted_at >= created_at),
    PRIMARY KEY (merchant_id, environment, id),
    CHECK ((email IS NULL) = (email_key IS NULL))
);

-- This index and customers_external_id decide every race for an address or an external identifier. All other checks
-- only run earlier.
CREATE UNIQUE INDEX customers_email_exclusive ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL AND email_exclusive;

-- A customer that claims an address exclusively must also see the customers that share it.
CREATE INDEX customers_email ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL;

-- Created last on purpose. Until the table is analysed for the first time, all indexes that start with merchant and
-- environment seem equally good, and the planner takes the one that was created last. This one is partial: only queries
-- by external identifier can use it.
CREATE UNIQUE INDEX customers_external_id ON customers (merchant_id, environment, external_id)
    WHERE deleted_at IS NULL AND external_id IS NOT NULL;

CREATE TABLE subscriptions (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL,
    customer_id uuid NOT NULL,
    -- The billing engine's identifier of the subscription, unique for each customer.
    id text COLLATE "C" NOT NULL,
    plan_id text COLLATE "C",
    name text COLLATE "C",
    status text COLLATE "C" NOT NULL CHECK (status IN ('active', 'cancelled')),
    started_at timestamptz NOT NULL,
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL CHECK (updated_at >= created_at),
    PRIMARY KEY (merchant_id, environment, customer_id, id),
    FOREIGN KEY (merchant_id, environment, customer_id) REFERENCES customers (merchant_id, environment, id)
);

-- Every index begins with the tenant. Without statistics the planner assumes that a tenant has one customer, takes the
-- smallest index, and keeps that plan while the tenant grows to thousands, until the first ANALYZE. The following gives
-- it lasting statistics: the tenant selects nothing, the other columns of an index do.
ALTER TABLE customers
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);
INSERT INTO merchants (id, name, created_at) VALUES ('00000000-0000-0000-0000-000000000000', '', now());
INSERT INTO customers (merchant_id, environment, id, email, email_key, email_exclusive, external_id, metadata, version,
                       created_at, updated_at)
    SELECT '00000000-0000-0000-0000-000000000000', 'sandbox', lpad(to_hex(n), 32, '0')::uuid, n, n, true, n, '{}', 1,
           now(), now()
    FROM generate_series(1, 1000) AS n;
ANALYZE customers;
DELETE FROM customers;
DELETE FROM merchants;
