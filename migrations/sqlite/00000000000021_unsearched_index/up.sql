-- The customers that have no document, or that of a former version: searches look at each of them, and a background job makes their
-- documents.
CREATE INDEX customers_unsearched ON customers (merchant_id, environment, id)
    WHERE deleted_at IS NULL AND search_version IS NOT version;
