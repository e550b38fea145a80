//! Tests of every statement of all repositories: each names its tenant, uses an index, and is prepared once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use roster_application::ports::{
    ApiKeyUse, Attempt, AttemptOutcome, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerState,
    DeliveryRecord, EventQuery, Lane, LaneKey, ListOrder, MetadataCondition, Place, ReplyKey, SavedReply, StoreError,
    SubscriptionCursor, SubscriptionKey, SubscriptionWrite, UnitOfWork, Verdict, Write, Written,
};
use roster_application::{
    Action, Actor, ApiKey, Digest, Import, ImportCounts, LogEntry, Operation, Operator, PartKind, Role, Scopes, Target,
    Upload, UploadState,
};
use roster_domain::{
    ApiKeyId, AttemptId, Customer, CustomerEdit, CustomerId, DisabledReason, Edit, Email, EmailUse, Endpoint,
    EndpointId, EndpointSecret, EndpointSettings, EndpointUrl, Environment, EventId, EventType, EventTypes, ExternalId,
    ImportId, LogEntryId, Merchant, MerchantId, MerchantName, Name, OperatorId, PayloadForm, Profile, SearchTerm,
    Subscription, SubscriptionId, SubscriptionStatus, Tenant, Timestamp, UploadId,
};
use uuid::Uuid;

use crate::migrations;
use crate::unit_of_work::SqliteUnitOfWork;

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// SQLite's query plan for a statement, one text for each step.
fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let steps: Vec<Step> =
        diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(connection).expect("a plan");
    steps.into_iter().map(|step| step.detail).collect()
}

