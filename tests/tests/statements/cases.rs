//! The check permits statements that name their tenant, and refuses those that only seem to.

use crate::check::{Exception, check};

const BY_DIGEST: Exception = Exception { table: "api_keys", by: "digest", columns: &[], reason: "a case" };

const TENANT_BY_ID: Exception =
    Exception { table: "api_keys", by: "id", columns: &["merchant_id", "environment"], reason: "a case" };

fn faults(sql: &str) -> Vec<String> {
    check(sql, &[BY_DIGEST, TENANT_BY_ID]).faults.into_iter().collect()
}

#[track_caller]
fn assert_allowed(statements: &[&str]) {
    for sql in statements {
        assert_eq!(faults(sql), [""; 0], "{sql}");
    }
}

#[track_caller]
fn assert_refused(statements: &[&str]) {
    for sql in statements {
        let faults = faults(sql);
        assert!(!faults.is_empty(), "{sql}");
        // It is refused because of its meaning, not because it cannot be parsed.
        assert!(!faults.iter().any(|fault| fault.contains("parsed")), "{sql}: {faults:?}");
    }
}

#[test]
fn a_tenant_in_the_condition_is_enough() {
    assert_allowed(&[
        "SELECT * FROM customers WHERE merchant_id = $1 AND environment = $2",
        "SELECT customers.id FROM customers WHERE customers.merchant_id = $1 AND customers.environment = $2 \
         AND (strpos(customers.metadata::text, $3) > 0 OR strpos(customers.metadata::text, $4) > 0) \
         AND (customers.created_at, customers.id) < ($5, $6) ORDER BY customers.created_at DESC, customers.id DESC LIMIT $7",
        "SELECT count(*) FROM (SELECT customers.id FROM customers WHERE customers.merchant_id = $1 \
         AND customers.environment = $2 ORDER BY customers.id DESC LIMIT $3) AS found",
        "SELECT id FROM customers AS c WHERE (c.merchant_id = $1) AND ($2 = c.environment AND (id = $3 OR id = $4))",
        r#"SELECT "customers"."id" FROM "customers" WHERE (("customers"."merchant_id" = $1)
           AND ("customers"."environment" = $2)) ORDER BY id LIMIT $3 FOR NO KEY UPDATE"#,
        "SELECT * FROM public.customers WHERE merchant_id = $1::uuid AND environment = CAST($2 AS text) FOR UPDATE",
        "UPDATE customers SET name = $1 WHERE merchant_id = $2 AND environment = $3 AND id = $4",
        "DELETE FROM subscriptions WHERE merchant_id = $1 AND environment = $2",
    ]);
}

#[test]
fn half_of_a_tenant_is_refused() {
    assert_refused(&[
        "SELECT * FROM customers",
        "SELECT * FROM customers WHERE id = $1",
        "SELECT * FROM customers WHERE merchant_id = $1",
        "SELECT * FROM customers WHERE environment = $1 AND id = $2",
        "SELECT count(*) FROM api_keys WHERE merchant_id = $1",
        "SELECT * FROM CUSTOMERS WHERE id = $1",
        r#"SELECT * FROM public."customers" WHERE id = $1"#,
        "UPDATE customers SET name = $1 WHERE id = $2",
        "UPDATE customers SET name = $1",
        "DELETE FROM customers WHERE merchant_id = $1 AND id = $2",
        "DELETE FROM customers",
    ]);
}

#[test]
fn a_condition_that_may_be_false_does_not_count() {
    assert_refused(&[
        "SELECT * FROM customers WHERE merchant_id = $1 OR environment = $2",
        "SELECT * FROM customers WHERE merchant_id = $1 AND (environment = $2 OR id = $3)",
        "SELECT * FROM customers WHERE NOT (merchant_id = $1 AND environment = $2)",
        "SELECT * FROM customers WHERE merchant_id <> $1 AND environment = $2",
        "SELECT * FROM customers WHERE merchant_id >= $1 AND environment = $2",
        "SELECT * FROM customers WHERE (merchant_id = $1 AND environment = $2) IS NOT NULL",
        "SELECT * FROM customers WHERE CASE WHEN $3 THEN merchant_id = $1 AND environment = $2 ELSE true END",
        "SELECT merchant_id = $1 AND environment = $2 FROM customers",
        "SELECT id FROM customers GROUP BY id HAVING merchant_id = $1 AND environment = $2",
        "SELECT * FROM customers ORDER BY merchant_id = $1 AND environment = $2",
    ]);
}

