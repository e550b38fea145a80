//! What is asked of every statement, whichever repository runs it: it is prepared once, planned once, and reads no more
//! rows than it must, also on a table that has grown since, and without statistics.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::{
    AnsiTransactionManager, Instrumentation, InstrumentationEvent, SimpleConnection as _, TransactionManager as _,
};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use roster_application::Digest;
use roster_application::ports::{
    Attempt, AttemptOutcome, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerState, DeliveryRecord,
    EventQuery, Lane, LaneKey, Lease, ListOrder, MetadataCondition, Place, ReplyKey, SavedReply, Store as _,
    StoreError, SubscriptionKey, SubscriptionWrite, UnitOfWork, Verdict, Write, Written,
};
use roster_domain::{
    AttemptId, Customer, CustomerEdit, CustomerId, DisabledReason, Edit, Email, EmailUse, Endpoint, EndpointId,
    EndpointSecret, EndpointSettings, EndpointUrl, Environment, EventId, EventType, EventTypes, ExternalId, Merchant,
    MerchantId, MerchantName, Name, PayloadForm, Profile, SearchTerm, Subscription, SubscriptionId, SubscriptionStatus,
    Tenant, Timestamp,
};
use roster_test_postgres::{Cluster, ClusterOptions, Database, citus_database, database};
use uuid::Uuid;

use crate::pool::Borrowed;
use crate::unit_of_work::PostgresUnitOfWork;
use crate::{Options, PostgresStore};

const TENANT: Tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Sandbox };

fn customer(number: u128) -> Customer {
    let profile = Profile {
        email: Email::parse(&format!("customer{number}@example.com")).ok(),
        external_id: ExternalId::parse(format!("customer {number}")).ok(),
        ..Profile::default()
    };
    Customer::register(TENANT, CustomerId::new(Uuid::from_u128(number)), profile, EmailUse::Exclusive, now())
}

fn now() -> Timestamp {
    Timestamp::from_millis(0).expect("a time")
}

/// Something that is done to customers that are stored.
type Operation = fn(&mut dyn UnitOfWork, &[Customer]) -> Result<(), StoreError>;