/// What a connection did, in order.
#[derive(Debug, Default, Clone)]
struct Trace {
    /// Statements that were run.
    run: Vec<String>,
    /// Statements that were prepared and put into the statement cache.
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
    SqliteUnitOfWork::run_in_transaction(connection, true, &mut |unit_of_work| {
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
    call_operators(unit_of_work)?;
    call_hot_customers(unit_of_work)?;
    call_other_customers(unit_of_work)?;
    call_subscriptions(unit_of_work)?;
    call_events(unit_of_work)?;
    call_webhooks(unit_of_work)?;
    call_imports(unit_of_work)?;
    call_uploads(unit_of_work)?;
    let later = now().plus(LIFETIME);
    let expired = unit_of_work.replies().expired(&[tenant()], later, 10)?;
    assert_eq!(expired.len(), 1);
    unit_of_work.replies().delete_expired(&expired, later)
}

fn call_imports(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let id = ImportId::new(Uuid::from_u128(1));
    let import = Import {
        tenant: tenant(),
        id,
        digest: Digest([1; 32]),
        options: String::new(),
        counts: ImportCounts::default(),
        created_at: now(),
        updated_at: now(),
        finished_at: None,
    };
    let imports = unit_of_work.imports();
    imports.insert(&import)?;
    assert_eq!(imports.list(tenant(), 10)?, std::slice::from_ref(&import));
    imports.lock(tenant(), id)?.expect("the import");
    imports.update(&import)?;
    imports.forget_before(tenant(), id)
}

/// Every statement about uploads, each of which finds something.
fn call_uploads(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let id = UploadId::new(Uuid::from_u128(1));
    let upload = Upload {
        tenant: tenant(),
        id,
        state: UploadState::Running,
        options: String::new(),
        actor: Actor::Operator,
        import: None,
        digest: None,
        size: 1,
        parts: 1,
        error_parts: 0,
        failure: None,
        fence: 0,
        lease_until: None,
        created_at: now(),
        updated_at: now(),
        ended_at: None,
    };
    let uploads = unit_of_work.uploads();
    uploads.insert(&upload)?;
    assert_eq!(uploads.find(tenant(), id)?, Some(upload.clone()));
    assert_eq!(uploads.list(tenant(), None, 10)?, std::slice::from_ref(&upload));
    assert_eq!(uploads.list(tenant(), Some(id), 10)?, []);
    assert_eq!(uploads.unended(&[tenant()])?, [(tenant(), id)]);
    uploads.lock(tenant(), id)?.expect("the upload");
    uploads.update(&upload)?;
    uploads.add_part(tenant(), id, PartKind::File, 0, b"a")?;
    assert_eq!(uploads.part(tenant(), id, PartKind::File, 0)?, Some(b"a".to_vec()));
    uploads.delete_parts(tenant(), id, PartKind::File)?;
    uploads.forget_before(tenant(), id)?;
    uploads.delete(tenant(), id)
}

/// Every form of the list of events.
fn call_events(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let last = unit_of_work.events().extents(&[tenant()])?[0].head;
    for customer in [None, Some(customer().id())] {
        for kind in [None, Some(EventType::CustomerCreated)] {
            for order in [ListOrder::Descending, ListOrder::Ascending] {
                let query = EventQuery { tenant: tenant(), customer, kind, order, first: 1, last, limit: 10 };
                assert!(!unit_of_work.events().list(&query)?.is_empty(), "{query:?}");
            }
        }
    }
    assert_eq!(unit_of_work.events().lower_bounds(tenant(), &[now(), Timestamp::MAX])?, [1, last + 1]);
    assert_eq!(unit_of_work.events().older_than(&[tenant()], now().plus(LIFETIME))?, [tenant()]);
    unit_of_work.events().prune(tenant(), 1)
}

/// Every statement about webhook endpoints, each of which finds something.
fn call_webhooks(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let webhooks = unit_of_work.webhooks();
    let endpoint = endpoint();
    let id = endpoint.id;
    webhooks.insert(&endpoint, 0)?;
    webhooks.lock(tenant(), id)?;
    webhooks.update(&endpoint)?;
    assert_eq!(webhooks.list(tenant(), None, 10)?.len(), 1);
    webhooks.list(tenant(), Some(id), 10)?;
    let lease = webhooks.lease(now(), now(), 10)?.remove(0).lease();
    webhooks.renew(&lease, now())?.expect("the endpoint");
    let key = LaneKey { customer: customer().id(), replayed: None };
    let lane = Lane { key, next_seq: 2, attempts: 1, due_at: now() };
    let record = DeliveryRecord {
        cursor: 2,
        lanes: vec![lane],
        closed: vec![LaneKey { replayed: Some(1), ..key }],
        attempts: vec![attempt()],
        failing_since: None,
        disabled: Some((DisabledReason::Gone, now())),
        due_at: now(),
    };
    assert!(webhooks.record(&lease, &record)?);
    assert!(webhooks.open_lane(tenant(), id, &Lane::replay(customer().id(), 1, now()))?);
    assert_eq!((webhooks.lanes(tenant(), id, now(), 10)?.len(), webhooks.first_in_lanes(tenant(), id)?), (2, Some(2)));
    assert!(webhooks.rewind(tenant(), id, 0)?);
    let last = attempt().id;
    webhooks.log(&Attempt { id: AttemptId::new(Uuid::from_u128(9)), ..attempt() })?;
    webhooks.attempts(tenant(), id, None, 10)?;
    webhooks.attempts(tenant(), id, Some(last), 10)?;
    let outdated = webhooks.outdated_attempts(&[tenant()], last, 1, 10)?;
    assert_eq!(outdated.len(), 1);
    webhooks.delete_attempts(&outdated)?;
    assert!(webhooks.delete(tenant(), id)?);
    Ok(())
}

fn endpoint() -> Endpoint {
    let settings = EndpointSettings {
        url: EndpointUrl::parse("https://example.com", false).expect("a URL"),
        events: EventTypes::ALL,
        description: None,
        form: PayloadForm::Thin,
    };
    Endpoint::create(tenant(), EndpointId::new(Uuid::nil()), settings, EndpointSecret::new(&[1; 32]), now())
}

fn attempt() -> Attempt {
    Attempt {
        id: AttemptId::new(Uuid::from_u128(1)),
        tenant: tenant(),
        endpoint: endpoint().id,
        event: EventId::at(1, [0; 8]),
        customer: None,
        number: 1,
        outcome: AttemptOutcome::Delivered,
        status: Some(204),
        duration: Duration::ZERO,
        answer: None,
        error: None,
        at: now(),
    }
}

const LIFETIME: Duration = Duration::from_mins(1);

fn reply() -> SavedReply {
    let digest = Digest([0; 32]);
    SavedReply {
        key: ReplyKey { tenant: tenant(), digest },
        fingerprint: digest,
        customer: None,
        outcome: String::new(),
        created_at: now(),
        expires_at: now().plus(LIFETIME),
    }
}

fn call_merchants(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let merchant = Merchant {
        id: tenant().merchant,
        name: MerchantName::parse("M").expect("a name"),
        created_at: now(),
        disabled_at: None,
    };
    unit_of_work.merchants().insert(&merchant)?;
    unit_of_work.merchants().find(merchant.id)?;
    // The first page of merchants is left out: it has no condition, so its plan is a scan.
    unit_of_work.merchants().list(Some(merchant.id), 10)?;
    unit_of_work.merchants().search("m", Some(merchant.id), 10)?;
    unit_of_work.merchants().disabled(&[merchant.id, merchant.id])?;
    unit_of_work.merchants().lock(merchant.id)?;
    unit_of_work.merchants().update(&merchant)?;
    Ok(())
}

/// The first pages are left out here, too.
fn call_operators(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let operator = Operator {
        id: OperatorId::new(Uuid::nil()),
        name: Name::parse("Ada").expect("a name"),
        role: Role::Admin,
        digest: Digest([7; 32]),
        created_at: now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    unit_of_work.operators().insert(&operator)?;
    unit_of_work.operators().find(&operator.digest)?;
    unit_of_work.operators().list(Some(operator.id), 10)?;
    unit_of_work.operators().revoke(operator.id, now())?;
    unit_of_work.operators().record_use(operator.id, now())?;
    let entry = LogEntry {
        id: LogEntryId::new(Uuid::nil()),
        operation: Operation::COMMAND_LINE,
        action: Action::OperatorCreated,
        target: Target::Operator(operator.id),
        created_at: now(),
    };
    unit_of_work.operators().log(&entry)?;
    unit_of_work.operators().entries(Some(LogEntryId::new(Uuid::max())), 10)?;
    unit_of_work.operators().delete_entries(LogEntryId::new(Uuid::max()), 10)?;
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
        successor: None,
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

/// The customer as it is stored, which may have been changed by an earlier call.
fn stored(unit_of_work: &mut dyn UnitOfWork) -> Result<Customer, StoreError> {
    let key = CustomerKey { tenant: tenant(), customer: CustomerRef::Id(customer().id()) };
    Ok(unit_of_work.customers().find(CustomerState::Live, &[key])?.remove(0).expect("a stored customer"))
}

fn change(unit_of_work: &mut dyn UnitOfWork, edit: impl FnOnce(&Customer) -> CustomerEdit) -> Result<(), StoreError> {
    let before = stored(unit_of_work)?;
    let after = before.changed(edit(&before), now()).expect("no metadata");
    assert_eq!(unit_of_work.customers().write(&[Write::change(before, after)])?, [Written::Done]);
    Ok(())
}

/// The calls that any request may make.
fn call_hot_customers(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let customer = customer();
    // The first may be stored already. The second is never stored, because the first has its identifiers.
    let twin_id = CustomerId::new(Uuid::from_u128(7));
    let twin = Customer::register(tenant(), twin_id, customer.profile().clone(), EmailUse::Exclusive, now());
    unit_of_work.customers().write(&[Write::create(customer.clone()), Write::create(twin)])?;
    let by_external_id = CustomerRef::ExternalId(ExternalId::parse("ada").expect("an external identifier"));
    let keys =
        [CustomerRef::Id(customer.id()), by_external_id].map(|customer| CustomerKey { tenant: tenant(), customer });
    unit_of_work.customers().find(CustomerState::Live, &keys)?;
    let name = |before: &Customer| Name::parse(format!("Version {}", before.version())).expect("a name");
    change(unit_of_work, |before| CustomerEdit { name: Edit::Set(name(before)), ..CustomerEdit::default() })?;
    for email in ["eda@example.com", "ada@example.com"] {
        let email = Email::parse(email).expect("an address");
        change(unit_of_work, |_| CustomerEdit { email: Edit::Set(email), ..CustomerEdit::default() })?;
    }
    let key = SubscriptionKey { customer: keys[0].clone(), id: subscription(1).id };
    let (customer, before) = unit_of_work.subscriptions().find(&[key])?.remove(0).expect("a stored customer");
    let after = subscription(before.as_ref().map_or(1, |before| before.version + 1));
    let id = customer.id();
    let write = Write::record(customer, SubscriptionWrite { before, after });
    assert_eq!(unit_of_work.customers().write(&[write])?, [Written::Done]);
    unit_of_work.api_keys().find(&[Digest([0; 32])])?;
    unit_of_work.subscriptions().current(&[(tenant(), id)])?;
    unit_of_work.replies().save(&[reply()])?;
    unit_of_work.replies().find(&[reply().key], now())?;
    unit_of_work.replies().of_customer(tenant(), Some(id), None, 10)?;
    unit_of_work.replies().of_customer(tenant(), None, Some(reply().key.digest), 10)?;
    Ok(())
}

const STATES: [CustomerState; 5] =
    [CustomerState::Live, CustomerState::Active, CustomerState::Archived, CustomerState::Deleted, CustomerState::Any];

fn call_other_customers(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let email_key = Some("ada@example.com".to_owned());
    let external_id = Some(ExternalId::parse("ada").expect("an identifier"));
    let metadata = vec![MetadataCondition { key: "tier".to_owned(), value: "gold".to_owned() }];
    for state in STATES {
        let filters = [
            state.into(),
            CustomerFilter { state, email_key: email_key.clone(), ..CustomerFilter::default() },
            CustomerFilter { state, external_id: external_id.clone(), ..CustomerFilter::default() },
            CustomerFilter { state, created_after: Some(now()), ..CustomerFilter::default() },
            CustomerFilter { state, created_before: Some(now()), ..CustomerFilter::default() },
            CustomerFilter { state, updated_after: Some(now()), ..CustomerFilter::default() },
            CustomerFilter { state, metadata: metadata.clone(), ..CustomerFilter::default() },
        ];
        for filter in &filters {
            list(unit_of_work, filter)?;
        }
    }
    unit_of_work.customers().count(tenant(), &CustomerFilter::default(), 10)?;
    for state in STATES {
        for created_after in [None, Some(now())] {
            let search = SearchTerm::parse("example").ok();
            list(unit_of_work, &CustomerFilter { state, created_after, search, ..CustomerFilter::default() })?;
        }
    }
    unit_of_work.customers().index_for_search(&[tenant()], 10).map(drop)
}

fn list(unit_of_work: &mut dyn UnitOfWork, filter: &CustomerFilter) -> Result<(), StoreError> {
    for order in [ListOrder::Descending, ListOrder::Ascending] {
        for after in [None, Some(Place::from(&customer()))] {
            let first = CustomerQuery::newest(tenant(), 10);
            // One row, so that the place of the last row is found, and used.
            let query = CustomerQuery { filter: filter.clone(), order, after, max_rows: 1, ..first };
            unit_of_work.customers().list(&query)?;
        }
    }
    Ok(())
}

fn subscription(version: i64) -> Subscription {
    Subscription {
        id: SubscriptionId::parse("s").expect("a name"),
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

fn call_subscriptions(unit_of_work: &mut dyn UnitOfWork) -> Result<(), StoreError> {
    let cursor = SubscriptionCursor { started_at: now(), id: subscription(1).id };
    unit_of_work.subscriptions().list(tenant(), customer().id(), None, 10)?;
    unit_of_work.subscriptions().list(tenant(), customer().id(), Some(&cursor), 10)?;
    Ok(())
}

/// The only reads of a tenant's table without its tenant: the key with a digest, the tenant of a key, and the webhook endpoints
/// that are due, of which workers deliver to those of all tenants. The log of each of these is that of its own tenant.
const WITHOUT_A_TENANT: [&str; 5] = [
    "FROM api_keys WHERE (api_keys.digest = ?)",
    "FROM api_keys WHERE (api_keys.id = ?)",
    "FROM webhook_endpoints WHERE webhook_endpoints.status = ? AND webhook_endpoints.due_at <= ?",
    "FROM feed_heads WHERE feed_heads.merchant_id = webhook_endpoints.merchant_id \
     AND feed_heads.environment = webhook_endpoints.environment",
    "FROM webhook_lanes WHERE webhook_lanes.merchant_id = webhook_endpoints.merchant_id \
     AND webhook_lanes.environment = webhook_endpoints.environment",
];

/// The statements about a document alone.
const DOCUMENT_STATEMENTS: [&str; 3] = [
    "SELECT coalesce(max(id), 0) + 1 FROM customers_search_docsize",
    "INSERT INTO customers_search (rowid, hashes) VALUES (?, ?)",
    "DELETE FROM customers_search WHERE rowid = ?",
];

/// How SQLite says that it asks the full-text table, and that it looks for the end of its documents.
const DOCUMENTS: [&str; 2] = ["SCAN customers_search VIRTUAL TABLE INDEX ", "SEARCH customers_search_docsize"];

fn is_of_documents(step: &str) -> bool {
    DOCUMENTS.iter().any(|beginning| step.starts_with(beginning))
}

#[test]
fn every_statement_names_the_tenant_of_each_table_that_it_mentions() {
    let (_, statements) = all_statements();
    let mut mentions = 0;
    // A document has no tenant of its own: it is found by its words, which are the tenant's, or by the row of its customer.
    let of_document = |sql: &&String| DOCUMENT_STATEMENTS.iter().any(|statement| sql.starts_with(statement));
    for sql in statements.iter().filter(|sql| !of_document(sql)) {
        let sql = WITHOUT_A_TENANT.iter().fold(sql.replace('`', ""), |sql, exception| sql.replace(exception, ""));
        let count = |what: &str, of: &str| sql.matches(&format!("{what}{of}")).count();
        let tables = [
            "api_keys",
            "customers",
            "events",
            "feed_floors",
            "feed_heads",
            "imports",
            "replies",
            "subscriptions",
            "upload_parts",
            "uploads",
            "webhook_attempts",
            "webhook_endpoints",
            "webhook_lanes",
        ];
        let mentioned: usize = tables.map(|table| count("FROM ", table) + count("UPDATE ", table)).iter().sum();
        // A SELECT or an UPDATE names the tenant in its conditions, an INSERT in its columns.
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
        assert!(
            !plan.iter().filter(|step| step.starts_with("SCAN") && !is_of_documents(step)).any(|step| ![
                "SCAN CONSTANT ROW",
                "SCAN found"
            ]
            .contains(&step.as_str())),
            "{sql}\n{plan:#?}"
        );
    }
}

#[test]
fn customers_are_looked_up_by_all_columns_of_an_index() {
    let (mut connection, statements) = all_statements();
    let plans: Vec<Vec<String>> = statements.iter().map(|sql| plan(&mut connection, sql)).collect();
    let of_customers = |step: &&String| !is_of_documents(step) && step.contains("customers") || step.contains(" o ");
    for step in plans.concat().iter().filter(of_customers) {
        let ends = ["email_key=?", "external_id=?", "id=?", "id<?", "id>?", "created_at<?", "created_at>?"];
        let periods = ["created_at>? AND created_at<?", "(created_at,id)<(?,?)", "(created_at,id)>(?,?)"];
        let both = ["id>? AND id<?", "email_key=? AND id<?", "email_key=? AND id>?", "email_key=? AND id>? AND id<?"];
        let mut all = ends.iter().chain(&periods).chain(&both);
        let is_whole = all.any(|end| step.ends_with(&format!("AND {end})")));
        let is_whole = is_whole || step.ends_with("customers_search_id (search_id=?)");
        let is_page = step.ends_with("(merchant_id=? AND environment=?)");
        assert!(is_whole || is_page, "{step}");
    }
}

#[test]
fn only_workers_look_for_webhook_endpoints_by_time() {
    let (mut connection, statements) = all_statements();
    let mut plans = statements.iter().filter(|sql| sql.contains("webhook_endpoints")).map(|sql| {
        let plan = plan(&mut connection, sql).concat();
        (sql.contains("webhook_endpoints.due_at <= ?"), plan.contains("webhook_endpoints_due"), plan)
    });
    assert!(plans.all(|(is_of_worker, is_by_time, plan)| {
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        is_of_worker == is_by_time
    }));
}

#[test]
fn no_list_is_sorted_and_each_is_read_by_the_index_with_its_order() {
    let (mut connection, statements) = all_statements();
    let lists: Vec<&String> = statements.iter().filter(|sql| sql.contains(" ORDER BY customers.")).collect();
    assert!(lists.len() >= 100, "{lists:#?}");
    for sql in lists {
        let plan = plan(&mut connection, sql).concat();
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        let index = if sql.contains("email_key = ?") {
            "customers_email_shared"
        } else if sql.contains("ORDER BY customers.created_at") {
            "customers_created"
        } else if sql.contains("archived_at IS NOT NULL") {
            "customers_archived"
        } else {
            "sqlite_autoindex_customers_1"
        };
        assert!(
            plan.contains(&format!("USING INDEX {index} ")) || plan.contains(&format!("COVERING INDEX {index} ")),
            "{sql}: {plan}"
        );
    }
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
    // The customer is stored now, so the same statements run, and one more for the creation that is refused; and without those
    // for its event, of which there are three, and the one that has added it to the index for searches.
    let second = trace(&mut connection, call_hot_customers);
    assert_eq!((second.run.len(), second.kept.len()), (first.run.len() - 3, 0), "{second:#?}");
}

/// If a plan depends on a bound value, SQLite prepares the statement again for each value, which takes longer than
/// running it. SQLite counts how often it does that (`reprep`).
#[test]
fn no_statement_is_prepared_again_for_a_bound_value() {
    let mut connection = migrated();
    trace(&mut connection, call_everything);
    trace(&mut connection, call_hot_customers);
    let counts = "SELECT sql, run, reprep FROM sqlite_stmt WHERE sql NOT LIKE '%migrations%'";
    let counts: Vec<Prepared> = diesel::sql_query(counts).load(&mut connection).expect("SQLite counts");
    assert!(counts.iter().any(|prepared| prepared.run > 1), "{counts:#?}");
    let again: Vec<&str> =
        counts.iter().filter(|prepared| prepared.reprep > 0).map(|prepared| &*prepared.sql).collect();
    assert!(again.is_empty(), "{again:#?}");
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
