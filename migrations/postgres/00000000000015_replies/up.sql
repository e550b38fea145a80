-- What requests with an idempotency key led to, for their repeats.
CREATE TABLE replies (
    -- Without a reference to the merchant: each row is written for a caller whose merchant was found.
    merchant_id uuid NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- SHA-256 of the key. Of any number of requests with one key, the primary key lets one in.
    key_digest bytea NOT NULL CHECK (octet_length(key_digest) = 32),
    -- SHA-256 of what a repeat must have in common with the first request.
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    -- Whose data the outcome has.
    customer_id uuid,
    -- JSON, in a form of the application.
    outcome text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    -- From then on the row counts as absent, and a background job deletes it.
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    PRIMARY KEY (merchant_id, environment, key_digest)
);

-- For the job. Rows of a tenant are added at its end, so that it costs a request little. The condition holds for every row,
-- but only a statement that compares the time implies it: without statistics, as in a database that was restored from a
-- dump, the planner would take this index for a key as readily as the primary key, and read all rows of a tenant.
CREATE INDEX replies_expires_at ON replies (merchant_id, environment, expires_at) WHERE expires_at IS NOT NULL;

-- As for customers in the first migration: statements are planned once, perhaps while the table is empty. The tenant
-- selects nothing, the other columns of an index do.
ALTER TABLE replies
    ALTER COLUMN merchant_id SET (n_distinct = 1),
    ALTER COLUMN environment SET (n_distinct = 1);
INSERT INTO replies (merchant_id, environment, key_digest, fingerprint, outcome, created_at, expires_at)
    SELECT '00000000-0000-0000-0000-000000000000', 'sandbox', decode(lpad(to_hex(n), 64, '0'), 'hex'),
           decode(lpad(to_hex(n), 64, '0'), 'hex'), '', now(), now() + n * interval '1 second'
    FROM generate_series(1, 1000) AS n;
ANALYZE replies;
DELETE FROM replies;

-- Programs of before this table do not use it. Migration 14 has named this version in the place of migration 13, which
-- is harmless as well.
INSERT INTO harmless_migrations (version) VALUES ('00000000000013'), ('00000000000015') ON CONFLICT DO NOTHING;
