-- Random values that all instances of the service share, such as the key of cursors: made once, by the first that needs one.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT;

-- The statistics are those of PostgreSQL.
-- The migration before is one statement, and so cannot say it of itself.
INSERT INTO harmless_migrations (version) VALUES ('00000000000017'), ('00000000000018');
