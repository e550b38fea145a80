//! What a billing engine reported of customers' subscriptions.

use std::slice;
use std::sync::Arc;

use roster_application::ports::{
    CustomerKey, CustomerRef, Store, StoreError, SubscriptionCursor, SubscriptionKey, Written,
};
use roster_domain::{Customer, CustomerId, Metadata, PlanId, Subscription, SubscriptionStatus, Tenant, Timestamp};

use crate::actions::{
    by_external_id, by_id, change, create, delete, find_any, insert, list as list_customers, new_tenant, record, start,
    walk, write_all,
};
use crate::samples::{
    Samples, at, change_of, creation, deletion, metadata, name, other_environment, renamed, renamed_subscription,
    report, subscription, subscription_id,
};

pub fn a_subscription_comes_back_as_it_was_reported(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let hard = "it's \"a\" \\ {plan, NULL} é e\u{301} 名前 😀/:%_ ";
    let first = Timestamp::parse("0000-01-01T00:00:00Z").expect("a time");
    let last = Timestamp::parse("9999-12-31T23:59:59.999Z").expect("a time");
    let all_set = Subscription {
        plan_id: PlanId::parse(hard).ok(),
        name: Some(name("its name")),
        status: SubscriptionStatus::Cancelled,
        cancelled_at: Some(at(2)),
        details: Some(metadata(r#"{"z":1.10,"a":{"n":9007199254740993,"s":"\" ' é 😀"},"plan":null}"#)),
        version: 7,
        created_at: at(3),
        updated_at: at(4),
        ..subscription(hard, at(1))
    };
    let extreme = Subscription {
        name: Some(name("")),
        cancelled_at: Some(first),
        details: Some(metadata(&format!(r#"{{"k":"{}"}}"#, "x".repeat(Metadata::MAX_BYTES - r#"{"k":""}"#.len())))),
        version: i64::MAX,
        ..subscription(&"😀".repeat(256), last)
    };
    let bare = subscription("bare", first);
    let empty = Subscription { details: Some(Metadata::default()), ..subscription("empty", first) };
    let mut all = vec![all_set, extreme, bare, empty];
    all.extend(SubscriptionStatus::ALL.map(|status| Subscription { status, ..subscription(status.as_str(), at(1)) }));
    report_all(store, &customer, &all);
    for reported in all {
        assert_eq!(find(store, &customer, reported.id.as_str()), Some(reported));
    }
    assert_eq!(find(store, &customer, "unknown"), None);
}

pub fn a_later_report_replaces_an_earlier_one(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let details = Some(metadata(r#"{"a":1}"#));
    let first = Subscription { plan_id: PlanId::parse("gold").ok(), details, ..subscription("s", at(1)) };
    let second = Subscription {
        name: Some(name("Silver")),
        status: SubscriptionStatus::Cancelled,
        cancelled_at: Some(at(5)),
        version: 2,
        updated_at: at(6),
        ..subscription("s", at(2))
    };
    let third = Subscription { version: 3, ..first.clone() };
    let mut before = None;
    for reported in [&first, &second, &third] {
        assert_eq!(record(store, &customer, before, reported), Written::Done);
        assert_eq!(list(store, &customer, None, 10), slice::from_ref(reported));
        before = Some(reported);
    }
}

pub fn a_report_leaves_its_customer_as_it_was(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&ada]);
    report_all(store, &ada, &[subscription("s", at(1))]);
    assert_eq!(find_any(store, &ada).as_ref(), Some(&ada));
    assert_eq!(change(store, &ada, &renamed(&ada, "Ada")), Written::Done);
}

pub fn a_subscription_belongs_to_one_customer_of_one_tenant(store: &Arc<dyn Store>) {
    let (samples, customer) = start_with_customer(store);
    let other = samples.customer(customer.tenant()).build();
    create(store, &[&other]);
    report_all(store, &customer, &[subscription("s", at(1))]);
    assert_eq!(find(store, &other, "s"), None);
    report_all(store, &other, &[subscription("s", at(2))]);
    assert_eq!(find(store, &customer, "s"), Some(subscription("s", at(1))));
    assert_eq!(list(store, &other, None, 10), [subscription("s", at(2))]);
}

pub fn another_tenant_never_sees_a_subscription(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customer = samples.customer(tenant).external_id("ada").build();
    create(store, &[&customer]);
    report_all(store, &customer, &[subscription("s", at(1))]);
    for stranger in [other_environment(tenant), new_tenant(store, &samples)] {
        let by_id = CustomerKey { tenant: stranger, customer: CustomerRef::Id(customer.id()) };
        let keys = [by_id, by_external_id(stranger, "ada")].map(|customer| key(customer, "s"));
        let seen: Result<_, StoreError> = store.direct(|uow| {
            let subscriptions = uow.subscriptions();
            Ok((
                subscriptions.find(&keys)?,
                subscriptions.list(stranger, customer.id(), None, 10)?,
                subscriptions.current(&[(stranger, customer.id())])?,
            ))
        });
        assert_eq!(seen.expect("answers"), (vec![None, None], vec![], vec![None]));
    }
}

pub fn customers_are_found_with_a_subscription_in_the_order_of_the_keys(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    let eda = samples.customer(new_tenant(store, &samples)).external_id("eda").build();
    let gone = samples.customer(tenant).external_id("gone").build();
    let missing = samples.customer(tenant).build();
    create(store, &[&ada, &eda, &gone]);
    let [gold, silver] = ["gold", "silver"].map(|id| subscription(id, at(1)));
    report_all(store, &ada, &[gold.clone(), silver.clone()]);
    report_all(store, &gone, slice::from_ref(&gold));
    delete(store, &gone);
    let keys = [
        key(by_external_id(tenant, "ada"), "silver"),
        key(by_id(&missing), "gold"),
        key(by_id(&eda), "gold"),
        key(by_id(&ada), "gold"),
        key(by_id(&ada), "silver"),
        key(by_id(&gone), "gold"),
        key(by_external_id(tenant, "gone"), "gold"),
        key(by_external_id(tenant, "eda"), "gold"),
        key(by_external_id(eda.tenant(), "eda"), "gold"),
        key(by_id(&ada), "Gold"),
        key(by_id(&ada), "gold"),
    ];
    let found = [
        Some((ada.clone(), Some(silver.clone()))),
        None,
        Some((eda.clone(), None)),
        Some((ada.clone(), Some(gold.clone()))),
        Some((ada.clone(), Some(silver))),
        None,
        None,
        None,
        Some((eda, None)),
        Some((ada.clone(), None)),
        Some((ada, Some(gold))),
    ];
    assert_eq!(find_all(store, &keys), found);
    assert_eq!(find_all(store, &[]), []);
}

pub fn three_hundred_subscriptions_are_found_at_once(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 300);
    insert(store, &customers);
    for (customer, millis) in customers.iter().step_by(30).zip(1..) {
        report_all(store, customer, &[subscription("s", at(millis))]);
    }
    let keys: Vec<_> = customers.iter().map(|customer| key(by_id(customer), "s")).collect();
    let mut expected: Vec<_> = customers.into_iter().map(|customer| Some((customer, None))).collect();
    for (found, millis) in expected.iter_mut().step_by(30).zip(1..) {
        let customer = found.take().map(|(customer, _)| customer);
        *found = customer.map(|customer| (customer, Some(subscription("s", at(millis)))));
    }
    assert_eq!(find_all(store, &keys), expected);
}

pub fn a_report_with_a_stale_subscription_version_is_stale(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let first = subscription("s", at(1));
    let second = renamed_subscription(&first, "second");
    let third = renamed_subscription(&second, "third");
    assert_eq!(record(store, &customer, Some(&first), &second), Written::Stale);
    assert_eq!(list(store, &customer, None, 10), []);
    report_all(store, &customer, slice::from_ref(&first));
    assert_eq!(record(store, &customer, Some(&first), &second), Written::Done);
    for (before, after) in [(None, &first), (Some(&first), &second), (Some(&third), &third)] {
        assert_eq!(record(store, &customer, before, after), Written::Stale);
        assert_eq!(list(store, &customer, None, 10), slice::from_ref(&second));
    }
}

pub fn a_report_of_a_changed_customer_is_stale(store: &Arc<dyn Store>) {
    let (_, before) = start_with_customer(store);
    let [first, other] = ["s", "other"].map(|id| subscription(id, at(1)));
    report_all(store, &before, slice::from_ref(&first));
    let after = renamed(&before, "Ada");
    assert_eq!(change(store, &before, &after), Written::Done);
    let second = renamed_subscription(&first, "second");
    assert_eq!(record(store, &before, Some(&first), &second), Written::Stale);
    assert_eq!(record(store, &before, None, &other), Written::Stale);
    assert_eq!(list(store, &before, None, 10), slice::from_ref(&first));
    assert_eq!(find_any(store, &before).as_ref(), Some(&after));
    assert_eq!(record(store, &after, Some(&first), &second), Written::Done);
}

pub fn a_report_of_a_deleted_customer_is_stale(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let first = subscription("s", at(1));
    report_all(store, &customer, slice::from_ref(&first));
    delete(store, &customer);
    let second = renamed_subscription(&first, "second");
    assert_eq!(record(store, &customer, Some(&first), &second), Written::Stale);
    assert_eq!(record(store, &customer, None, &subscription("other", at(1))), Written::Stale);
    assert_eq!(list(store, &customer, None, 10), [first]);
}

pub fn a_report_of_a_missing_customer_is_stale(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let missing = samples.customer(tenant).build();
    assert_eq!(record(store, &missing, None, &subscription("s", at(1))), Written::Stale);
    assert_eq!(list(store, &missing, None, 10), []);
    assert_eq!(find_any(store, &missing), None);
}

pub fn several_reports_of_one_subscription_fit_in_one_batch(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let first = subscription("s", at(1));
    let second = renamed_subscription(&first, "second");
    let third = renamed_subscription(&second, "third");
    let other = subscription("other", at(1));
    let batch = [
        report(&customer, None, &first),
        report(&customer, Some(&first), &second),
        report(&customer, None, &other),
        report(&customer, None, &first),
        report(&customer, Some(&first), &renamed_subscription(&first, "late")),
        report(&customer, Some(&second), &third),
    ];
    let results = [Written::Done, Written::Done, Written::Done, Written::Stale, Written::Stale, Written::Done];
    assert_eq!(write_all(store, &batch), results);
    assert_eq!(list(store, &customer, None, 10), [third, other]);
}

pub fn reports_fit_in_one_batch_with_other_writes(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda, ida] = ["ada", "eda", "ida"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda, &ida]);
    let new = samples.customer(tenant).external_id("ida").build();
    let changed = renamed(&eda, "Eda");
    let reported = subscription("s", at(1));
    let batch = [
        report(&ada, None, &reported),
        change_of(&eda, &changed),
        report(&eda, None, &reported),
        report(&changed, None, &reported),
        report(&ida, None, &reported),
        deletion(&ida),
        report(&ida, Some(&reported), &renamed_subscription(&reported, "late")),
        creation(&new),
        report(&ada, Some(&reported), &renamed_subscription(&reported, "second")),
    ];
    let (done, stale) = (Written::Done, Written::Stale);
    let results = [&done, &done, &stale, &done, &done, &done, &stale, &done, &done];
    assert!(write_all(store, &batch).iter().eq(results));
    assert_eq!(list(store, &ada, None, 10), [renamed_subscription(&reported, "second")]);
    assert_eq!(list(store, &eda, None, 10), slice::from_ref(&reported));
    assert_eq!(list(store, &ida, None, 10), [reported]);
    assert_eq!(list(store, &new, None, 10), []);
    assert_eq!(list_customers(store, tenant, None, 10), [new, changed, ada]);
}

pub fn a_customer_and_its_subscriptions_may_be_written_in_one_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let holder = samples.customer(tenant).external_id("ada").build();
    create(store, &[&holder]);
    let first = samples.customer(tenant).build();
    let second = renamed(&first, "Eda");
    let refused = samples.customer(tenant).external_id("ada").build();
    let [gold, silver] = ["gold", "silver"].map(|id| subscription(id, at(1)));
    let batch = [
        report(&first, None, &gold),
        creation(&first),
        report(&first, None, &gold),
        change_of(&first, &second),
        report(&second, None, &silver),
        report(&second, Some(&gold), &renamed_subscription(&gold, "Gold")),
        creation(&refused),
        report(&refused, None, &gold),
    ];
    let written = write_all(store, &batch);
    assert!(matches!(written[6], Written::Taken(_)), "{written:?}");
    let done: Vec<_> = written.iter().map(|result| *result == Written::Done).collect();
    assert_eq!(done, [false, true, true, true, true, true, false, false]);
    assert_eq!((&written[0], &written[7]), (&Written::Stale, &Written::Stale));
    assert_eq!(list(store, &first, None, 10), [silver, renamed_subscription(&gold, "Gold")]);
    assert_eq!(find_any(store, &first), Some(second));
    assert_eq!(list(store, &refused, None, 10), []);
}

pub fn subscriptions_are_listed_by_start_and_then_by_the_bytes_of_their_id(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let all = subscriptions_in_order();
    for one in all.iter().rev() {
        report_all(store, &customer, slice::from_ref(one));
    }
    assert_eq!(list(store, &customer, None, 100), all);
}

pub fn pages_of_subscriptions_of_any_size_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let all = subscriptions_in_order();
    report_all(store, &customer, &all);
    for limit in [1, 2, 5, all.len(), all.len() + 1] {
        let seen = walk(limit, |last| list(store, &customer, last.map(cursor).as_ref(), limit));
        assert_eq!(seen, all, "limit {limit}");
    }
}

