-- The credentials of a merchant are refused from this time on.
ALTER TABLE merchants ADD COLUMN disabled_at timestamptz;

-- Who may manage merchants over HTTP.
CREATE TABLE operators (
    id uuid NOT NULL PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL CHECK (role IN ('read', 'admin')),
    digest bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);

-- What operators did. A background job deletes the old entries.
CREATE TABLE operator_log (
    -- In the order of time.
    id uuid NOT NULL PRIMARY KEY,
    -- None: the command line.
    operator_id uuid,
    action text COLLATE "C" NOT NULL,
    -- What it was done to, as it is shown.
    target text COLLATE "C" NOT NULL,
    request_id text COLLATE "C",
    created_at timestamptz NOT NULL
);

-- Programs of before work with this schema, but accept the credentials of disabled merchants.
INSERT INTO harmless_migrations (version) VALUES ('00000000000028');
