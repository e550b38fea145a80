-- What searches find customers by: a document for each, whose words are hashes of the tenant and of parts of the texts that are searched,
-- which the application computes. The texts themselves are not in it.
CREATE VIRTUAL TABLE customers_search
    USING fts5 (hashes, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');

-- search_id is the document of a customer, and search_version the version of the customer that it was made from. Where that is not the
-- version of the row, as after a change by a program that does not know these columns, the row is to be indexed again.
ALTER TABLE customers ADD COLUMN search_id INTEGER;
ALTER TABLE customers ADD COLUMN search_version INTEGER;
