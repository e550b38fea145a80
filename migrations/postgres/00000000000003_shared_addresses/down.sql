DROP INDEX customers_email_shared;
