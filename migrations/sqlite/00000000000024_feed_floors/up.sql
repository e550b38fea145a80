-- The last seq of each tenant whose event is no longer kept. In a table of its own: deleting old events must not wait for
-- writers, which lock the row in feed_heads, nor they for it.
CREATE TABLE feed_floors (
    merchant_id BLOB NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'sandbox')),
    seq INTEGER NOT NULL CHECK (seq > 0),
    PRIMARY KEY (merchant_id, environment)
) STRICT, WITHOUT ROWID;

-- Programs of before this table do not use it. They delete no events.
INSERT INTO harmless_migrations (version) VALUES ('00000000000024');
