//! The schema, read from the database, keeps the rules that allow a move to Citus and to another locale.

use diesel::connection::Connection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::MIGRATED;

/// The result of `query` on a migrated database: one text for each row.
fn ask(query: &str) -> Option<Vec<String>> {
    let database = MIGRATED.database()?;
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    let rows = sql::<Text>(query).load(&mut connection);
    Some(rows.expect("the catalogue answers"))
}

/// The tables of this service, without those whose rows belong to no merchant.
const OURS: &str = "IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
                    AND relname NOT IN ('__diesel_schema_migrations', 'harmless_migrations', 'operator_log', 'operators', \
                    'secrets'))";

#[test]
fn the_merchant_comes_first_in_every_primary_key_and_unique_index() {
    let Some(first_columns) = ask(&format!(
        "SELECT i.indexrelid::regclass || ' ' || a.attname FROM pg_index i
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indisunique AND i.indrelid {OURS} ORDER BY 1"
    )) else {
        return;
    };
    assert_eq!(
        first_columns,
        [
            "api_keys_merchant_id_digest_key merchant_id",
            "api_keys_pkey merchant_id",
            "customers_email_exclusive merchant_id",
            "customers_external_id merchant_id",
            "customers_pkey merchant_id",
            "events_pkey merchant_id",
            "feed_floors_pkey merchant_id",
            "feed_heads_pkey merchant_id",
            "imports_pkey merchant_id",
            // The id of a merchant is the merchant itself.
            "merchants_pkey id",
            "replies_pkey merchant_id",
            "subscriptions_pkey merchant_id",
            "upload_parts_pkey merchant_id",
            "uploads_pkey merchant_id",
            "uploads_unended merchant_id",
            "webhook_attempts_pkey merchant_id",
            "webhook_endpoints_pkey merchant_id",
            "webhook_lanes_pkey merchant_id",
        ]
    );
}

#[test]
fn the_merchant_comes_first_in_every_foreign_key() {
    let Some(first_columns) = ask(&format!(
        "SELECT c.conrelid::regclass || ' ' || a.attname || ' ' || c.confrelid::regclass || ' ' || f.attname
         FROM pg_constraint c
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
         JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
         WHERE c.contype = 'f' AND c.conrelid {OURS} ORDER BY 1"
    )) else {
        return;
    };
    assert_eq!(
        first_columns,
        [
            "api_keys merchant_id merchants id",
            "customers merchant_id merchants id",
            "imports merchant_id merchants id",
            "subscriptions merchant_id customers merchant_id",
            "upload_parts merchant_id uploads merchant_id",
            "uploads merchant_id merchants id",
            "webhook_attempts merchant_id webhook_endpoints merchant_id",
            "webhook_endpoints merchant_id merchants id",
            "webhook_lanes merchant_id webhook_endpoints merchant_id",
        ]
    );
}

#[test]
fn every_table_has_a_primary_key_and_neither_triggers_nor_sequences() {
    let Some(found) = ask(&format!(
        "SELECT 'no primary key: ' || oid::regclass FROM pg_class t WHERE oid {OURS}
         AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid AND indisprimary)
         UNION ALL SELECT 'trigger: ' || tgname FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL SELECT 'sequence: ' || relname FROM pg_class WHERE relkind = 'S'"
    )) else {
        return;
    };
    assert_eq!(found, [""; 0]);
}

#[test]
fn every_text_is_compared_byte_by_byte() {
    let Some(collations) = ask(&format!(
        "SELECT DISTINCT c.collname::text FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
         WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid {OURS}"
    )) else {
        return;
    };
    assert_eq!(collations, ["C"]);
}

#[test]
fn races_are_decided_by_partial_unique_indexes() {
    let Some(indexes) = ask(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'customers'::regclass AND NOT indisprimary
         ORDER BY indexrelid::regclass::text",
    ) else {
        return;
    };
    let index = |unique: &str, name: &str, column: &str, predicate: &str| {
        format!(
            "CREATE {unique}INDEX {name} ON public.customers USING btree (merchant_id, environment, {column}) \
             WHERE {predicate}"
        )
    };
    assert_eq!(
        indexes,
        [
            index("", "customers_archived", "id", "((archived_at IS NOT NULL) AND (deleted_at IS NULL))"),
            index("", "customers_created", "created_at, id", "(created_at IS NOT NULL)"),
            index("UNIQUE ", "customers_email_exclusive", "email_key", "((deleted_at IS NULL) AND email_exclusive)"),
            index("", "customers_email_shared", "email_key, id", "((deleted_at IS NULL) AND (NOT email_exclusive))"),
            index(
                "UNIQUE ",
                "customers_external_id",
                "external_id",
                "((deleted_at IS NULL) AND (external_id IS NOT NULL))"
            ),
            "CREATE INDEX customers_search ON public.customers USING gin (search_hashes) \
             WITH (fastupdate='on', gin_pending_list_limit='256') WHERE (search_hashes IS NOT NULL)"
                .to_owned(),
            index(
                "",
                "customers_unsearched",
                "id",
                "((deleted_at IS NULL) AND (search_of IS DISTINCT FROM hashtextextended((((((((COALESCE(email, ''::text) \
                 || chr(31)) || COALESCE(name, ''::text)) || chr(31)) || COALESCE(business_name, ''::text)) || chr(31)) \
                 || COALESCE(external_id, ''::text)) COLLATE \"C\"), (1)::bigint)))",
            ),
        ]
    );
}
