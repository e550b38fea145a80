-- Counts the reports of a subscription, so that one that was decided from an older state is noticed. The default stays:
-- a program of before this column may still write beside a new one. Two statements: Citus adds no column with a check.
ALTER TABLE subscriptions ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_version_check CHECK (version >= 1);
