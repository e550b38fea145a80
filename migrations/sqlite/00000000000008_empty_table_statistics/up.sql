-- Nothing to do: plans of SQLite depend on no statistics here.
SELECT 1;
