-- Files that were sent to be imported. A tenant has one at a time that has not ended, and the last ones that have.
CREATE TABLE uploads (
    merchant_id BLOB NOT NULL REFERENCES merchants (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- In the order of time.
    id BLOB NOT NULL,
    state TEXT NOT NULL,
    -- How its rows are read and treated, as JSON.
    options TEXT NOT NULL,
    -- Who sent it, as in events.
    actor_type TEXT NOT NULL,
    actor_id TEXT,
    actor_issuer TEXT,
    -- Its import, and the SHA-256 of the file, once all of the file is there.
    import_id BLOB,
    digest BLOB,
    size INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    error_parts INTEGER NOT NULL,
    failure TEXT,
    -- The lease of the worker that imports it. The number counts the leases.
    fence INTEGER NOT NULL,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (merchant_id, environment, id)
) STRICT;

CREATE UNIQUE INDEX uploads_unended ON uploads (merchant_id, environment) WHERE ended_at IS NULL;

-- The parts of their files, until the import has ended, and of their lists of errors.
CREATE TABLE upload_parts (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    upload_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'errors')),
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (merchant_id, environment, upload_id, kind, number),
    FOREIGN KEY (merchant_id, environment, upload_id) REFERENCES uploads (merchant_id, environment, id) ON DELETE CASCADE
) STRICT;

-- Programs of before these tables do not use them.
INSERT INTO harmless_migrations (version) VALUES ('00000000000027');
