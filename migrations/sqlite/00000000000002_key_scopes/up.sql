-- The names of a key's scopes, separated by spaces. Keys made before this migration were not restricted, so they get
-- every scope but keys:manage. SQLite cannot drop the default, so it stays; it is not used.
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL
    DEFAULT 'customers:read customers:write customers:allow_duplicate_email subscriptions:write';
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