const OPERATIONS: [(&str, Operation); 41] = [
    ("create again", |uow, customers| {
        let writes: Vec<Write> = customers.iter().cloned().map(Write::create).collect();
        uow.customers().write(&writes).map(drop)
    }),
    ("create with taken identifiers", |uow, customers| {
        let taken = |customer: &Customer| {
            let id = CustomerId::new(Uuid::from_u128(customer.id().uuid().as_u128() + (1 << 64)));
            Write::create(Customer::register(TENANT, id, customer.profile().clone(), EmailUse::Exclusive, now()))
        };
        let writes: Vec<Write> = customers.iter().map(taken).collect();
        let written = uow.customers().write(&writes)?;
        assert!(written.iter().all(|written| matches!(written, Written::Taken(_))), "{written:?}");
        Ok(())
    }),
    ("find by id", |uow, customers| find(uow, customers, by_id).map(drop)),
    ("find by external id", |uow, customers| find(uow, customers, by_external_id).map(drop)),
    ("change the name", |uow, customers| {
        change(uow, customers, |version| CustomerEdit {
            name: Edit::Set(Name::parse(format!("Version {version}")).expect("a name")),
            ..CustomerEdit::default()
        })
    }),
    ("change the identifiers", |uow, customers| {
        change(uow, customers, |version| CustomerEdit { email_use: EmailUse::Shared, ..identifiers(version) })
    }),
    ("claim identifiers", |uow, customers| change(uow, customers, identifiers)),
    ("record a subscription", |uow, customers| {
        let found = uow.subscriptions().find(&subscription_keys(customers, by_id))?;
        let record = |(customer, before): (Customer, Option<Subscription>)| {
            let after = subscription(before.as_ref().map_or(1, |before| before.version + 1));
            Write::record(customer, SubscriptionWrite { before, after })
        };
        let writes: Vec<Write> = found.into_iter().flatten().map(record).collect();
        assert_done(&uow.customers().write(&writes)?);
        Ok(())
    }),
    ("find subscriptions by external id", |uow, customers| {
        uow.subscriptions().find(&subscription_keys(customers, by_external_id)).map(drop)
    }),
    ("list the newest", |uow, customers| list(uow, None, customers.len())),
    ("list those before", |uow, customers| list(uow, customers.last().map(Place::from), customers.len())),
    ("list some pages together", |uow, customers| {
        for created_after in [None, Some(now())] {
            let filter = CustomerFilter { created_after, ..CustomerFilter::default() };
            for order in [ListOrder::Descending, ListOrder::Ascending] {
                let after = |customer| CustomerQuery {
                    filter: filter.clone(),
                    order,
                    after: Some(Place::from(customer)),
                    ..CustomerQuery::newest(TENANT, 1)
                };
                let mut queries: Vec<CustomerQuery> = customers.iter().map(after).collect();
                // One alone would be read by another statement.
                queries.extend(queries.clone());
                uow.customers().list_many(&queries)?;
            }
        }
        Ok(())
    }),
    ("list those of a period", |uow, customers| {
        let [after, before] = [0, 1].map(|millis| Timestamp::from_millis(millis).ok());
        for (created_after, created_before) in [(after, None), (None, before), (after, before)] {
            list_all(uow, &CustomerFilter { created_after, created_before, ..CustomerFilter::default() }, customers)?;
        }
        Ok(())
    }),
    ("list those changed since", |uow, customers| {
        list_all(uow, &CustomerFilter { updated_after: Some(now()), ..CustomerFilter::default() }, customers)
    }),
    // None has any, so that each row up to the limit is looked at.
    ("list those with metadata", |uow, customers| {
        let condition = MetadataCondition { key: "tier".to_owned(), value: "gold".to_owned() };
        let metadata = vec![condition; 2];
        list_all(uow, &CustomerFilter { metadata, ..CustomerFilter::default() }, customers)
    }),
    ("search", |uow, customers| {
        list_some(uow, customers, |customer| {
            let number = customer.id().uuid().as_u128();
            let search = SearchTerm::parse(&format!("customer{number}@")).ok();
            CustomerFilter { search, ..CustomerFilter::default() }
        })
    }),
    ("search in a period", |uow, customers| {
        list_some(uow, customers, |customer| {
            let search = SearchTerm::parse(&format!("customer{}@", customer.id().uuid().as_u128())).ok();
            CustomerFilter {
                search,
                created_after: Some(now()),
                updated_after: Some(now()),
                ..CustomerFilter::default()
            }
        })
    }),
    // All are in it.
    ("add to the index for searches", |uow, customers| {
        assert_eq!(uow.customers().index_for_search(&[TENANT], customers.len())?, 0);
        Ok(())
    }),
    ("count", |uow, customers| {
        for state in [CustomerState::Live, CustomerState::Active, CustomerState::Any] {
            uow.customers().count(TENANT, &state.into(), customers.len())?;
        }
        Ok(())
    }),
    ("list those with an address", |uow, customers| {
        list_some(uow, customers, |customer| CustomerFilter {
            email_key: customer.email_key().map(str::to_owned),
            ..CustomerFilter::default()
        })
    }),
    ("list those with an external id", |uow, customers| {
        list_some(uow, customers, |customer| CustomerFilter {
            external_id: customer.profile().external_id.clone(),
            ..CustomerFilter::default()
        })
    }),
    ("current subscriptions", |uow, customers| {
        let ids: Vec<(Tenant, CustomerId)> = customers.iter().map(|customer| (TENANT, customer.id())).collect();
        uow.subscriptions().current(&ids).map(drop)
    }),
    ("list subscriptions", |uow, customers| {
        uow.subscriptions().list(TENANT, customers[0].id(), None, customers.len()).map(drop)
    }),
    ("create with keys", |uow, customers| {
        let another = |customer: &Customer| {
            let id = CustomerId::new(Uuid::from_u128(customer.id().uuid().as_u128() + (1 << 65)));
            let customer = Customer::register(TENANT, id, Profile::default(), EmailUse::Exclusive, now());
            Write::create(customer.clone()).replying(reply("create", &customer))
        };
        assert_done(&uow.customers().write(&customers.iter().map(another).collect::<Vec<_>>())?);
        Ok(())
    }),
    ("change with keys", |uow, customers| {
        let changed = |before: Customer| {
            let name = Name::parse(format!("Key {}", before.version())).expect("a name");
            let edit = CustomerEdit { name: Edit::Set(name), ..CustomerEdit::default() };
            let after = before.changed(edit, now()).expect("no metadata");
            Write::change(before, after.clone()).replying(reply("change", &after))
        };
        let writes: Vec<Write> = find(uow, customers, by_id)?.into_iter().map(changed).collect();
        assert_done(&uow.customers().write(&writes)?);
        Ok(())
    }),
    ("record with keys", |uow, customers| {
        let found = uow.subscriptions().find(&subscription_keys(customers, by_id))?;
        let record = |(customer, before): (Customer, Option<Subscription>)| {
            let after = subscription(before.as_ref().map_or(1, |before| before.version + 1));
            let reply = reply(&format!("record {}", after.version), &customer);
            Write::record(customer, SubscriptionWrite { before, after }).replying(reply)
        };
        let writes: Vec<Write> = found.into_iter().flatten().map(record).collect();
        assert_done(&uow.customers().write(&writes)?);
        Ok(())
    }),
    ("save replies alone", |uow, customers| {
        let replies: Vec<SavedReply> = customers.iter().map(|customer| reply("alone", customer)).collect();
        uow.replies().save(&replies).map(drop)
    }),
    ("find replies", |uow, customers| {
        let keys: Vec<ReplyKey> = customers.iter().map(|customer| reply("alone", customer).key).collect();
        uow.replies().find(&keys, now()).map(drop)
    }),
    ("sweep replies", |uow, customers| {
        let later = now().plus(LIFETIME);
        let expired = uow.replies().expired(&[TENANT], later, customers.len())?;
        uow.replies().delete_expired(&expired, later)
    }),
    ("list events", |uow, customers| {
        let last = uow.events().extents(&[TENANT])?[0].head;
        for kind in [None, Some(EventType::CustomerCreated)] {
            list_events(uow, &EventQuery { kind, ..events(last, customers.len()) })?;
        }
        Ok(())
    }),
    ("extents of logs", |uow, customers| uow.events().extents(&vec![TENANT; customers.len()]).map(drop)),
    ("find the first event of each of some times", |uow, customers| {
        uow.events().lower_bounds(TENANT, &vec![now(); customers.len()]).map(drop)
    }),
    ("delete old events", |uow, customers| {
        uow.events().older_than(&vec![TENANT; customers.len()], now().plus(LIFETIME))?;
        uow.events().prune(TENANT, 1)
    }),
    ("list the events of a customer", |uow, customers| {
        for customer in customers {
            let query = EventQuery { customer: Some(customer.id()), ..events(i64::MAX, 1) };
            list_events(uow, &query)?;
        }
        Ok(())
    }),
    ("make, change and delete a webhook endpoint", |uow, customers| {
        let endpoint = endpoint(customers[0].id().uuid());
        let webhooks = uow.webhooks();
        webhooks.insert(&endpoint, 0)?;
        webhooks.lock(TENANT, endpoint.id)?;
        webhooks.update(&endpoint)?;
        webhooks.list(TENANT, Some(endpoint.id), 1)?;
        let lane = Lane::replay(customers[0].id(), 1, now());
        assert!(webhooks.open_lane(TENANT, endpoint.id, &lane)?);
        assert_eq!(webhooks.first_in_lanes(TENANT, endpoint.id)?, None);
        assert!(webhooks.delete(TENANT, endpoint.id)?);
        Ok(())
    }),
    ("lease a webhook endpoint", |uow, _| {
        let lease = leased(uow)?;
        assert!(uow.webhooks().renew(&lease, now())?.is_some());
        Ok(())
    }),
    ("record deliveries", |uow, customers| {
        let lease = leased(uow)?;
        record(uow, &lease, customers, None)?;
        uow.webhooks().lanes(TENANT, lease.endpoint, now(), customers.len()).map(drop)
    }),
    ("disable a webhook endpoint, enable it and set it back", |uow, customers| {
        let lease = leased(uow)?;
        record(uow, &lease, &customers[..1], Some((DisabledReason::Gone, now())))?;
        let webhooks = uow.webhooks();
        webhooks.update(&endpoint(lease.endpoint.uuid()))?;
        assert!(webhooks.rewind(TENANT, lease.endpoint, 0)?);
        Ok(())
    }),
    ("list attempts", |uow, customers| {
        let lease = leased(uow)?;
        let made = record(uow, &lease, customers, None)?;
        uow.webhooks().attempts(TENANT, lease.endpoint, None, customers.len())?;
        uow.webhooks().attempts(TENANT, lease.endpoint, Some(made[0].id), customers.len()).map(drop)
    }),
    ("sweep attempts", |uow, customers| {
        let (webhooks, size) = (uow.webhooks(), customers.len());
        for oldest in [AttemptId::new(Uuid::nil()), AttemptId::new(Uuid::max())] {
            let outdated = webhooks.outdated_attempts(&[TENANT], oldest, 1, size)?;
            webhooks.delete_attempts(&outdated)?;
        }
        Ok(())
    }),
    ("find API keys", |uow, customers| uow.api_keys().find(&vec![Digest([0; 32]); customers.len()]).map(drop)),
];

