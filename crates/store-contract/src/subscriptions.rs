//! What a billing engine told of customers' subscriptions.

use std::sync::Arc;

use roster_application::ports::{Store, StoreError, SubscriptionCursor};
use roster_domain::{Customer, CustomerId, PlanId, Subscription, SubscriptionStatus, Tenant, Timestamp};

use crate::actions::{create, insert, new_tenant, put, start, walk};
use crate::samples::{Samples, at, name, other_environment, subscription, subscription_id};

pub fn a_subscription_comes_back_as_it_was_told(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let hard = "it's \"a\" \\ {plan, NULL} é e\u{301} 名前 😀/:%_ ";
    let first = Timestamp::parse("0000-01-01T00:00:00Z").expect("a time");
    let last = Timestamp::parse("9999-12-31T23:59:59.999Z").expect("a time");
    let all_set = Subscription {
        plan_id: PlanId::parse(hard).ok(),
        name: Some(name("its name")),
        status: SubscriptionStatus::Cancelled,
        cancelled_at: Some(at(2)),
        created_at: at(3),
        updated_at: at(4),
        ..subscription(hard, at(1))
    };
    let extreme =
        Subscription { name: Some(name("")), cancelled_at: Some(first), ..subscription(&"😀".repeat(256), last) };
    let bare = subscription("bare", first);
    for told in [&all_set, &extreme, &bare] {
        put(store, &customer, told);
    }
    for told in [all_set, extreme, bare] {
        assert_eq!(find(store, &customer, told.id.as_str()), Some(told));
    }
    assert_eq!(find(store, &customer, "unknown"), None);
}

pub fn what_is_told_later_takes_the_place_of_what_was_told_before(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let before = Subscription { plan_id: PlanId::parse("gold").ok(), ..subscription("s", at(1)) };
    let after = Subscription {
        name: Some(name("Silver")),
        status: SubscriptionStatus::Cancelled,
        cancelled_at: Some(at(5)),
        updated_at: at(6),
        ..subscription("s", at(2))
    };
    for told in [&before, &after, &before] {
        put(store, &customer, told);
        assert_eq!(list(store, &customer, None, 10), std::slice::from_ref(told));
    }
}

pub fn a_subscription_belongs_to_one_customer_of_one_tenant(store: &Arc<dyn Store>) {
    let (samples, customer) = start_with_customer(store);
    let other = samples.customer(customer.tenant()).build();
    create(store, &[&other]);
    put(store, &customer, &subscription("s", at(1)));
    assert_eq!(find(store, &other, "s"), None);
    put(store, &other, &subscription("s", at(2)));
    assert_eq!(find(store, &customer, "s"), Some(subscription("s", at(1))));
    assert_eq!(list(store, &other, None, 10), [subscription("s", at(2))]);
}

pub fn another_tenant_never_sees_a_subscription(store: &Arc<dyn Store>) {
    let (samples, customer) = start_with_customer(store);
    put(store, &customer, &subscription("s", at(1)));
    for stranger in [other_environment(customer.tenant()), new_tenant(store, &samples)] {
        let seen: Result<_, StoreError> = store.direct(|uow| {
            let subscriptions = uow.subscriptions();
            Ok((
                subscriptions.find(stranger, customer.id(), &subscription_id("s"))?,
                subscriptions.list(stranger, customer.id(), None, 10)?,
                subscriptions.current(&[(stranger, customer.id())])?,
            ))
        });
        assert_eq!(seen.expect("answers"), (None, vec![], vec![None]));
    }
}

pub fn a_subscription_of_nobody_is_refused(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let nobody = CustomerId::new(samples.uuid());
    let refused: Result<_, StoreError> =
        store.direct(|uow| uow.subscriptions().put(tenant, nobody, &subscription("s", at(1))));
    assert!(matches!(refused, Err(StoreError::Internal { .. })), "{refused:?}");
}

pub fn subscriptions_stand_last_started_first_and_by_their_bytes_when_started_together(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let told = told_in_order();
    for one in told.iter().rev() {
        put(store, &customer, one);
    }
    assert_eq!(list(store, &customer, None, 100), told);
}

pub fn pages_of_subscriptions_of_any_size_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let told = told_in_order();
    for one in &told {
        put(store, &customer, one);
    }
    for limit in [1, 2, 5, told.len(), told.len() + 1] {
        let seen = walk(limit, |last| list(store, &customer, last.map(cursor).as_ref(), limit));
        assert_eq!(seen, told, "limit {limit}");
    }
}

pub fn a_page_of_subscriptions_goes_on_behind_one_that_moved(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    let [third, second, first] = [3, 2, 1].map(|millis| subscription(&format!("s{millis}"), at(millis)));
    for one in [&first, &second, &third] {
        put(store, &customer, one);
    }
    let after = cursor(&second);
    put(store, &customer, &subscription("s2", at(9)));
    assert_eq!(list(store, &customer, Some(&after), 10), [first]);
}

