-- Reads the whole table, under a lock that keeps no reader and no writer waiting.
ALTER TABLE subscriptions VALIDATE CONSTRAINT subscriptions_status_check;
ALTER TABLE subscriptions VALIDATE CONSTRAINT subscriptions_details_check;