const LIFETIME: Duration = Duration::from_mins(1);

fn endpoint(id: Uuid) -> Endpoint {
    let settings = EndpointSettings {
        url: EndpointUrl::parse("https://example.com", false).expect("a URL"),
        events: EventTypes::ALL,
        description: None,
        form: PayloadForm::Thin,
    };
    Endpoint::create(TENANT, EndpointId::new(id), settings, EndpointSecret::new(&[1; 32]), now())
}

/// Leases the one endpoint that stays.
fn leased(uow: &mut dyn UnitOfWork) -> Result<Lease, StoreError> {
    let endpoint = endpoint(Uuid::nil());
    if uow.webhooks().find(TENANT, endpoint.id)?.is_none() {
        uow.webhooks().insert(&endpoint, 0)?;
    }
    let leased = uow.webhooks().lease(now(), now(), 1)?;
    assert_eq!(leased.len(), 1);
    Ok(leased[0].lease())
}

/// Records an attempt and a lane for each customer.
fn record(
    uow: &mut dyn UnitOfWork,
    lease: &Lease,
    customers: &[Customer],
    disabled: Option<(DisabledReason, Timestamp)>,
) -> Result<Vec<Attempt>, StoreError> {
    static MADE: AtomicUsize = AtomicUsize::new(1);
    let attempt = |customer: &Customer| Attempt {
        id: AttemptId::new(Uuid::from_u128(MADE.fetch_add(1, Ordering::Relaxed) as u128)),
        tenant: TENANT,
        endpoint: lease.endpoint,
        event: EventId::at(1, [0; 8]),
        customer: Some(customer.id()),
        number: 1,
        outcome: AttemptOutcome::Failed,
        status: Some(500),
        duration: Duration::ZERO,
        answer: None,
        error: None,
        at: now(),
    };
    let key = |customer: &Customer| LaneKey { customer: customer.id(), replayed: None };
    let lane = |customer: &Customer| Lane { key: key(customer), next_seq: 1, attempts: 1, due_at: now() };
    let record = DeliveryRecord {
        cursor: 0,
        lanes: customers.iter().map(lane).collect(),
        closed: customers.iter().map(|customer| LaneKey { replayed: Some(1), ..key(customer) }).collect(),
        attempts: customers.iter().map(attempt).collect(),
        failing_since: None,
        disabled,
        due_at: now(),
    };
    assert!(uow.webhooks().record(lease, &record)?);
    Ok(record.attempts)
}

