-- For lists of the customers that were created in a period, in the order of creation. The primary key has the order of registration,
-- which differs for customers that were created elsewhere before. No statement changes created_at, so that an update may still leave
-- the indexes alone.
--
-- The condition holds for all rows, and is there for the planner: only a statement that compares created_at can use the index. Without
-- statistics any other statement about a tenant might, too, and would read all its customers.
CREATE INDEX CONCURRENTLY customers_created ON customers (merchant_id, environment, created_at, id)
    WHERE created_at IS NOT NULL;
