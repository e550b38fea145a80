ALTER TABLE subscriptions DROP COLUMN version;
