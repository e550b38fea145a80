-- When the customer was archived; NULL if it is active. A program of before this column reads and changes archived customers as
-- any other, and leaves it as it is.
ALTER TABLE customers ADD COLUMN archived_at INTEGER;
INSERT INTO harmless_migrations (version) VALUES ('00000000000009');
