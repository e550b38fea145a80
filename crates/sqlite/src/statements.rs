//! What is asked of every statement, whichever repository runs it.

use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use roster_application::ports::{
    ApiKeyUse, Claims, CustomerKey, CustomerRef, StoreError, SubscriptionCursor, UnitOfWork, Verdict,
};
use roster_application::{ApiKey, Digest, Scopes};
use roster_domain::{
    ApiKeyId, Customer, CustomerId, Email, EmailUse, Environment, ExternalId, Merchant, MerchantId, MerchantName,
    Profile, Subscription, SubscriptionId, SubscriptionStatus, Tenant, Timestamp,
};
use uuid::Uuid;

use crate::migrations;
use crate::unit_of_work::SqliteUnitOfWork;

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// How SQLite goes about a statement.
fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let steps: Vec<Step> =
        diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(connection).expect("a plan");
    steps.into_iter().map(|step| step.detail).collect()
}

/// What `work` made a connection do, in order.
#[derive(Debug, Default, Clone)]
struct Trace {
    /// Statements that were run.
    run: Vec<String>,
    /// Statements that were prepared to be kept.
    kept: Vec<String>,
}

fn migrated() -> SqliteConnection {
    let mut connection = SqliteConnection::establish(":memory:").expect("a database in memory");
    migrations::migrate(&mut connection).expect("an empty database");
    connection
}

fn trace(connection: &mut SqliteConnection, work: impl Fn(&mut dyn UnitOfWork) -> Result<(), StoreError>) -> Trace {
    let trace = Arc::new(Mutex::new(Trace::default()));
    let seen = Arc::clone(&trace);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        let mut seen = seen.lock().expect("no panic before");
        match event {
            InstrumentationEvent::StartQuery { query, .. } => seen.run.push(query.to_string()),
            InstrumentationEvent::CacheQuery { sql, .. } => seen.kept.push(sql.to_owned()),
            _ => {}
        }
    });
    SqliteUnitOfWork::run_in_transaction(connection, &mut |unit_of_work| {
        work(unit_of_work).expect("calls that succeed");
        Verdict::Commit
    })
    .expect("no error");
    connection.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let trace = trace.lock().expect("no panic before");
    trace.clone()
}

/// Every statement that a unit of work can run, as it was run.
fn all_statements() -> (SqliteConnection, Vec<String>) {
    let mut connection = migrated();
    let Trace { run, .. } = trace(&mut connection, call_everything);
    (connection, run)
}

const NOW: i64 = 1_736_942_400_000;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW).expect("a time of this century")
}

fn tenant() -> Tenant {
    Tenant { merchant: MerchantId::new(Uuid::nil()), environment: Environment::Live }
}

fn customer() -> Customer {
    let profile = Profile {
        email: Email::parse("ada@example.com").ok(),
        external_id: ExternalId::parse("ada").ok(),
        ..Profile::default()
    };
    Customer::register(tenant(), CustomerId::new(Uuid::nil()), profile, EmailUse::Exclusive, now())
}

fn call_everything(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    call_merchants(unit_of_work)?;
    call_api_keys(unit_of_work)?;
    call_hot_customers(unit_of_work)?;
    call_other_customers(unit_of_work)?;
    call_subscriptions(unit_of_work)
}

fn call_merchants(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let merchant =
        Merchant { id: tenant().merchant, name: MerchantName::parse("M").expect("a name"), created_at: now() };
    unit_of_work.merchants().insert(&merchant)?;
    unit_of_work.merchants().find(merchant.id)?;
    // The first page of all merchants is the one that has nothing to look up.
    unit_of_work.merchants().list(Some(merchant.id), 10)?;
    Ok(())
}

