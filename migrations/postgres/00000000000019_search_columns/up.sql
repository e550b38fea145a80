-- What customers_search finds customers by: hashes of the tenant and of parts of the texts that are searched, which the application
-- computes. NULL for customers that are deleted, and for those whose texts are not indexed yet.
--
-- search_of is the hash of the texts that search_hashes were computed from. Where it differs from that of the texts in the row, as
-- after a change by a program that does not know these columns, the row is to be indexed again.
ALTER TABLE customers
    ADD COLUMN search_hashes int4[],
    ADD COLUMN search_of bigint;
