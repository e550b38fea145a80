DELETE FROM harmless_migrations WHERE version = '00000000000023';
DROP TABLE feed_heads;
DROP TABLE events;
