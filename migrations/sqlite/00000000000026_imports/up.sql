-- Imports of files, and how far each has come: written with the customers of each batch. The newest of each tenant are kept.
CREATE TABLE imports (
    merchant_id BLOB NOT NULL REFERENCES merchants (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- In the order of time.
    id BLOB NOT NULL,
    -- The SHA-256 of the file.
    digest BLOB NOT NULL,
    -- What else decides on the result.
    options TEXT NOT NULL,
    -- The import goes on behind these rows of the file.
    rows_read INTEGER NOT NULL CHECK (rows_read >= 0),
    rows_created INTEGER NOT NULL,
    rows_updated INTEGER NOT NULL,
    rows_unchanged INTEGER NOT NULL,
    rows_skipped INTEGER NOT NULL,
    rows_failed INTEGER NOT NULL,
    faults INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (merchant_id, environment, id)
) STRICT;

-- Programs of before this table do not use it.
INSERT INTO harmless_migrations (version) VALUES ('00000000000026');
