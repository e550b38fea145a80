-- Random values that all instances of the service share, such as the key of cursors: made once, by the first that needs one.
CREATE TABLE secrets (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL CHECK (octet_length(value) = 32)
);

-- As the migration 8: the index that was built just now has stored a number of rows, which is zero for an empty table.
INSERT INTO merchants (id, name, created_at)
    SELECT '00000000-0000-0000-0000-000000000000', '', now() WHERE NOT EXISTS (SELECT 1 FROM customers);
INSERT INTO customers (merchant_id, environment, id, email, email_key, email_exclusive, external_id, metadata, version,
                       created_at, updated_at)
    SELECT merchants.id, 'sandbox', lpad(to_hex(n), 32, '0')::uuid, n, n, true, n, '{}', 1, now(), now()
    FROM merchants, generate_series(1, 1000) AS n WHERE merchants.id = '00000000-0000-0000-0000-000000000000';
ANALYZE customers;
DELETE FROM customers WHERE merchant_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM merchants WHERE id = '00000000-0000-0000-0000-000000000000';
-- The migration before is one statement, and so cannot say it of itself.
INSERT INTO harmless_migrations (version) VALUES ('00000000000017'), ('00000000000018');
