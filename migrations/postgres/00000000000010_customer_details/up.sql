-- What bills and messages depend on. Programs of before these columns leave them as they are, and empty in new rows.
ALTER TABLE customers
    ADD COLUMN business_name text COLLATE "C",
    ADD COLUMN tax_exempt text COLLATE "C",
    ADD COLUMN locale text COLLATE "C",
    ADD COLUMN timezone text COLLATE "C",
    ADD COLUMN currency text COLLATE "C";
INSERT INTO harmless_migrations (version) VALUES ('00000000000010');
