-- From a document to its customer.
CREATE INDEX customers_search_id ON customers (search_id) WHERE search_id IS NOT NULL;
