-- A customer that claims an address exclusively must also see the customers that share it. Customers with an exclusive
-- address are in customers_email_exclusive; no customer is in both indexes.
CREATE INDEX CONCURRENTLY customers_email_shared ON customers (merchant_id, environment, email_key, id)
    WHERE deleted_at IS NULL AND NOT email_exclusive;