pub fn the_current_subscription_is_the_active_one_that_started_last(store: &Arc<dyn Store>) {
    let (samples, customer) = start_with_customer(store);
    let cancelled = |id, millis| Subscription { status: SubscriptionStatus::Cancelled, ..subscription(id, at(millis)) };
    let none = samples.customer(customer.tenant()).build();
    let over = samples.customer(customer.tenant()).build();
    create(store, &[&none, &over]);
    put(store, &over, &cancelled("over", 1));
    for one in [subscription("old", at(1)), subscription("new", at(2)), cancelled("newest", 3)] {
        put(store, &customer, &one);
    }
    assert_eq!(current(store, &[&over, &customer, &none].map(key)), [None, Some(subscription("new", at(2))), None]);
}

pub fn of_subscriptions_that_started_together_the_greatest_id_is_current(store: &Arc<dyn Store>) {
    let (_, customer) = start_with_customer(store);
    for id in ["B", "a", "Z", "aa", "_", "10", "9"] {
        put(store, &customer, &subscription(id, at(1)));
    }
    assert_eq!(current(store, &[key(&customer)]), [Some(subscription("aa", at(1)))]);
    put(store, &customer, &subscription("é", at(1)));
    assert_eq!(current(store, &[key(&customer)]), [Some(subscription("é", at(1)))]);
}

pub fn current_subscriptions_stand_in_the_order_of_the_customers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 300);
    insert(store, &customers);
    for (customer, millis) in customers.iter().step_by(30).zip(1..) {
        put(store, customer, &subscription("s", at(millis)));
    }
    let nobody = CustomerId::new(samples.uuid());
    let mut asked: Vec<_> = customers.iter().map(key).rev().collect();
    asked.extend([(tenant, nobody), key(&customers[0]), key(&customers[0])]);
    let mut expected = vec![None; 303];
    for (place, millis) in (0..300).step_by(30).zip(1..) {
        expected[299 - place] = Some(subscription("s", at(millis)));
    }
    expected[301] = Some(subscription("s", at(1)));
    expected[302] = Some(subscription("s", at(1)));
    assert_eq!(current(store, &asked), expected);
    assert_eq!(current(store, &[]), []);
}

pub fn of_several_tenants_each_sees_its_own_current_subscriptions(store: &Arc<dyn Store>) {
    let (samples, ada) = start_with_customer(store);
    let eda = samples.customer(new_tenant(store, &samples)).build();
    create(store, &[&eda]);
    put(store, &ada, &subscription("of ada", at(1)));
    put(store, &eda, &subscription("of eda", at(2)));
    let strangers = [(ada.tenant(), eda.id()), (eda.tenant(), ada.id()), (other_environment(ada.tenant()), ada.id())];
    let asked = [&strangers[..], &[key(&eda), key(&ada)]].concat();
    assert_eq!(
        current(store, &asked),
        [None, None, None, Some(subscription("of eda", at(2))), Some(subscription("of ada", at(1)))]
    );
}

/// A customer that is stored, of whom subscriptions may be told.
fn start_with_customer(store: &Arc<dyn Store>) -> (Samples, Customer) {
    let (samples, tenant) = start(store);
    let customer = samples.customer(tenant).build();
    create(store, &[&customer]);
    (samples, customer)
}

/// Subscriptions in the order of a list: by start, and by the bytes of the id where they started together.
fn told_in_order() -> Vec<Subscription> {
    let together = ["名", "é", "e\u{301}", "b", "aa", "a", "_", "Z", "9", "10", "-"];
    let mut told = vec![subscription("0 latest", at(7))];
    told.extend(together.map(|id| subscription(id, at(5))));
    told.push(subscription("zzz", Timestamp::parse("1969-12-31T23:59:59.999Z").expect("a time")));
    told
}

fn cursor(subscription: &Subscription) -> SubscriptionCursor {
    SubscriptionCursor { started_at: subscription.started_at, id: subscription.id.clone() }
}

fn find(store: &Arc<dyn Store>, customer: &Customer, id: &str) -> Option<Subscription> {
    store
        .direct(|uow| uow.subscriptions().find(customer.tenant(), customer.id(), &subscription_id(id)))
        .expect("an answer")
}

fn list(
    store: &Arc<dyn Store>,
    customer: &Customer,
    after: Option<&SubscriptionCursor>,
    limit: usize,
) -> Vec<Subscription> {
    store.direct(|uow| uow.subscriptions().list(customer.tenant(), customer.id(), after, limit)).expect("a page")
}

fn key(customer: &Customer) -> (Tenant, CustomerId) {
    (customer.tenant(), customer.id())
}

fn current(store: &Arc<dyn Store>, customers: &[(Tenant, CustomerId)]) -> Vec<Option<Subscription>> {
    store.direct(|uow| uow.subscriptions().current(customers)).expect("an answer")
}
