-- Statistics are no part of the schema.
SELECT 1;
