-- The key that a rotation created in a key's place: a key is rotated once, which this row decides and no clock. A program of
-- before this column may still rotate keys beside a new one, and leaves it empty.
ALTER TABLE api_keys ADD COLUMN successor_id uuid;
