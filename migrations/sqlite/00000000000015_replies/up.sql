-- What requests with an idempotency key led to, for their repeats.
CREATE TABLE replies (
    -- Without a reference to the merchant: each row is written for a caller whose merchant was found.
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    -- SHA-256 of the key. Of any number of requests with one key, the primary key lets one in.
    key_digest BLOB NOT NULL CHECK (length(key_digest) = 32),
    -- SHA-256 of what a repeat must have in common with the first request.
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    -- Whose data the outcome has.
    customer_id BLOB,
    -- JSON, in a form of the application.
    outcome TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- From then on the row counts as absent, and a background job deletes it.
    expires_at INTEGER NOT NULL CHECK (expires_at > created_at),
    PRIMARY KEY (merchant_id, environment, key_digest)
) STRICT;

-- For the job. Rows of a tenant are added at its end, so that it costs a request little. The condition holds for every row,
-- as on PostgreSQL, where it keeps the planner from taking this index for a key.
CREATE INDEX replies_expires_at ON replies (merchant_id, environment, expires_at) WHERE expires_at IS NOT NULL;

-- Programs of before this table do not use it. Migration 14 has named this version in the place of migration 13, which
-- is harmless as well.
INSERT INTO harmless_migrations (version) VALUES ('00000000000013'), ('00000000000015') ON CONFLICT DO NOTHING;
