CREATE INDEX customers_email ON customers (merchant_id, environment, email_key)
    WHERE deleted_at IS NULL;
