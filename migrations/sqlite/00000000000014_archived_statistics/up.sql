-- The statistics are those of PostgreSQL. This is what it does besides, under the same name.
INSERT INTO harmless_migrations (version) VALUES ('00000000000013'), ('00000000000014');
