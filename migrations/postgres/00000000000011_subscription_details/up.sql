-- More statuses, and what a billing engine reports of a subscription that this service only shows. Not VALID, so that the lock
-- of the table does not last for as long as its rows are read; the next migration checks them. json, as for metadata.
--
-- One statement for each change: Citus adds a constraint in no other way.
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_status_check;
ALTER TABLE subscriptions ADD COLUMN details json;
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_status_check
    CHECK (status IN ('active', 'trialing', 'past_due', 'paused', 'cancelled', 'expired')) NOT VALID;
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_details_check CHECK (json_typeof(details) = 'object') NOT VALID;
