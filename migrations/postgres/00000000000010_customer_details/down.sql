DELETE FROM harmless_migrations WHERE version = '00000000000010';
ALTER TABLE customers
    DROP COLUMN business_name,
    DROP COLUMN tax_exempt,
    DROP COLUMN locale,
    DROP COLUMN timezone,
    DROP COLUMN currency;
