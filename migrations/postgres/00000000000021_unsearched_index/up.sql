-- The customers that customers_search does not have, or has with former texts: searches look at each of them, and a background job
-- indexes them. No other column is in the condition, so that a change that leaves the texts alone leaves the index alone.
CREATE INDEX CONCURRENTLY customers_unsearched ON customers (merchant_id, environment, id)
    WHERE deleted_at IS NULL AND search_of IS DISTINCT FROM hashtextextended(
        (coalesce(email, '') || chr(31) || coalesce(name, '') || chr(31) || coalesce(business_name, '') || chr(31)
            || coalesce(external_id, '')) COLLATE "C", 1);