/// The events of the last places.
fn events(last: i64, limit: usize) -> EventQuery {
    let width = i64::try_from(limit).expect("a small number");
    let order = ListOrder::Ascending;
    EventQuery { tenant: TENANT, customer: None, kind: None, order, first: last - width + 1, last, limit }
}

fn list_events(uow: &mut dyn UnitOfWork, query: &EventQuery) -> Result<(), StoreError> {
    for order in [ListOrder::Ascending, ListOrder::Descending] {
        uow.events().list(&EventQuery { order, ..query.clone() })?;
    }
    Ok(())
}

/// The reply to a request about a version of a customer.
fn reply(what: &str, customer: &Customer) -> SavedReply {
    let digest = Digest::of(format!("{what} {} {}", customer.id(), customer.version()).as_bytes());
    SavedReply {
        key: ReplyKey { tenant: TENANT, digest },
        fingerprint: digest,
        customer: Some(customer.id()),
        outcome: String::new(),
        created_at: now(),
        expires_at: now().plus(LIFETIME),
    }
}

fn by_id(customer: &Customer) -> CustomerKey {
    CustomerKey { tenant: TENANT, customer: CustomerRef::Id(customer.id()) }
}

fn by_external_id(customer: &Customer) -> CustomerKey {
    let id = customer.profile().external_id.clone().expect("all have one");
    CustomerKey { tenant: TENANT, customer: CustomerRef::ExternalId(id) }
}

fn subscription_keys(customers: &[Customer], key: fn(&Customer) -> CustomerKey) -> Vec<SubscriptionKey> {
    let of = |customer| SubscriptionKey { customer: key(customer), id: subscription(1).id };
    customers.iter().map(of).collect()
}

fn subscription(version: i64) -> Subscription {
    Subscription {
        id: SubscriptionId::parse("s").expect("an id"),
        plan_id: None,
        name: None,
        status: SubscriptionStatus::Active,
        started_at: now(),
        cancelled_at: None,
        details: None,
        version,
        created_at: now(),
        updated_at: now(),
    }
}

fn identifiers(version: i64) -> CustomerEdit {
    // Unique for each customer by its number of changes and by the name that it got before.
    CustomerEdit {
        email: Edit::Set(Email::parse(&format!("v{version}@example.com")).expect("an address")),
        external_id: Edit::Set(ExternalId::parse(format!("v{version}")).expect("an identifier")),
        ..CustomerEdit::default()
    }
}

fn find(
    uow: &mut dyn UnitOfWork,
    customers: &[Customer],
    key: fn(&Customer) -> CustomerKey,
) -> Result<Vec<Customer>, StoreError> {
    let keys: Vec<CustomerKey> = customers.iter().map(key).collect();
    Ok(uow.customers().find(CustomerState::Live, &keys)?.into_iter().flatten().collect())
}

