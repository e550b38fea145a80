-- What a key lets its holder do: the names of its scopes, with a space between them. Keys that are there already could do
-- everything there was; none of them may manage keys.
ALTER TABLE api_keys
    ADD COLUMN scopes text COLLATE "C" NOT NULL
        DEFAULT 'customers:read customers:write customers:allow_duplicate_email subscriptions:write',
    ADD COLUMN last_used_at timestamptz;
ALTER TABLE api_keys ALTER COLUMN scopes DROP DEFAULT;
