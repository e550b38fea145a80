-- For the list of archived customers, of which there are few: without it the list would read all the others. The order of the
-- primary key serves the list of active ones.
CREATE INDEX CONCURRENTLY customers_archived ON customers (merchant_id, environment, id)
    WHERE archived_at IS NOT NULL AND deleted_at IS NULL;
