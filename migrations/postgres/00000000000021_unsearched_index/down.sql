DROP INDEX customers_unsearched;