pub fn a_page_of_subscriptions_continues_after_one_that_moved(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let [third, second, first] = [3, 2, 1].map(|millis| subscription(&format!("s{millis}"), at(millis)));
    report_all(store, &customer, &[first.clone(), second.clone(), third]);
    let after = cursor(&second);
    let moved = Subscription { started_at: at(9), version: 2, ..second.clone() };
    assert_eq!(record(store, &customer, Some(&second), &moved), Written::Done);
    assert_eq!(list(store, &customer, Some(&after), 10), [first]);
}

pub fn the_current_subscription_is_the_active_one_that_started_last(store: &Arc<dyn Store>) {
    let (samples, customer) = start_with_customer(store);
    let cancelled = |id, millis| Subscription { status: SubscriptionStatus::Cancelled, ..subscription(id, at(millis)) };
    let none = samples.customer(customer.tenant()).build();
    let over = samples.customer(customer.tenant()).build();
    create(store, &[&none, &over]);
    report_all(store, &over, &[cancelled("over", 1)]);
    report_all(store, &customer, &[subscription("old", at(1)), subscription("new", at(2)), cancelled("newest", 3)]);
    let asked = [&over, &customer, &none].map(tenant_and_id);
    assert_eq!(current(store, &asked), [None, Some(subscription("new", at(2))), None]);
}