#[test]
fn a_tenant_that_is_no_given_value_does_not_count() {
    assert_refused(&[
        "SELECT * FROM customers WHERE merchant_id = merchant_id AND environment = environment",
        "SELECT * FROM customers WHERE merchant_id = id AND environment = $1",
        "SELECT * FROM customers WHERE merchant_id = gen_random_uuid() AND environment = 'live'",
        "SELECT * FROM customers WHERE merchant_id = ANY($1) AND environment = ANY($2)",
        "SELECT * FROM customers WHERE merchant_id IN ($1, $2) AND environment = $3",
        "SELECT * FROM customers WHERE merchant_id = (SELECT id FROM merchants LIMIT 1) AND environment = $1",
        "SELECT * FROM customers a, customers b WHERE a.merchant_id = b.merchant_id AND b.merchant_id = a.merchant_id
         AND a.environment = b.environment",
    ]);
}

#[test]
fn a_comment_or_a_text_does_not_count() {
    assert_refused(&[
        "SELECT * FROM customers WHERE id = $1 -- AND merchant_id = $2 AND environment = $3",
        "SELECT * FROM customers WHERE id = $1 /* AND merchant_id = $2 AND environment = $3 */",
        "SELECT * FROM customers WHERE /* merchant_id = $1 AND /* nested */ environment = $2 AND */ id = $1",
        "SELECT * FROM customers WHERE id = 'merchant_id = $1 AND environment = $2'",
        r#"SELECT 'merchant_id = $1' AS "environment = $2" FROM customers"#,
    ]);
}

#[test]
fn every_table_needs_a_condition() {
    assert_allowed(&[
        "SELECT * FROM customers a JOIN subscriptions b ON b.merchant_id = a.merchant_id
         AND b.environment = a.environment AND b.customer_id = a.id WHERE a.merchant_id = $1 AND a.environment = $2",
        "SELECT * FROM customers a, subscriptions b WHERE a.merchant_id = b.merchant_id AND b.merchant_id = $1
         AND a.environment = $2 AND b.environment = $2",
    ]);
    assert_refused(&[
        "SELECT * FROM customers a JOIN subscriptions b ON b.customer_id = a.id
         WHERE a.merchant_id = $1 AND a.environment = $2",
        "SELECT * FROM customers a JOIN subscriptions b ON b.merchant_id = a.merchant_id AND b.customer_id = a.id
         WHERE a.merchant_id = $1 AND a.environment = $2",
        "SELECT * FROM customers a JOIN customers b ON b.id = a.id WHERE a.merchant_id = $1 AND a.environment = $2",
        "SELECT * FROM customers a LEFT JOIN subscriptions b ON b.merchant_id = $1 AND b.environment = $2 AND
         a.merchant_id = $1 AND a.environment = $2",
        "SELECT * FROM customers a NATURAL JOIN subscriptions b WHERE a.merchant_id = $1 AND a.environment = $2",
        "SELECT * FROM customers a JOIN subscriptions b USING (merchant_id, environment)
         WHERE a.merchant_id = $1 AND a.environment = $2",
        "SELECT * FROM customers, subscriptions WHERE merchant_id = $1 AND environment = $2",
        "SELECT * FROM customers WHERE merchant_id = $1 AND environment = $2 UNION SELECT * FROM customers",
        "SELECT * FROM (customers a CROSS JOIN customers b) WHERE a.merchant_id = $1 AND a.environment = $2",
    ]);
}

