DELETE FROM harmless_migrations WHERE version = '00000000000009';
ALTER TABLE customers DROP COLUMN archived_at;