pub fn the_current_subscription_is_active_or_trialing(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, SubscriptionStatus::ALL.len());
    insert(store, &customers);
    let reported = SubscriptionStatus::ALL.map(|status| Subscription { status, ..subscription("s", at(1)) });
    for (customer, subscription) in customers.iter().zip(&reported) {
        report_all(store, customer, slice::from_ref(subscription));
    }
    let asked: Vec<_> = customers.iter().map(tenant_and_id).collect();
    let is_current = |one: &Subscription| {
        matches!(one.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing).then(|| one.clone())
    };
    let expected: Vec<_> = reported.iter().map(is_current).collect();
    assert_eq!(current(store, &asked), expected);
    for (customer, expected) in asked.into_iter().zip(expected) {
        assert_eq!(current(store, &[customer]), [expected]);
    }
}

pub fn of_subscriptions_that_started_together_the_greatest_id_is_current(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    for id in ["B", "a", "Z", "aa", "_", "10", "9"] {
        report_all(store, &customer, &[subscription(id, at(1))]);
    }
    assert_eq!(current(store, &[tenant_and_id(&customer)]), [Some(subscription("aa", at(1)))]);
    report_all(store, &customer, &[subscription("é", at(1))]);
    assert_eq!(current(store, &[tenant_and_id(&customer)]), [Some(subscription("é", at(1)))]);
}

