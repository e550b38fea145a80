-- merchant_id comes first in every primary key, unique index and foreign key, as on PostgreSQL. There are no triggers
-- and no sequences. The application makes identifiers, times and versions.
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
    -- SHA-256 of the key; the key itself is not stored.
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, digest)
) STRICT;

-- A request with a key does not name the merchant, so a key is looked up by its digest alone. The command line revokes
-- a key by its identifier alone.
CREATE INDEX api_keys_digest ON api_keys (digest);
CREATE INDEX api_keys_id ON api_keys (id);

-- With a rowid, because rows are wide. Without one, rows of more than a kilobyte would double the size of the file, and
-- the planner would search for an address by scanning the primary key.
CREATE TABLE customers (
    merchant_id BLOB NOT NULL REFERENCES merchants (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- UUID version 7: ordered by the time of registration, so the primary key also serves the lists.
    id BLOB NOT NULL CHECK (length(id) = 16),
    email TEXT,
    -- The folded address, for comparisons. The application computes it, because databases fold text differently.
    email_key TEXT,
    -- 0 for a customer that was accepted although other customers have its address.
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
    -- Each change increments it.
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL CHECK (updated_at >= created_at),
    -- A deleted customer keeps its row, but its address and its external identifier are free again.
    deleted_at INTEGER CHECK (deleted_at >= created_at),
    PRIMARY KEY (merchant_id, environment, id),
    CHECK ((email IS NULL) = (email_key IS NULL))
) STRICT;

-- These two decide every race for an address or an external identifier. All other checks only run earlier.
CREATE UNIQUE INDEX customers_email_exclusive ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL AND email_exclusive;
CREATE UNIQUE INDEX customers_external_id ON customers (merchant_id, environment, external_id)
    WHERE deleted_at IS NULL AND external_id IS NOT NULL;

-- A customer that claims an address exclusively must also see the customers that share it.
CREATE INDEX customers_email ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL;

-- Without a rowid, because rows are narrow and always found by their primary key.
CREATE TABLE subscriptions (
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
    PRIMARY KEY (merchant_id, environment, customer_id, id),
    FOREIGN KEY (merchant_id, environment, customer_id) REFERENCES customers (merchant_id, environment, id)
) STRICT, WITHOUT ROWID;
