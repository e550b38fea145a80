ALTER TABLE customers
    DROP COLUMN search_hashes,
    DROP COLUMN search_of;