/// Changes customers as they are stored now. What `edit` makes of a version is made unique for each of them.
fn change(uow: &mut dyn UnitOfWork, customers: &[Customer], edit: fn(i64) -> CustomerEdit) -> Result<(), StoreError> {
    let changed = |before: Customer| {
        let mut edit = edit(before.version());
        let number = before.id().uuid().as_u128();
        if let Edit::Set(email) = &edit.email {
            edit.email = Edit::Set(Email::parse(&format!("{number}.{}", email.as_str())).expect("an address"));
        }
        if let Edit::Set(id) = &edit.external_id {
            edit.external_id = Edit::Set(ExternalId::parse(format!("{number} {}", id.as_str())).expect("an id"));
        }
        let after = before.changed(edit, now()).expect("no metadata");
        Write::change(before, after)
    };
    let writes: Vec<Write> = find(uow, customers, by_id)?.into_iter().map(changed).collect();
    assert_done(&uow.customers().write(&writes)?);
    Ok(())
}

fn assert_done(written: &[Written]) {
    assert!(written.iter().all(|written| *written == Written::Done), "{written:?}");
}

fn list(uow: &mut dyn UnitOfWork, after: Option<Place>, limit: usize) -> Result<(), StoreError> {
    // Nothing is deleted, and a search for what is not there would walk through the whole list. Nothing is archived, either,
    // but that list has an index of its own.
    for state in [CustomerState::Live, CustomerState::Active, CustomerState::Archived, CustomerState::Any] {
        list_in_both_orders(
            uow,
            &CustomerQuery { filter: state.into(), after, ..CustomerQuery::newest(TENANT, limit) },
        )?;
    }
    Ok(())
}

fn list_in_both_orders(uow: &mut dyn UnitOfWork, query: &CustomerQuery) -> Result<(), StoreError> {
    for order in [ListOrder::Descending, ListOrder::Ascending] {
        uow.customers().list(&CustomerQuery { order, ..query.clone() })?;
    }
    Ok(())
}

/// The first page and one after `customers`, of at most as many and from at most as many rows.
fn list_all(uow: &mut dyn UnitOfWork, filter: &CustomerFilter, customers: &[Customer]) -> Result<(), StoreError> {
    for after in [None, customers.last().map(Place::from)] {
        let first = CustomerQuery::newest(TENANT, customers.len());
        let query = CustomerQuery { filter: filter.clone(), after, max_rows: customers.len(), ..first };
        list_in_both_orders(uow, &query)?;
    }
    Ok(())
}

fn list_some(
    uow: &mut dyn UnitOfWork,
    customers: &[Customer],
    filter: fn(&Customer) -> CustomerFilter,
) -> Result<(), StoreError> {
    for customer in customers {
        for state in [CustomerState::Live, CustomerState::Active, CustomerState::Archived] {
            for after in [None, Some(customer.into())] {
                let filter = CustomerFilter { state, ..filter(customer) };
                list_in_both_orders(uow, &CustomerQuery { filter, after, ..CustomerQuery::newest(TENANT, 2) })?;
            }
        }
    }
    Ok(())
}

/// Makes `size` customers and does everything to them. Their external identifiers change last.
fn use_all(uow: &mut dyn UnitOfWork, first: u128, size: usize) -> Result<(), StoreError> {
    let customers: Vec<Customer> = (first..).take(size).map(customer).collect();
    let writes: Vec<Write> = customers.iter().cloned().map(Write::create).collect();
    assert_done(&uow.customers().write(&writes)?);
    let moves = |name: &str| name.contains("identifiers") && !name.contains("taken");
    OPERATIONS.iter().filter(|(name, _)| !moves(name)).try_for_each(|(_, operation)| operation(uow, &customers))?;
    OPERATIONS.iter().filter(|(name, _)| moves(name)).try_for_each(|(_, operation)| operation(uow, &customers))
}

fn store(url: &str) -> PostgresStore {
    let store = connect(url);
    store.migrate().expect("the migrations apply");
    let name = MerchantName::parse("Ada").expect("a name");
    direct(&store, |uow| {
        uow.merchants().insert(&Merchant {
            id: TENANT.merchant,
            name: name.clone(),
            created_at: now(),
            disabled_at: None,
        })
    });
    store
}

/// A database, and a store with one connection over it that knows one merchant.
fn start() -> Option<(Database, PostgresStore)> {
    let database = database()?;
    let store = store(database.url());
    Some((database, store))
}

fn direct<T>(
    store: &dyn roster_application::ports::Store,
    work: impl FnMut(&mut dyn UnitOfWork) -> Result<T, StoreError>,
) -> T {
    store.direct(work).expect("the database is there")
}

/// Runs statements of the test itself, on a connection of its own: what the service sends is checked by another test.
fn administer(url: &str, statements: &[&str]) {
    let mut connection = PgConnection::establish(url).expect("a server");
    for statement in statements {
        connection.batch_execute(statement).expect(statement);
    }
}

