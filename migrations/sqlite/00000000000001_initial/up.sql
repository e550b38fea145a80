-- merchant_id comes first in every primary key, unique index and foreign key, as on PostgreSQL. There are no triggers
-- and no sequences. Identifiers, times and versions are made by the application.
--
-- Identifiers are the 16 bytes of a UUID, times are microseconds since 1970, flags are 0 or 1. Texts keep the collation
-- BINARY: they are compared byte by byte.

CREATE TABLE merchants (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    merchant_id BLOB NOT NULL REFERENCES merchants (id),
    id BLOB NOT NULL CHECK (length(id) = 16),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    name TEXT,
    -- SHA-256: the key itself is nowhere.
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, digest)
) STRICT;

-- Whoever shows a key has not said yet whose it is, so a key is looked up by its digest alone, and revoked by its
-- identifier alone.
CREATE INDEX api_keys_digest ON api_keys (digest);
CREATE INDEX api_keys_id ON api_keys (id);

-- With a rowid: rows are wide. Without one, rows of more than a kilobyte would double the file, and the planner would
-- look for an address by walking the primary key.
CREATE TABLE customers (
    merchant_id BLOB NOT NULL REFERENCES merchants (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- Version 7: its order is that of registration, so the primary key serves the lists, too.
    id BLOB NOT NULL CHECK (length(id) = 16),
    email TEXT,
    -- What the address is compared by, computed by the application: no two databases fold text alike.
    email_key TEXT,
    -- 0 for a customer that was let in although others have its address.
    email_exclusive INTEGER NOT NULL CHECK (email_exclusive IN (0, 1)),
    external_id TEXT,
    name TEXT,
    phone TEXT,
    address_line1 TEXT,
    address_line2 TEXT,
    address_city TEXT,
    address_state TEXT,
    address_postal_code TEXT,
    address_country TEXT,
    tax_id TEXT,
    -- The text as it was given, to the last digit.
    metadata TEXT NOT NULL CHECK (json_valid(metadata) AND json_type(metadata) = 'object'),
    -- Counts the changes.
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL CHECK (updated_at >= created_at),
    -- A deleted customer keeps its row and gives up its address and its external identifier.
    deleted_at INTEGER CHECK (deleted_at >= created_at),
    PRIMARY KEY (merchant_id, environment, id),
    CHECK ((email IS NULL) = (email_key IS NULL))
) STRICT;

-- These two decide every race for an address or an external identifier; whatever else looks, only looks first.
CREATE UNIQUE INDEX customers_email_exclusive ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL AND email_exclusive;
CREATE UNIQUE INDEX customers_external_id ON customers (merchant_id, environment, external_id)
    WHERE deleted_at IS NULL AND external_id IS NOT NULL;

-- Whoever wants an address for itself alone must see those who share it, too.
CREATE INDEX customers_email ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL;

-- Without a rowid: rows are narrow, and all of them are reached by their primary key.
CREATE TABLE subscriptions (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL,
    customer_id BLOB NOT NULL,
    -- The billing engine's name for it, unique for its customer.
    id TEXT NOT NULL,
    plan_id TEXT,
    name TEXT,
    status TEXT NOT NULL CHECK (status IN ('active', 'cancelled')),
    started_at INTEGER NOT NULL,
    cancelled_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL CHECK (updated_at >= created_at),
    PRIMARY KEY (merchant_id, environment, customer_id, id),
    FOREIGN KEY (merchant_id, environment, customer_id) REFERENCES customers (merchant_id, environment, id)
) STRICT, WITHOUT ROWID;
