//! The schema, read from the database itself.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use crate::samples::{open_migrated, raw};

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_unique: bool,
    #[diesel(sql_type = Text)]
    origin: String,
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Nullable<Text>)]
    sql: Option<String>,
}

#[derive(QueryableByName)]
struct ForeignKey {
    #[diesel(sql_type = Text)]
    target: String,
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Text)]
    target_columns: String,
}

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_strict: bool,
}

fn tables(connection: &mut SqliteConnection) -> Vec<Table> {
    diesel::sql_query(
        "SELECT name, strict AS is_strict FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'
         ORDER BY name",
    )
    .load(connection)
    .expect("the tables")
}

/// The tables without those whose rows belong to no merchant.
fn tables_of_tenants(connection: &mut SqliteConnection) -> Vec<Table> {
    tables(connection)
        .into_iter()
        .filter(|table| !["harmless_migrations", "operator_log", "operators", "secrets"].contains(&table.name.as_str()))
        .collect()
}

fn indexes(connection: &mut SqliteConnection, table: &str) -> Vec<Index> {
    diesel::sql_query(
        "SELECT l.name, l.\"unique\" AS is_unique, l.origin, s.sql,
                (SELECT group_concat(i.name, ', ' ORDER BY i.seqno) FROM pragma_index_info(l.name) AS i) AS columns
         FROM pragma_index_list(?) AS l LEFT JOIN sqlite_schema AS s ON s.name = l.name
         ORDER BY l.origin, columns, l.name",
    )
    .bind::<Text, _>(table)
    .load(connection)
    .expect("the indexes of a table")
}