fn connect(url: &str) -> PostgresStore {
    let options = Options {
        url: url.to_owned(),
        connections: 1,
        wait: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        search_index: true,
    };
    PostgresStore::connect(&options).expect("the options are usable")
}

/// The statements that the one connection of the store has prepared.
fn prepared(store: &PostgresStore) -> Vec<String> {
    let query = sql::<Text>("SELECT statement FROM pg_prepared_statements ORDER BY statement");
    let mut session = store.pool.get().expect("a connection");
    session.run(|connection| Ok(query.load(connection)?)).expect("a list")
}

/// With the plan types off that the service has off, PostgreSQL would compile each plan that sorts, at every execution.
#[test]
fn no_plan_is_compiled() {
    let Some((_database, store)) = start() else { return };
    let mut session = store.pool.get().expect("a connection");
    let setting = sql::<Text>("SELECT current_setting('jit')");
    let jit: String = session.run(|connection| Ok(setting.get_result(connection)?)).expect("a setting");
    assert_eq!(jit, "off");
}

#[test]
fn a_statement_is_prepared_once_however_many_rows_it_is_for() {
    let Some((_database, store)) = start() else { return };
    direct(&store, |uow| use_all(uow, 1, 1));
    direct(&store, |uow| use_all(uow, 100, 2));
    // With others before and behind them, so that the pages that look at a number of rows end there.
    direct(&store, |uow| use_all(uow, 500, 64));
    direct(&store, |uow| use_all(uow, 50, 2));
    let first = prepared(&store);
    assert!(first.iter().filter(|statement| statement.contains("unnest")).count() >= 9, "{first:#?}");
    for (start, size) in [(200, 1), (300, 3), (400, 40), (600, 100)] {
        direct(&store, |uow| use_all(uow, start, size));
    }
    let last = prepared(&store);
    let further: Vec<&String> = last.iter().filter(|statement| !first.contains(statement)).collect();
    assert!(further.is_empty() && last.len() == first.len(), "{further:#?}");
}

fn set_instrumentation(session: &mut Borrowed, instrumentation: impl Instrumentation) {
    let set = |connection: &mut PgConnection| {
        connection.set_instrumentation(instrumentation);
        Ok(())
    };
    session.run(set).expect("nothing is sent");
}

