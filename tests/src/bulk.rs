//! Inserts many customers with SQL: over HTTP it would take minutes.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

use crate::app::Merchant;
use crate::database::{Database, Kind};

/// Inserts `count` live customers of the merchant `ours`, each with every column filled.
///
/// # Panics
/// If the tables have other columns.
pub fn load_customers(database: &Database, count: usize) {
    load_customers_of(database, &database.tenants().ours, count);
}

/// As [`load_customers`], for any merchant.
///
/// # Panics
/// If the tables have other columns.
pub fn load_customers_of(database: &Database, merchant: &Merchant, count: usize) {
    let merchant = &merchant.name;
    match database.kind() {
        Kind::Sqlite => {
            database.open_file().batch_execute(&sqlite(merchant, count)).expect("customers");
        }
        Kind::Postgres => {
            let mut connection = PgConnection::establish(database.url()).expect("the database");
            connection.batch_execute(&postgres(merchant, count)).expect("customers");
        }
    }
}

const COLUMNS: &str = "merchant_id, environment, id, email, email_key, email_exclusive, external_id, name, phone, \
    address_line1, address_line2, address_city, address_state, address_postal_code, address_country, tax_id, metadata, \
    version, created_at, updated_at";

/// The values that are the same in both databases, for row number `n`.
const VALUES: &str = "'bulk-' || n || '@example.com', 'bulk-' || n || '@example.com', true, 'bulk-' || n, \
    'Bulk Customer ' || n, '+14155552671', '123 Main St', 'Apt 4B', 'New York', 'NY', '10001', 'US', '12-3456789', \
    '{\"plan\":\"pro\",\"seats\":12}', 1";

fn postgres(merchant: &str, count: usize) -> String {
    // A UUID of version 7: 48 bits of time, the version, the variant, and `n` again.
    let id = "(lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid";
    format!(
        "INSERT INTO customers ({COLUMNS}) \
         SELECT m.id, 'live', {id}, {values}, now(), now() \
         FROM merchants m, generate_series(1, {count}) AS n WHERE m.name = '{merchant}'; \
         ANALYZE customers;",
        values = VALUES.replace("'{\"plan\":\"pro\",\"seats\":12}'", "'{\"plan\":\"pro\",\"seats\":12}'::json"),
    )
}

fn sqlite(merchant: &str, count: usize) -> String {
    let id = "unhex(printf('%012x70008000%012x', 1700000000000 + n, n))";
    format!(
        "PRAGMA foreign_keys = ON; \
         INSERT INTO customers ({COLUMNS}) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         SELECT m.id, 'live', {id}, {VALUES}, m.created_at, m.created_at \
         FROM merchants m, numbers WHERE m.name = '{merchant}';"
    )
}
