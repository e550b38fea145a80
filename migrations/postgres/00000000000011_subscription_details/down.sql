UPDATE subscriptions SET status = CASE status WHEN 'trialing' THEN 'active' ELSE 'cancelled' END
    WHERE status NOT IN ('active', 'cancelled');
ALTER TABLE subscriptions
    DROP COLUMN details,
    DROP CONSTRAINT subscriptions_status_check,
    ADD CONSTRAINT subscriptions_status_check CHECK (status IN ('active', 'cancelled'));
