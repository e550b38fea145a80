DELETE FROM harmless_migrations WHERE version = '00000000000028';
DROP TABLE operator_log;
DROP TABLE operators;
ALTER TABLE merchants DROP COLUMN disabled_at;