#[test]
fn an_inner_select_needs_a_condition() {
    assert_allowed(&[
        "UPDATE customers SET name = $1 WHERE merchant_id = $2 AND environment = $3 AND id = $4 AND NOT EXISTS (
         SELECT FROM customers AS other WHERE other.merchant_id = customers.merchant_id
         AND other.environment = customers.environment AND other.email_key = $5 OFFSET 0)",
        "SELECT EXISTS (SELECT 1 FROM customers WHERE merchant_id = $1 AND environment = $2)",
        "WITH changed AS (UPDATE customers SET name = $1 WHERE merchant_id = $2 AND environment = $3 RETURNING id)
         SELECT id FROM changed",
        "WITH RECURSIVE bounds (moment, low, high) AS (SELECT wanted.moment, coalesce((SELECT feed_floors.seq FROM feed_floors
         WHERE feed_floors.merchant_id = $1 AND feed_floors.environment = $2), 0) + 1, 9 FROM unnest($3) AS wanted (moment)
         UNION ALL SELECT bounds.moment, CASE WHEN middle.created_at >= bounds.moment THEN bounds.low ELSE 1 END, 2 FROM bounds
         LEFT JOIN LATERAL (SELECT events.created_at FROM events WHERE events.merchant_id = $4 AND events.environment = $5
         AND events.seq = (bounds.low + bounds.high) / 2 LIMIT 1) AS middle ON true WHERE bounds.low < bounds.high)
         SELECT bounds.low FROM bounds WHERE bounds.low >= bounds.high",
    ]);
    let inside = [
        "(SELECT id FROM customers WHERE merchant_id = $1)",
        "(SELECT id FROM customers AS other WHERE other.id = c.id)",
        "(SELECT id FROM customers AS other WHERE other.merchant_id = c.merchant_id)",
        "(SELECT id FROM customers AS other WHERE c.merchant_id = $1 AND c.environment = $2)",
    ];
    for inside in inside {
        let tenant = "c.merchant_id = $1 AND c.environment = $2";
        assert_refused(&[
            &format!("SELECT * FROM customers AS c WHERE {tenant} AND EXISTS {inside}"),
            &format!("SELECT * FROM customers AS c WHERE {tenant} AND id NOT IN {inside}"),
            &format!("SELECT * FROM customers AS c WHERE {tenant} ORDER BY {inside}"),
            &format!("SELECT * FROM customers AS c WHERE {tenant} LIMIT {inside}"),
            &format!("SELECT {inside} FROM customers AS c WHERE {tenant}"),
            &format!("SELECT * FROM customers AS c CROSS JOIN LATERAL {inside} AS d WHERE {tenant}"),
            &format!("WITH d AS {inside} SELECT * FROM customers AS c WHERE {tenant}"),
            &format!("UPDATE customers AS c SET name = {inside} WHERE {tenant}"),
            &format!("DELETE FROM customers AS c WHERE {tenant} RETURNING {inside}"),
            &format!("WITH c AS (SELECT $1 AS merchant_id, $2 AS environment) SELECT * FROM c, {inside} AS d"),
        ]);
    }
    assert_refused(&[
        "WITH RECURSIVE bounds (low) AS (SELECT $1 UNION ALL SELECT bounds.low + 1 FROM bounds LEFT JOIN LATERAL (
         SELECT events.created_at FROM events WHERE events.seq = bounds.low LIMIT 1) AS middle ON true) SELECT * FROM bounds",
        "WITH gone AS (DELETE FROM customers WHERE id = $1 RETURNING id) SELECT id FROM gone",
        "WITH customers AS (SELECT * FROM customers) SELECT * FROM customers WHERE merchant_id = $1 AND environment = $2",
        "SELECT * FROM (SELECT * FROM customers) AS c WHERE c.merchant_id = $1 AND c.environment = $2",
    ]);
}

#[test]
fn arrays_of_tenants_are_given_values() {
    let select = |arrays: &str, condition: &str| {
        format!(
            "SELECT wanted.place, customers.id FROM unnest({arrays}) AS wanted (place, merchant_id, environment, key)
             CROSS JOIN LATERAL (SELECT * FROM customers WHERE {condition} AND customers.id = wanted.key OFFSET 0)
             AS customers"
        )
    };
    let whole = "customers.merchant_id = wanted.merchant_id AND customers.environment = wanted.environment";
    assert_allowed(&[&select("$1, $2, $3, $4", whole), &select("$1, $2::uuid[], $3, $4", whole)]);
    assert_refused(&[
        &select("$1, $2, $3, $4", "customers.merchant_id = wanted.merchant_id"),
        &select("$1, $2, $3, $4", "customers.merchant_id = wanted.merchant_id AND customers.environment = wanted.key"),
        &select("$1, array[id], $3, $4", whole),
        &select("$1", whole),
        "SELECT * FROM unnest($1) WITH ORDINALITY AS wanted (key, place) CROSS JOIN LATERAL (
         SELECT * FROM customers WHERE customers.id = wanted.key OFFSET 0) AS customers",
    ]);
}

