//! Distributing a database, and migrating a distributed one.

use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use roster_application::ports::{CustomerKey, CustomerRef, CustomerState, Store, StoreError, UnitOfWork, Write};
use roster_domain::{
    Customer, CustomerId, Email, EmailUse, Environment, Merchant, MerchantId, MerchantName, Profile, Tenant, Timestamp,
};
use roster_postgres::PostgresStore;
use roster_test_postgres::{citus_database, database};
use uuid::Uuid;

use crate::migrations;

fn store(url: &str) -> PostgresStore {
    crate::store(url, 2, Duration::from_secs(20))
}

fn now() -> Timestamp {
    Timestamp::from_millis(0).expect("a time")
}

fn tenant(number: u128) -> Tenant {
    Tenant { merchant: MerchantId::new(Uuid::from_u128(number)), environment: Environment::Live }
}

/// A customer of each of some tenants.
fn customers() -> impl Iterator<Item = Customer> {
    (1..=20).map(|number| {
        let profile = Profile { email: Email::parse("ada@example.com").ok(), ..Profile::default() };
        let id = CustomerId::new(Uuid::from_u128(number));
        Customer::register(tenant(number), id, profile, EmailUse::Exclusive, now())
    })
}

fn fill(uow: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    for customer in customers() {
        let name = MerchantName::parse("Ada").expect("a name");
        uow.merchants().insert(&Merchant {
            id: customer.tenant().merchant,
            name,
            created_at: now(),
            disabled_at: None,
        })?;
    }
    let writes: Vec<Write> = customers().map(Write::create).collect();
    uow.customers().write(&writes).map(drop)
}

fn find(uow: &mut dyn UnitOfWork) -> Result<Vec<Option<Customer>>, StoreError> {
    let key = |customer: Customer| CustomerKey { tenant: customer.tenant(), customer: CustomerRef::Id(customer.id()) };
    uow.customers().find(CustomerState::Live, &customers().map(key).collect::<Vec<_>>())
}

fn names(url: &str, statement: &str) -> Vec<String> {
    let mut connection = PgConnection::establish(url).expect("a connection");
    sql::<Text>(statement).load(&mut connection).expect("names")
}

/// Without those of shards on the coordinator, whose names end with a number.
const FOREIGN_KEYS: &str = "SELECT conname::text FROM pg_constraint WHERE contype = 'f' \
                            AND connamespace = 'public'::regnamespace AND conname !~ '_[0-9]+$' ORDER BY conname";
const DISTRIBUTED: &str = "SELECT logicalrelid::regclass::text FROM pg_dist_partition \
                           WHERE partmethod = 'h' OR repmodel = 't' ORDER BY 1";

#[test]
fn a_filled_database_is_distributed_with_its_rows_and_foreign_keys() {
    let Some(database) = citus_database() else { return };
    let plain = store(database.url());
    plain.migrate().expect("the migrations apply");
    let plain: &dyn Store = &plain;
    plain.direct(fill).expect("customers");
    let foreign_keys = names(database.url(), FOREIGN_KEYS);
    assert!(!plain.is_distributed().expect("an answer"));
    assert_eq!(plain.distribute().expect("the tables are distributed").len(), 16);
    assert_eq!(plain.distribute().expect("nothing is left"), Vec::<String>::new());
    assert!(plain.is_distributed().expect("an answer"));
    assert_eq!(names(database.url(), FOREIGN_KEYS), foreign_keys);
    let distributed: &dyn Store = &store(database.url());
    let found = distributed.direct(find).expect("customers");
    assert_eq!(found, customers().map(Some).collect::<Vec<_>>());
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    let spread = "SELECT count(DISTINCT nodeport) FROM citus_shards WHERE table_name = 'customers'::regclass";
    let servers: i64 = sql::<BigInt>(spread).get_result(&mut connection).expect("a number");
    assert!(servers > 1, "{servers}");
}

#[test]
fn a_database_without_the_extension_is_refused_and_stays_as_it_is() {
    let Some(database) = database() else { return };
    let plain = store(database.url());
    plain.migrate().expect("the migrations apply");
    let refused = plain.distribute().expect_err("there is no extension");
    assert!(
        matches!(&refused, StoreError::Internal { source } if source.to_string().contains("CREATE EXTENSION citus"))
    );
    assert!(!plain.is_distributed().expect("an answer"));
}

/// The first migration has made the tables that a merchant's customers are in.
#[test]
fn every_later_migration_applies_to_distributed_tables() {
    let Some(database) = citus_database() else { return };
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    let first = migrations::all().remove(0);
    connection.batch_execute(&migrations::up(&first)).expect("the first migration");
    connection
        .batch_execute(
            "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp DEFAULT now());
             INSERT INTO __diesel_schema_migrations (version) VALUES ('00000000000001');
             BEGIN;
             SET LOCAL citus.multi_shard_modify_mode = 'sequential';
             ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_merchant_id_environment_customer_id_fkey;
             SELECT create_reference_table('merchants');
             SELECT create_distributed_table('customers', 'merchant_id');
             SELECT create_distributed_table('subscriptions', 'merchant_id', colocate_with => 'customers');
             ALTER TABLE subscriptions ADD FOREIGN KEY (merchant_id, environment, customer_id)
                 REFERENCES customers (merchant_id, environment, id);
             COMMIT",
        )
        .expect("distributed tables");
    store(database.url()).migrate().expect("the migrations apply");
    assert_eq!(names(database.url(), DISTRIBUTED).len(), 16, "those of later migrations, too");
    let distributed: &dyn Store = &store(database.url());
    distributed.direct(fill).expect("customers");
    let found = distributed.direct(find).expect("customers");
    assert_eq!(found, customers().map(Some).collect::<Vec<_>>());
}
