DROP INDEX customers_search_id;
