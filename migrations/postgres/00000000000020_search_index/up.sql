-- For searches. The tenant is in each hash, so that no extension is needed for it.
--
-- What was written last waits in a list until it is moved into the index, all of it by the one writer that fills the list. Each search
-- reads the list, too. So it is short, and a background job empties it more often than it is full. A column that does not change leaves
-- the index alone.
CREATE INDEX CONCURRENTLY customers_search ON customers USING gin (search_hashes)
    WITH (fastupdate = on, gin_pending_list_limit = 256)
    WHERE search_hashes IS NOT NULL;
