ALTER TABLE api_keys DROP COLUMN scopes, DROP COLUMN last_used_at;
