DROP TABLE harmless_migrations;
