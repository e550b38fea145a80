-- Whoever wants an address for itself alone must see those who share it, too. Those who have one alone are in
-- customers_email_exclusive already, and nobody is in both.
CREATE INDEX customers_email_shared ON customers (merchant_id, environment, email_key, id)
    WHERE deleted_at IS NULL AND NOT email_exclusive;
DROP INDEX customers_email;
