DELETE FROM harmless_migrations WHERE version = '00000000000010';
ALTER TABLE customers DROP COLUMN business_name;
ALTER TABLE customers DROP COLUMN tax_exempt;
ALTER TABLE customers DROP COLUMN locale;
ALTER TABLE customers DROP COLUMN timezone;
ALTER TABLE customers DROP COLUMN currency;
