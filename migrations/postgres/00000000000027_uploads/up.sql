-- Files that were sent to be imported. A tenant has one at a time that has not ended, and the last ones that have.
CREATE TABLE uploads (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- In the order of time.
    id uuid NOT NULL,
    state text COLLATE "C" NOT NULL,
    -- How its rows are read and treated, as JSON.
    options text COLLATE "C" NOT NULL,
    -- Who sent it, as in events.
    actor_type text COLLATE "C" NOT NULL,
    actor_id text COLLATE "C",
    actor_issuer text COLLATE "C",
    -- Its import, and the SHA-256 of the file, once all of the file is there.
    import_id uuid,
    digest bytea,
    size bigint NOT NULL,
    parts bigint NOT NULL,
    error_parts bigint NOT NULL,
    failure text COLLATE "C",
    -- The lease of the worker that imports it. The number counts the leases.
    fence bigint NOT NULL,
    lease_until timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (merchant_id, environment, id)
);

CREATE UNIQUE INDEX uploads_unended ON uploads (merchant_id, environment) WHERE ended_at IS NULL;

-- The parts of their files, until the import has ended, and of their lists of errors.
CREATE TABLE upload_parts (
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    upload_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('file', 'errors')),
    number bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (merchant_id, environment, upload_id, kind, number),
    FOREIGN KEY (merchant_id, environment, upload_id) REFERENCES uploads (merchant_id, environment, id) ON DELETE CASCADE
);

-- As for webhooks: statements are planned once, perhaps while a table is empty.
ALTER TABLE uploads
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);
ALTER TABLE upload_parts
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);

-- Last: where Citus distributes merchants, it sets no statistics for a table that refers to them.
ALTER TABLE uploads ADD FOREIGN KEY (merchant_id) REFERENCES merchants (id);

-- Programs of before these tables do not use them.
INSERT INTO harmless_migrations (version) VALUES ('00000000000027');
