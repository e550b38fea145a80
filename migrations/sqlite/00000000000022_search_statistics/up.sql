-- The statistics are those of PostgreSQL.
-- Older programs leave the new columns alone. On PostgreSQL, two of the migrations before cannot say it of themselves.
INSERT INTO harmless_migrations (version)
    VALUES ('00000000000019'), ('00000000000020'), ('00000000000021'), ('00000000000022');
