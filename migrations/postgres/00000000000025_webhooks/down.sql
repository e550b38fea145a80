DELETE FROM harmless_migrations WHERE version = '00000000000025';
DROP TABLE webhook_attempts;
DROP TABLE webhook_lanes;
DROP TABLE webhook_endpoints;
