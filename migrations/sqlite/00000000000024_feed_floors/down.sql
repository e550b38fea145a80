DELETE FROM harmless_migrations WHERE version = '00000000000024';
DROP TABLE feed_floors;