#[test]
fn an_inserted_row_needs_a_given_tenant() {
    let rows = "INSERT INTO customers (id, merchant_id, environment)";
    let conflict = "ON CONFLICT (merchant_id, environment, id) DO UPDATE SET name = excluded.name";
    assert_allowed(&[
        &format!("{rows} VALUES ($1, $2, $3), ($4, $5, $6) RETURNING id"),
        &format!("{rows} VALUES ($1, $2, $3) {conflict}"),
        &format!("{rows} SELECT $1, $2, $3"),
        &format!(
            "{rows} SELECT * FROM unnest($1, $2, $3) AS given (id, merchant_id, environment) WHERE NOT EXISTS (
         SELECT FROM customers AS other WHERE other.merchant_id = given.merchant_id
         AND other.environment = given.environment) ON CONFLICT DO NOTHING RETURNING id"
        ),
        &format!(
            "{rows} SELECT * FROM (VALUES ($1, $2, $3)) AS given (id, merchant_id, environment) WHERE NOT EXISTS (
         SELECT FROM customers AS other WHERE other.merchant_id = given.merchant_id
         AND other.environment = given.environment) ON CONFLICT DO NOTHING RETURNING id"
        ),
        &format!(
            "{rows} SELECT $1, c.merchant_id, c.environment FROM customers AS c
         WHERE c.merchant_id = $2 AND c.environment = $3"
        ),
    ]);
    assert_refused(&[
        "INSERT INTO customers (id) VALUES ($1)",
        "INSERT INTO customers (id, merchant_id) VALUES ($1, $2)",
        "INSERT INTO customers VALUES ($1, $2, $3)",
        "INSERT INTO customers DEFAULT VALUES",
        "INSERT INTO customers (id, environment) SELECT id, environment FROM unnest($1, $2) AS given (id, environment)",
        &format!("{rows} VALUES ($1, $2, $3), ($4, DEFAULT, $6)"),
        &format!("{rows} VALUES ($1, $2, 'live')"),
        &format!("{rows} SELECT id, merchant_id, environment FROM customers"),
        &format!("{rows} SELECT * FROM unnest($1, $2, $3) AS given (merchant_id, id, environment)"),
        &format!("{rows} SELECT * FROM unnest($1, $2) AS given (id, merchant_id, environment)"),
        &format!("{rows} SELECT * FROM (VALUES ($1, $2, $3)) AS given (merchant_id, id, environment)"),
        &format!("{rows} SELECT * FROM (VALUES ($1, $2, 'live')) AS given (id, merchant_id, environment)"),
        &format!("{rows} SELECT * FROM (VALUES ($1, $2, $3), ($4, $5, 'a')) AS given (id, merchant_id, environment)"),
        &format!(
            "{rows} SELECT * FROM unnest($1, $2, $3) AS given (id, merchant_id, environment) WHERE NOT EXISTS (
         SELECT FROM customers AS other WHERE other.id = given.id)"
        ),
        &format!("{rows} VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = $4"),
        &format!("{rows} VALUES ($1, $2, $3) ON CONFLICT ON CONSTRAINT customers_pkey DO UPDATE SET name = $4"),
        &format!("{rows} VALUES ($1, $2, $3) {conflict}, environment = $4"),
        "UPDATE customers SET merchant_id = $1 WHERE merchant_id = $2 AND environment = $3",
    ]);
}

#[test]
fn a_statement_without_tables_of_tenants_is_permitted() {
    assert_allowed(&[
        "BEGIN",
        "COMMIT",
        "SAVEPOINT diesel_savepoint_1",
        "SET enable_seqscan = off; SET lock_timeout = '5s'; SELECT current_setting('lc_messages')",
        "SELECT * FROM merchants WHERE id > $1 ORDER BY id LIMIT $2",
        r#"INSERT INTO "merchants" ("id") VALUES ($1)"#,
        "SELECT datname FROM pg_stat_activity",
        "SELECT pg_is_in_recovery(), system.system_identifier, CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(
         pg_current_wal_insert_lsn()) END, greatest(recovery.min_recovery_end_timeline, (SELECT received_tli
         FROM pg_stat_wal_receiver LIMIT 1))::bigint, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint
         FROM pg_control_system() AS system, pg_control_recovery() AS recovery",
        "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL)",
    ]);
}

