-- A constraint that holds for all rows needs no undoing.
SELECT 1;