pub fn current_subscriptions_are_in_the_order_of_the_customers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 300);
    insert(store, &customers);
    for (customer, millis) in customers.iter().step_by(30).zip(1..) {
        report_all(store, customer, &[subscription("s", at(millis))]);
    }
    let missing = CustomerId::new(samples.uuid());
    let mut asked: Vec<_> = customers.iter().map(tenant_and_id).rev().collect();
    asked.extend([(tenant, missing), tenant_and_id(&customers[0]), tenant_and_id(&customers[0])]);
    let mut expected = vec![None; 303];
    for (place, millis) in (0..300).step_by(30).zip(1..) {
        expected[299 - place] = Some(subscription("s", at(millis)));
    }
    expected[301] = Some(subscription("s", at(1)));
    expected[302] = Some(subscription("s", at(1)));
    assert_eq!(current(store, &asked), expected);
    assert_eq!(current(store, &[]), []);
}

pub fn several_tenants_each_see_their_own_current_subscriptions(store: &Arc<dyn Store>) {
    let (samples, ada) = start_with_customer(store);
    let eda = samples.customer(new_tenant(store, &samples)).build();
    create(store, &[&eda]);
    report_all(store, &ada, &[subscription("of ada", at(1))]);
    report_all(store, &eda, &[subscription("of eda", at(2))]);
    let strangers = [(ada.tenant(), eda.id()), (eda.tenant(), ada.id()), (other_environment(ada.tenant()), ada.id())];
    let asked = [&strangers[..], &[tenant_and_id(&eda), tenant_and_id(&ada)]].concat();
    assert_eq!(
        current(store, &asked),
        [None, None, None, Some(subscription("of eda", at(2))), Some(subscription("of ada", at(1)))]
    );
}

