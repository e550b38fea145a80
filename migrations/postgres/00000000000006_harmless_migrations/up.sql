-- A program refuses a database with a migration that it does not know, unless that migration has put its version here: it
-- leaves everything that older programs read and write as they know it, such as a new table.
CREATE TABLE harmless_migrations (
    version text COLLATE "C" PRIMARY KEY
);
