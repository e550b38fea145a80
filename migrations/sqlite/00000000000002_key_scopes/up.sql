-- What a key lets its holder do: the names of its scopes, with a space between them. Keys that are there already could do
-- everything there was; none of them may manage keys. The default stays, as SQLite cannot take it away; it is not used.
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL
    DEFAULT 'customers:read customers:write customers:allow_duplicate_email subscriptions:write';
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
