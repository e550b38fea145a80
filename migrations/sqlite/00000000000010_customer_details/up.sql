-- What bills and messages depend on. Programs of before these columns leave them as they are, and empty in new rows.
ALTER TABLE customers ADD COLUMN business_name TEXT;
ALTER TABLE customers ADD COLUMN tax_exempt TEXT;
ALTER TABLE customers ADD COLUMN locale TEXT;
ALTER TABLE customers ADD COLUMN timezone TEXT;
ALTER TABLE customers ADD COLUMN currency TEXT;
INSERT INTO harmless_migrations (version) VALUES ('00000000000010');