/// A customer that is stored and has no subscription.
fn start_with_customer(store: &Arc<dyn Store>) -> (Samples, Customer) {
    let (samples, tenant) = start(store);
    let customer = samples.customer(tenant).build();
    create(store, &[&customer]);
    (samples, customer)
}

/// Subscriptions in the order of a list: by start, and by the bytes of the id where they started together.
fn subscriptions_in_order() -> Vec<Subscription> {
    let together = ["名", "é", "e\u{301}", "b", "aa", "a", "_", "Z", "9", "10", "-"];
    let mut all = vec![subscription("0 latest", at(7))];
    all.extend(together.map(|id| subscription(id, at(5))));
    all.push(subscription("zzz", Timestamp::parse("1969-12-31T23:59:59.999Z").expect("a time")));
    all
}

/// Stores new subscriptions of a customer, one after the other.
fn report_all(store: &Arc<dyn Store>, customer: &Customer, subscriptions: &[Subscription]) {
    for one in subscriptions {
        assert_eq!(record(store, customer, None, one), Written::Done);
    }
}

fn cursor(subscription: &Subscription) -> SubscriptionCursor {
    SubscriptionCursor { started_at: subscription.started_at, id: subscription.id.clone() }
}

fn key(customer: CustomerKey, id: &str) -> SubscriptionKey {
    SubscriptionKey { customer, id: subscription_id(id) }
}

fn find_all(store: &Arc<dyn Store>, keys: &[SubscriptionKey]) -> Vec<Option<(Customer, Option<Subscription>)>> {
    store.direct(|uow| uow.subscriptions().find(keys)).expect("an answer")
}

/// A subscription of a live customer.
fn find(store: &Arc<dyn Store>, customer: &Customer, id: &str) -> Option<Subscription> {
    let (found, subscription) = find_all(store, &[key(by_id(customer), id)]).remove(0).expect("a live customer");
    assert_eq!(found, *customer);
    subscription
}

fn list(
    store: &Arc<dyn Store>,
    customer: &Customer,
    after: Option<&SubscriptionCursor>,
    limit: usize,
) -> Vec<Subscription> {
    store.direct(|uow| uow.subscriptions().list(customer.tenant(), customer.id(), after, limit)).expect("a page")
}

fn tenant_and_id(customer: &Customer) -> (Tenant, CustomerId) {
    (customer.tenant(), customer.id())
}

fn current(store: &Arc<dyn Store>, customers: &[(Tenant, CustomerId)]) -> Vec<Option<Subscription>> {
    store.direct(|uow| uow.subscriptions().current(customers)).expect("an answer")
}
