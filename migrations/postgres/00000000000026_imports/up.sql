-- Imports of files, and how far each has come: written with the customers of each batch. The newest of each tenant are kept.
CREATE TABLE imports (
    merchant_id uuid NOT NULL REFERENCES merchants (id),
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- In the order of time.
    id uuid NOT NULL,
    -- The SHA-256 of the file.
    digest bytea NOT NULL,
    -- What else decides on the result.
    options text COLLATE "C" NOT NULL,
    -- The import goes on behind these rows of the file.
    rows_read bigint NOT NULL CHECK (rows_read >= 0),
    rows_created bigint NOT NULL,
    rows_updated bigint NOT NULL,
    rows_unchanged bigint NOT NULL,
    rows_skipped bigint NOT NULL,
    rows_failed bigint NOT NULL,
    faults bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (merchant_id, environment, id)
);

-- Programs of before this table do not use it.
INSERT INTO harmless_migrations (version) VALUES ('00000000000026');
