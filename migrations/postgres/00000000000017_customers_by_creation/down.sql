DROP INDEX customers_created;
