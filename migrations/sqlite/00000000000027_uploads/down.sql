DELETE FROM harmless_migrations WHERE version = '00000000000027';
DROP TABLE upload_parts;
DROP TABLE uploads;