fn call_api_keys(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let key = ApiKey {
        id: ApiKeyId::new(Uuid::nil()),
        tenant: tenant(),
        name: None,
        scopes: Scopes::DEFAULT,
        digest: Digest([0; 32]),
        created_at: now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    unit_of_work.api_keys().insert(&key)?;
    unit_of_work.api_keys().find(&[key.digest, key.digest])?;
    unit_of_work.api_keys().tenant_of(key.id)?;
    unit_of_work.api_keys().list(key.tenant, None, 10)?;
    unit_of_work.api_keys().list(key.tenant, Some(key.id), 10)?;
    unit_of_work.api_keys().lock(key.tenant, key.id)?;
    unit_of_work.api_keys().update(&key)?;
    unit_of_work.api_keys().record_uses(&[ApiKeyUse { tenant: key.tenant, id: key.id, at: now() }])?;
    Ok(())
}

/// What requests that come by the thousand call.
fn call_hot_customers(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let customer = customer();
    let by_external_id = CustomerRef::ExternalId(ExternalId::parse("ada").expect("an external identifier"));
    let keys =
        [CustomerRef::Id(customer.id()), by_external_id].map(|customer| CustomerKey { tenant: tenant(), customer });
    let claims = Claims::of_new(&customer);
    unit_of_work.customers().insert_free(&[&customer, &customer])?;
    unit_of_work.customers().taken(&claims)?;
    unit_of_work.customers().find(&keys)?;
    unit_of_work.customers().lock(&keys[1])?;
    unit_of_work.customers().update(&customer, &claims)?;
    unit_of_work.api_keys().find(&[Digest([0; 32])])?;
    unit_of_work.subscriptions().current(&[(tenant(), customer.id())])?;
    Ok(())
}

fn call_other_customers(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    unit_of_work.customers().list(tenant(), None, 10)?;
    unit_of_work.customers().list(tenant(), Some(customer().id()), 10)?;
    Ok(())
}

fn call_subscriptions(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let (tenant, customer) = (tenant(), customer().id());
    let subscription = Subscription {
        id: SubscriptionId::parse("s").expect("a name"),
        plan_id: None,
        name: None,
        status: SubscriptionStatus::Active,
        started_at: now(),
        cancelled_at: None,
        created_at: now(),
        updated_at: now(),
    };
    let cursor = SubscriptionCursor { started_at: now(), id: subscription.id.clone() };
    unit_of_work.subscriptions().put(tenant, customer, &subscription)?;
    unit_of_work.subscriptions().find(tenant, customer, &subscription.id)?;
    unit_of_work.subscriptions().list(tenant, customer, None, 10)?;
    unit_of_work.subscriptions().list(tenant, customer, Some(&cursor), 10)?;
    Ok(())
}

/// All that may be asked of a tenant's table without naming the tenant: whose a key is, by what somebody shows or by its
/// identifier, and whether anybody has such a key.
const WITHOUT_A_TENANT: [&str; 2] =
    ["FROM api_keys WHERE (api_keys.digest = ?)", "FROM api_keys WHERE (api_keys.id = ?)"];

#[test]
fn every_statement_names_the_tenant_of_each_table_that_it_mentions() {
    let (_, statements) = all_statements();
    let mut mentions = 0;
    for sql in &statements {
        let sql = WITHOUT_A_TENANT.iter().fold(sql.replace('`', ""), |sql, exception| sql.replace(exception, ""));
        let count = |what: &str, of: &str| sql.matches(&format!("{what}{of}")).count();
        let tables = ["api_keys", "customers", "subscriptions"];
        let mentioned: usize = tables.map(|table| count("FROM ", table) + count("UPDATE ", table)).iter().sum();
        // Behind a SELECT or an UPDATE stand its conditions, and behind an INSERT its columns.
        assert_eq!((count("merchant_id", " = ?"), count("environment", " = ?")), (mentioned, mentioned), "{sql}");
        if tables.iter().any(|table| count("INSERT INTO ", table) > 0) {
            let (columns, _) = sql.split_once(')').expect("a list of columns");
            assert!(columns.contains("(merchant_id, ") && columns.contains(", environment, "), "{sql}");
        }
        mentions += mentioned;
    }
    assert!(mentions >= 15, "{statements:#?}");
}

#[test]
fn no_statement_reads_a_whole_table_or_index() {
    let (mut connection, statements) = all_statements();
    assert!(statements.len() > 20, "{statements:#?}");
    for sql in &statements {
        let plan = plan(&mut connection, sql);
        assert!(!plan.iter().any(|step| step.starts_with("SCAN") && step != "SCAN CONSTANT ROW"), "{sql}\n{plan:#?}");
    }
}

#[test]
fn customers_are_looked_up_by_the_whole_of_an_index() {
    let (mut connection, statements) = all_statements();
    let plans: Vec<Vec<String>> = statements.iter().map(|sql| plan(&mut connection, sql)).collect();
    for step in plans.concat().iter().filter(|step| step.contains("customers") || step.contains(" o ")) {
        let is_whole =
            ["email_key=?", "external_id=?", "id=?", "id<?"].iter().any(|end| step.ends_with(&format!("AND {end})")));
        let is_page = step.ends_with("(merchant_id=? AND environment=?)");
        assert!(is_whole || is_page, "{step}");
    }
    let pages = plans.iter().filter(|plan| plan.concat().ends_with("(merchant_id=? AND environment=?)")).count();
    assert_eq!(pages, 1, "the first page of a list, which the primary key has in its order: {plans:#?}");
}

#[test]
fn the_hot_statements_are_prepared_once_and_kept() {
    let mut connection = migrated();
    trace(&mut connection, call_merchants);
    let first = trace(&mut connection, call_hot_customers);
    let mut distinct: Vec<&str> = first.run.iter().filter_map(|sql| sql.split(" -- binds").next()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(first.kept.len(), distinct.len(), "{first:#?}");
    // The customer is there now, so that this calls for the same statements and no more.
    let second = trace(&mut connection, call_hot_customers);
    assert_eq!((second.run.len(), second.kept.len()), (first.run.len(), 0), "{second:#?}");
}

/// A plan that depends on what is bound is made anew for each value, which takes longer than running it. SQLite counts
/// how often it has done so.
#[test]
fn no_statement_is_prepared_anew_for_what_is_bound() {
    let mut connection = migrated();
    trace(&mut connection, call_everything);
    trace(&mut connection, call_hot_customers);
    let counts = "SELECT sql, run, reprep FROM sqlite_stmt WHERE sql NOT LIKE '%migrations%'";
    let counts: Vec<Prepared> = diesel::sql_query(counts).load(&mut connection).expect("SQLite counts");
    assert!(counts.iter().any(|prepared| prepared.run > 1), "{counts:#?}");
    let anew: Vec<&str> = counts.iter().filter(|prepared| prepared.reprep > 0).map(|prepared| &*prepared.sql).collect();
    assert!(anew.is_empty(), "{anew:#?}");
}

#[derive(Debug, QueryableByName)]
struct Prepared {
    #[diesel(sql_type = Text)]
    sql: String,
    #[diesel(sql_type = BigInt)]
    run: i64,
    #[diesel(sql_type = BigInt)]
    reprep: i64,
}
