-- Counts the reports of a subscription, so that one that was decided from an older state is noticed. The default stays:
-- a program of before this column may still write beside a new one.
ALTER TABLE subscriptions ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version >= 1);