/// How many statements `work` sends, the beginning and the end of a transaction included.
fn statements_sent(store: &PostgresStore, work: impl Fn(&mut dyn UnitOfWork) -> Result<(), StoreError>) -> usize {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let count = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { .. } = event {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut session = store.pool.get().expect("a connection");
    set_instrumentation(&mut session, count);
    work(&mut PostgresUnitOfWork::direct(&mut session)).expect("the database is there");
    set_instrumentation(&mut session, |_: InstrumentationEvent<'_>| {});
    sent.load(Ordering::Relaxed)
}

#[test]
fn a_lone_write_takes_at_most_two_round_trips() {
    let Some((_database, store)) = start() else { return };
    direct(&store, |uow| use_all(uow, 1, 1));
    let lone = [customer(1)];
    let create = statements_sent(&store, |uow| uow.customers().write(&[Write::create(customer(2))]).map(drop));
    assert_eq!(create, 1);
    let keyed = Write::create(customer(3)).replying(reply("lone", &customer(3)));
    assert_eq!(statements_sent(&store, |uow| uow.customers().write(std::slice::from_ref(&keyed)).map(drop)), 1);
    for name in
        ["change the name", "claim identifiers", "record a subscription", "change with keys", "record with keys"]
    {
        let (_, operation) = OPERATIONS.iter().find(|(operation, _)| *operation == name).expect(name);
        assert_eq!(statements_sent(&store, |uow| operation(uow, &lone)), 2, "{name}: one reads, one writes");
    }
}

#[test]
fn a_statement_is_planned_once_however_often_it_runs() {
    const ROUNDS: u128 = 30;
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    drop(store(&url));
    administer(
        &url,
        &[
            "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'",
            "ALTER ROLE CURRENT_USER SET pg_stat_statements.track_planning = on",
        ],
    );
    cluster.stop();
    cluster.start();
    administer(&url, &["CREATE EXTENSION pg_stat_statements"]);
    let store = connect(&url);
    for round in 0..ROUNDS {
        direct(&store, |uow| use_all(uow, 1 + 10 * round, 1));
        direct(&store, |uow| use_all(uow, 2 + 10 * round, 3));
        let found: Result<_, StoreError> = (&store as &dyn roster_application::ports::Store).transaction(|uow| {
            let customers = [customer(1)];
            find(uow, &customers, by_id)?;
            find(uow, &customers, by_external_id)
        });
        found.expect("the database is there");
    }
    let query = sql::<(Text, BigInt, BigInt)>(
        "SELECT query, plans, calls FROM pg_stat_statements WHERE calls >= 30 AND query ~ '^(SELECT|INSERT|UPDATE|DELETE|WITH)'",
    );
    let counts: Vec<(String, i64, i64)> = {
        let mut session = store.pool.get().expect("a connection");
        session.run(|connection| Ok(query.load(connection)?)).expect("a list")
    };
    assert!(counts.len() >= 15, "{counts:#?}");
    assert!(counts.iter().filter(|(query, ..)| query.contains("FOR NO KEY UPDATE")).count() >= 3, "{counts:#?}");
    // What owners do with their webhook endpoints is rare.
    let is_rare =
        |query: &str| ["INSERT INTO", "UPDATE"].iter().any(|verb| query.starts_with(&format!("{verb} \"webhook")));
    let planned_anew: Vec<_> = counts.iter().filter(|(query, plans, _)| *plans > 2 && !is_rare(query)).collect();
    assert!(planned_anew.is_empty(), "{planned_anew:#?}");
}

/// The rows of tenants' tables that `work` makes the database look at, with or without the statements that
/// lock what they find.
fn rows_read(store: &PostgresStore, locks: bool, work: impl Fn(&mut dyn UnitOfWork) -> Result<(), StoreError>) -> i64 {
    let mut session = store.pool.get().expect("a connection");
    // The counters stay the same but for what the transaction does. It is rolled back, so that the next operation finds
    // the same rows.
    session.run(|connection| Ok(AnsiTransactionManager::begin_transaction(connection)?)).expect("a transaction");
    let before = rows_read_so_far(&mut session);
    let mut uow =
        if locks { PostgresUnitOfWork::in_transaction(&mut session) } else { PostgresUnitOfWork::direct(&mut session) };
    work(&mut uow).expect("the database is there");
    let read = rows_read_so_far(&mut session) - before;
    session.run(|connection| Ok(AnsiTransactionManager::rollback_transaction(connection)?)).expect("its end");
    read
}

fn rows_read_so_far(session: &mut Borrowed) -> i64 {
    let query = sql::<BigInt>(
        "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables \
         WHERE relname IN ('customers', 'subscriptions', 'replies', 'events', 'feed_floors', 'feed_heads', 'webhook_endpoints', \
         'webhook_lanes', 'webhook_attempts')",
    );
    session.run(|connection| Ok(query.get_result(connection)?)).expect("a number")
}

fn assert_few_rows_are_read(store: &PostgresStore, customers: &[Customer], when: &str) {
    for (name, operation) in OPERATIONS {
        for (batch, locks) in [(1, false), (64, false), (1, true)] {
            let batch = &customers[..batch];
            let read = rows_read(store, locks, |uow| operation(uow, batch));
            // A refused create looks three times at its indexes and at what has its identifiers; a search is twelve lists, each of
            // which looks at 64 rows before it asks the index.
            let each = if name.starts_with("search") { 16 + 12 * 64 } else { 16 };
            let most = i64::try_from(each * batch.len()).expect("a small number");
            assert!(read <= most, "{when}: {name} of {}: {read} rows", batch.len());
        }
    }
}

#[test]
fn a_statement_planned_on_an_empty_table_reads_few_rows_of_a_grown_one_with_and_without_statistics() {
    let Some((database, store)) = start() else { return };
    direct(&store, |uow| use_all(uow, 1, 1));
    direct(&store, |uow| use_all(uow, 2, 3));
    let many: Vec<Customer> = (1000..4000).map(customer).collect();
    let create = |customer: &Customer| Write::create(customer.clone()).replying(reply("grow", customer));
    let writes: Vec<Write> = many.iter().map(create).collect();
    direct(&store, |uow| uow.customers().write(&writes).map(drop));
    direct(&store, |uow| {
        let lease = leased(uow)?;
        record(uow, &lease, &many, None).map(drop)
    });
    assert_few_rows_are_read(&store, &many, "planned before");
    administer(database.url(), &["ANALYZE"]);
    assert_few_rows_are_read(&store, &many, "analysed");
    // As in a database that was restored from a dump, which has no statistics.
    let forget = "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relname ~ '^(customers|subscriptions|replies|events|feed_floors|feed_heads|webhook)'";
    administer(database.url(), &["DELETE FROM pg_statistic", forget]);
    assert_few_rows_are_read(&connect(database.url()), &many, "without statistics");
}

/// The texts of the statements that `work` sends.
fn texts_sent(
    store: &PostgresStore,
    locks: bool,
    work: impl Fn(&mut dyn UnitOfWork) -> Result<(), StoreError>,
) -> Vec<String> {
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&sent);
    let note = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let text = text.split(" -- binds:").next().unwrap_or_default().to_owned();
            noted.lock().expect("no panic").push(text);
        }
    };
    let mut session = store.pool.get().expect("a connection");
    session.run(|connection| Ok(AnsiTransactionManager::begin_transaction(connection)?)).expect("a transaction");
    set_instrumentation(&mut session, note);
    let mut uow =
        if locks { PostgresUnitOfWork::in_transaction(&mut session) } else { PostgresUnitOfWork::direct(&mut session) };
    work(&mut uow).expect("the database is there");
    uow.finish(Verdict::Commit).expect("the events are written");
    set_instrumentation(&mut session, |_: InstrumentationEvent<'_>| {});
    session.run(|connection| Ok(AnsiTransactionManager::rollback_transaction(connection)?)).expect("its end");
    let sent = sent.lock().expect("no panic");
    let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
    sent.iter().filter(|text| verbs.iter().any(|verb| text.starts_with(verb))).cloned().collect()
}

