-- customers_email_shared and customers_email_exclusive have taken its place.
DROP INDEX IF EXISTS customers_email;
