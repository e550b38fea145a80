ALTER TABLE customers DROP COLUMN search_version;
ALTER TABLE customers DROP COLUMN search_id;
DROP TABLE customers_search;
