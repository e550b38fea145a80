-- The names of a key's scopes, separated by spaces. Keys made before this migration were not restricted, so they get
-- every scope but keys:manage.
ALTER TABLE api_keys
    ADD COLUMN scopes text COLLATE "C" NOT NULL
        DEFAULT 'customers:read customers:write customers:allow_duplicate_email subscriptions:write',
    ADD COLUMN last_used_at timestamptz;
ALTER TABLE api_keys ALTER COLUMN scopes DROP DEFAULT;