/// The number of shards that a statement goes to, whose parameters have these types; none: PostgreSQL infers them.
fn shards(connection: &mut PgConnection, text: &str, types: Option<&String>) -> String {
    let value = |kind: &str| match kind {
        "uuid" => format!("'{}'", TENANT.merchant.uuid()),
        "text" => "'sandbox'".to_owned(),
        "bigint" | "integer" => "1".to_owned(),
        "boolean" => "true".to_owned(),
        "json" => "'{}'".to_owned(),
        "bytea" => "'\\x00'".to_owned(),
        "timestamp with time zone" => "now()".to_owned(),
        _ => unreachable!("a parameter of the type {kind}"),
    };
    connection.batch_execute("DEALLOCATE ALL").expect("no statement is prepared");
    let types = types.map(|types| format!("({types})")).unwrap_or_default();
    let prepare = format!("PREPARE this {types} AS {text}");
    connection.batch_execute(&prepare).unwrap_or_else(|error| panic!("{prepare}: {error}"));
    let types = "SELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 'this'";
    let types: Vec<String> = sql::<Text>(types).load(connection).expect("the types of the parameters");
    let value = |kind: &String| match kind.strip_suffix("[]") {
        Some(element) => format!("ARRAY[{}]::{kind}", value(element)),
        None => format!("{}::{kind}", value(kind)),
    };
    let values: Vec<String> = types.iter().map(value).collect();
    let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    let plan: Vec<String> = sql::<Text>(&format!("EXPLAIN (COSTS off) EXECUTE this{values}"))
        .load(connection)
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let tasks = plan.iter().find_map(|line| line.trim().strip_prefix("Task Count: "));
    tasks.unwrap_or("none: it is not planned by Citus").to_owned()
}

/// The one statement that looks at all tenants finds the webhook endpoints that are due.
fn is_of_all_tenants(text: &str) -> bool {
    text.contains("FROM webhook_endpoints WHERE webhook_endpoints.status = ")
}

#[test]
fn on_citus_every_statement_about_a_tenant_goes_to_one_shard() {
    let Some(database) = citus_database() else { return };
    let store = store(database.url());
    store.distribute().expect("the tables are distributed");
    drop(store);
    // Its connection is new: it knows that the tables are distributed.
    let store = connect(database.url());
    direct(&store, |uow| use_all(uow, 1, 1));
    direct(&store, |uow| use_all(uow, 10, 4));
    let some: Vec<Customer> = (1000..1003).map(customer).collect();
    let create = |customer: &Customer| Write::create(customer.clone()).replying(reply("grow", customer));
    direct(&store, |uow| uow.customers().write(&some.iter().map(create).collect::<Vec<_>>()).map(drop));
    let mut texts = BTreeSet::new();
    for (_, operation) in OPERATIONS {
        for (batch, locks) in [(1, false), (3, false), (1, true)] {
            texts.extend(texts_sent(&store, locks, |uow| operation(uow, &some[..batch])));
        }
    }
    assert!(texts.len() >= 60, "{}", texts.len());
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    connection.batch_execute(&crate::citus::settings(Duration::from_secs(30))).expect("the settings");
    let types: HashMap<String, String> = {
        let query = "SELECT statement, array_to_string(parameter_types, ', ') FROM pg_prepared_statements \
                     WHERE cardinality(parameter_types) > 0";
        let mut session = store.pool.get().expect("a connection");
        let types = session.run(|connection| Ok(sql::<(Text, Text)>(query).load::<(String, String)>(connection)?));
        types.expect("a list").into_iter().collect()
    };
    let elsewhere: Vec<(String, &String)> = texts
        .iter()
        .filter(|text| !is_of_all_tenants(text))
        .map(|text| (shards(&mut connection, text, types.get(text)), text))
        .filter(|(count, _)| count != "1")
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    assert!(texts.iter().any(|text| is_of_all_tenants(text)));
}
