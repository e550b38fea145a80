-- merchant_id comes first in every primary key, unique index and foreign key, and there are no triggers and no
-- sequences, so that the schema runs unchanged on Citus, distributed by merchant_id. Identifiers, times and versions
-- are made by the application.
--
-- Texts are COLLATE "C": they are compared byte by byte, whatever the locale of the database, as on every other store.

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
    -- SHA-256: the key itself is nowhere.
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, digest)
);

-- Whoever shows a key has not said yet whose it is, so a key is looked up by its digest alone, and revoked by its
-- identifier alone.
CREATE INDEX api_keys_digest ON api_keys (digest);
CREATE INDEX api_keys_id ON api_keys (id);

CREATE TABLE customers (
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- Version 7: its order is that of registration, so the primary key serves the lists, too.
    id uuid NOT NULL,
    email text COLLATE "C",
    -- What the address is compared by, computed by the application: no two databases fold text alike.
    email_key text COLLATE "C",
    -- False for a customer that was let in although others have its address.
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
    -- json keeps the text as it was given; jsonb would round numbers and sort keys.
    metadata json NOT NULL CHECK (json_typeof(metadata) = 'object'),
    -- Counts the changes.
    version bigint NOT NULL CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL CHECK (updated_at >= created_at),
    -- A deleted customer keeps its row and gives up its address and its external identifier.
    deleted_at timestamptz CHECK (deleted_at >= created_at),
    PRIMARY KEY (merchant_id, environment, id),
    CHECK ((email IS NULL) = (email_key IS NULL))
);

-- This and the last of the three decide every race for an address or an external identifier; whatever else looks, only
-- looks first.
CREATE UNIQUE INDEX customers_email_exclusive ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL AND email_exclusive;

-- Whoever wants an address for itself alone must see those who share it, too.
CREATE INDEX customers_email ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL;

-- It comes last: of indexes that seem equally good, as all that start with merchant and environment do until the table
-- is analysed for the first time, the one that was made last is used, and this one is of use only to those who need it.
CREATE UNIQUE INDEX customers_external_id ON customers (merchant_id, environment, external_id)
    WHERE deleted_at IS NULL AND external_id IS NOT NULL;

CREATE TABLE subscriptions (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL,
    customer_id uuid NOT NULL,
    -- The billing engine's name for it, unique for its customer.
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

-- Every index begins with the tenant. A planner that knows nothing of a table believes that a tenant has one customer,
-- takes whichever index is smallest, and keeps that plan while a tenant grows to thousands, until the first ANALYZE. So
-- it is told now, and for good, that the tenant tells nothing, and that the rest of an index does.
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
