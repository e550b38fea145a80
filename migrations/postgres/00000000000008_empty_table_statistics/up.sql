-- An index that is built later stores the number of rows for the planner. Zero would undo the statistics of the first
-- migration, and statements that are planned once would read the whole table when it has grown. So a table without
-- customers gets 1000 rows for the time of this migration.
INSERT INTO merchants (id, name, created_at)
    SELECT '00000000-0000-0000-0000-000000000000', '', now() WHERE NOT EXISTS (SELECT 1 FROM customers);
INSERT INTO customers (merchant_id, environment, id, email, email_key, email_exclusive, external_id, metadata, version,
                       created_at, updated_at)
    SELECT merchants.id, 'sandbox', lpad(to_hex(n), 32, '0')::uuid, n, n, true, n, '{}', 1, now(), now()
    FROM merchants, generate_series(1, 1000) AS n WHERE merchants.id = '00000000-0000-0000-0000-000000000000';
ANALYZE customers;
DELETE FROM customers WHERE merchant_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM merchants WHERE id = '00000000-0000-0000-0000-000000000000';
