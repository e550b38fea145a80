-- The credentials of a merchant are refused from this time on.
ALTER TABLE merchants ADD COLUMN disabled_at INTEGER;

-- Who may manage merchants over HTTP.
CREATE TABLE operators (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('read', 'admin')),
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- What operators did. A background job deletes the old entries.
CREATE TABLE operator_log (
    -- In the order of time.
    id BLOB NOT NULL PRIMARY KEY,
    -- None: the command line.
    operator_id BLOB,
    action TEXT NOT NULL,
    -- What it was done to, as it is shown.
    target TEXT NOT NULL,
    request_id TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Programs of before work with this schema, but accept the credentials of disabled merchants.
INSERT INTO harmless_migrations (version) VALUES ('00000000000028');
