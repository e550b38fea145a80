DELETE FROM harmless_migrations WHERE version = '00000000000026';
DROP TABLE imports;