#[test]
fn an_unknown_statement_is_refused() {
    for sql in [
        "SELECT * FROM invoices WHERE merchant_id = $1 AND environment = $2",
        "INSERT INTO invoices (merchant_id, environment) VALUES ($1, $2)",
        "TABLE customers",
        "SELECT id FROM merchants UNION TABLE customers",
        "COPY customers TO STDOUT",
        "COPY (SELECT * FROM customers) TO STDOUT",
        "TRUNCATE customers",
        "LOCK TABLE customers",
        "DROP TABLE customers",
        "CREATE TABLE copied AS SELECT * FROM customers",
        "DECLARE c CURSOR FOR SELECT * FROM customers",
        "EXPLAIN ANALYZE DELETE FROM customers",
        "PREPARE p AS SELECT * FROM customers",
        "DO $$ BEGIN DELETE FROM customers; END $$",
        "MERGE INTO customers USING merchants ON true WHEN MATCHED THEN DELETE",
        "SELECT * FROM customers AS c (merchant_id, environment) WHERE c.merchant_id = $1 AND c.environment = $2",
        "SELECT * FROM customers c WHERE public.c.merchant_id = $1 AND c.environment = $2",
        "SELECT 1; SELECT * FROM customers",
        "SELECT * FROM customers WHERE",
    ] {
        assert_ne!(faults(sql), [""; 0], "{sql}");
    }
}

#[test]
fn an_exception_permits_only_the_statements_that_it_names() {
    assert_allowed(&[
        "SELECT * FROM api_keys WHERE digest = $1",
        "SELECT wanted.place, api_keys.id FROM unnest($1) WITH ORDINALITY AS wanted (digest, place) CROSS JOIN LATERAL (
         SELECT * FROM api_keys WHERE api_keys.digest = wanted.digest OFFSET 0) AS api_keys",
        "SELECT merchant_id, api_keys.environment FROM api_keys WHERE id = $1",
    ]);
    assert_refused(&[
        "SELECT * FROM api_keys WHERE digest = $1 OR id = $2",
        "SELECT * FROM api_keys WHERE digest > $1",
        "SELECT * FROM api_keys WHERE name = $1",
        "UPDATE api_keys SET revoked_at = $1 WHERE digest = $2",
        "DELETE FROM api_keys WHERE digest = $1",
        "SELECT * FROM api_keys WHERE id = $1",
        "SELECT merchant_id, environment, digest FROM api_keys WHERE id = $1",
        "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 RETURNING merchant_id, environment",
        "SELECT merchant_id, environment FROM customers WHERE id = $1",
    ]);
    let needed = check("SELECT * FROM api_keys WHERE digest = $1 AND merchant_id = $2", &[BY_DIGEST]).needed;
    assert!(needed.contains(&BY_DIGEST));
    let whole = "SELECT * FROM api_keys WHERE digest = $1 AND merchant_id = $2 AND environment = $3";
    assert!(check(whole, &[BY_DIGEST]).needed.is_empty());
}

#[test]
fn what_is_read_beside_a_permitted_row_has_its_tenant() {
    assert_allowed(&["SELECT * FROM api_keys WHERE digest = $1 AND EXISTS (SELECT FROM customers
         WHERE customers.merchant_id = api_keys.merchant_id AND customers.environment = api_keys.environment)"]);
    assert_refused(&[
        "SELECT * FROM api_keys WHERE digest = $1 AND EXISTS (SELECT FROM customers)",
        "SELECT * FROM api_keys WHERE digest = $1 AND EXISTS (SELECT FROM customers
         WHERE customers.merchant_id = api_keys.merchant_id AND customers.id = api_keys.id)",
        "SELECT * FROM api_keys WHERE name = $1 AND EXISTS (SELECT FROM customers
         WHERE customers.merchant_id = api_keys.merchant_id AND customers.environment = api_keys.environment)",
        "SELECT * FROM api_keys JOIN customers ON customers.id = api_keys.id WHERE digest = $1",
    ]);
}