fn foreign_keys(connection: &mut SqliteConnection, table: &str) -> Vec<ForeignKey> {
    diesel::sql_query(
        "SELECT \"table\" AS target, group_concat(\"from\", ', ' ORDER BY seq) AS columns,
                group_concat(\"to\", ', ' ORDER BY seq) AS target_columns
         FROM pragma_foreign_key_list(?) GROUP BY id ORDER BY id",
    )
    .bind::<Text, _>(table)
    .load(connection)
    .expect("the foreign keys of a table")
}

/// One line per index and foreign key.
fn keys(connection: &mut SqliteConnection) -> Vec<String> {
    let mut lines = Vec::new();
    for Table { name: table, .. } in tables_of_tenants(connection) {
        for Index { is_unique, origin, columns, sql, .. } in indexes(connection, &table) {
            let kind = match (origin.as_str(), is_unique) {
                ("pk", _) => "PRIMARY KEY",
                (_, true) => "UNIQUE",
                (_, false) => "INDEX",
            };
            let condition =
                sql.and_then(|sql| sql.split_once("WHERE").map(|(_, condition)| condition.trim().to_owned()));
            let condition = condition.map_or(String::new(), |condition| format!(" WHERE {condition}"));
            lines.push(format!("{table}: {kind} ({columns}){condition}"));
        }
        for ForeignKey { target, columns, target_columns } in foreign_keys(connection, &table) {
            lines.push(format!("{table}: FOREIGN KEY ({columns}) REFERENCES {target} ({target_columns})"));
        }
    }
    lines
}

fn schema() -> (SqliteConnection, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    drop(open_migrated(&path));
    (raw(&path), folder)
}

#[test]
fn the_keys_and_indexes_are_those_of_every_database() {
    let (mut connection, _folder) = schema();
    let expected = "\
api_keys: INDEX (digest)
api_keys: INDEX (id)
api_keys: PRIMARY KEY (merchant_id, id)
api_keys: UNIQUE (merchant_id, digest)
api_keys: FOREIGN KEY (merchant_id) REFERENCES merchants (id)
customers: INDEX (merchant_id, environment, created_at, id) WHERE created_at IS NOT NULL
customers: UNIQUE (merchant_id, environment, email_key) WHERE deleted_at IS NULL AND email_exclusive
customers: INDEX (merchant_id, environment, email_key, id) WHERE deleted_at IS NULL AND NOT email_exclusive
customers: UNIQUE (merchant_id, environment, external_id) WHERE deleted_at IS NULL AND external_id IS NOT NULL
customers: INDEX (merchant_id, environment, id) WHERE archived_at IS NOT NULL AND deleted_at IS NULL
customers: INDEX (merchant_id, environment, id) WHERE deleted_at IS NULL AND search_version IS NOT version
customers: INDEX (search_id) WHERE search_id IS NOT NULL
customers: PRIMARY KEY (merchant_id, environment, id)
customers: FOREIGN KEY (merchant_id) REFERENCES merchants (id)
events: INDEX (merchant_id, environment, customer_id, seq) WHERE customer_id IS NOT NULL
events: PRIMARY KEY (merchant_id, environment, seq)
feed_floors: PRIMARY KEY (merchant_id, environment)
feed_heads: PRIMARY KEY (merchant_id, environment)
imports: PRIMARY KEY (merchant_id, environment, id)
imports: FOREIGN KEY (merchant_id) REFERENCES merchants (id)
merchants: PRIMARY KEY (id)
replies: INDEX (merchant_id, environment, expires_at) WHERE expires_at IS NOT NULL
replies: PRIMARY KEY (merchant_id, environment, key_digest)
subscriptions: PRIMARY KEY (merchant_id, environment, customer_id, id)
subscriptions: FOREIGN KEY (merchant_id, environment, customer_id) REFERENCES customers (merchant_id, environment, id)
upload_parts: PRIMARY KEY (merchant_id, environment, upload_id, kind, number)
upload_parts: FOREIGN KEY (merchant_id, environment, upload_id) REFERENCES uploads (merchant_id, environment, id)
uploads: UNIQUE (merchant_id, environment) WHERE ended_at IS NULL
uploads: PRIMARY KEY (merchant_id, environment, id)
uploads: FOREIGN KEY (merchant_id) REFERENCES merchants (id)
webhook_attempts: PRIMARY KEY (merchant_id, environment, endpoint_id, id)
webhook_attempts: FOREIGN KEY (merchant_id, environment, endpoint_id) REFERENCES webhook_endpoints (merchant_id, environment, id)
webhook_endpoints: INDEX (status, due_at)
webhook_endpoints: PRIMARY KEY (merchant_id, environment, id)
webhook_endpoints: FOREIGN KEY (merchant_id) REFERENCES merchants (id)
webhook_lanes: INDEX (merchant_id, environment, endpoint_id, due_at) WHERE due_at IS NOT NULL
webhook_lanes: PRIMARY KEY (merchant_id, environment, endpoint_id, customer_id, replayed_seq)
webhook_lanes: FOREIGN KEY (merchant_id, environment, endpoint_id) REFERENCES webhook_endpoints (merchant_id, environment, id)";
    assert_eq!(keys(&mut connection).join("\n"), expected);
}

#[test]
fn the_merchant_comes_first_in_every_unique_index_and_foreign_key() {
    let (mut connection, _folder) = schema();
    let mut seen = 0;
    for Table { name: table, .. } in tables_of_tenants(&mut connection) {
        for index in indexes(&mut connection, &table).iter().filter(|index| index.is_unique) {
            let first = index.columns.split(", ").next();
            assert_eq!(first, Some(if table == "merchants" { "id" } else { "merchant_id" }), "{}", index.name);
            seen += 1;
        }
        for key in foreign_keys(&mut connection, &table) {
            assert!(key.columns.starts_with("merchant_id"), "{table}: {}", key.columns);
        }
    }
    assert_eq!(seen, 18);
}

#[test]
fn every_table_is_strict_without_triggers_or_autoincrement() {
    let (mut connection, _folder) = schema();
    for table in tables(&mut connection) {
        assert!(table.is_strict, "{}", table.name);
    }
    let others = diesel::dsl::sql::<BigInt>(
        "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE '%AUTOINCREMENT%'",
    );
    assert_eq!(others.get_result::<i64>(&mut connection), Ok(0));
}

#[test]
fn every_text_is_compared_byte_by_byte() {
    let (mut connection, _folder) = schema();
    let collations = diesel::dsl::sql::<Text>(
        "SELECT DISTINCT i.coll FROM sqlite_schema AS s, pragma_index_xinfo(s.name) AS i
         WHERE s.type = 'index' AND i.coll IS NOT NULL",
    );
    assert_eq!(collations.load::<String>(&mut connection), Ok(vec!["BINARY".to_owned()]));
}
