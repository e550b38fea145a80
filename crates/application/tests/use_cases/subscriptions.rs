use roster_application::ports::{CustomerKey, SubscriptionCursor, SubscriptionKey, SubscriptionWrite};
use roster_application::{ListSubscriptionsError, PageSize, Precondition, SubscriptionReport, WriteError};
use roster_domain::{Metadata, PlanId, Subscription, SubscriptionId, SubscriptionStatus, Timestamp};

use crate::service::{Service, by_external_id, by_id, name, sandbox, seen_from, time};

pub fn report(customer: CustomerKey, id: &str) -> SubscriptionReport {
    SubscriptionReport {
        key: SubscriptionKey { customer, id: SubscriptionId::parse(id).expect("an id") },
        plan_id: None,
        name: None,
        status: SubscriptionStatus::Active,
        started_at: None,
        cancelled_at: None,
        details: None,
        precondition: Precondition::default(),
    }
}

fn started(customer: CustomerKey, id: &str, at: &str) -> SubscriptionReport {
    SubscriptionReport { started_at: Some(time(at)), ..report(customer, id) }
}

fn new(written: SubscriptionWrite) -> Subscription {
    assert_eq!((written.before, written.after.version), (None, 1));
    written.after
}

fn replaced(written: SubscriptionWrite) -> Subscription {
    let before = written.before.expect("a subscription that was there");
    assert_eq!(written.after.version, before.version + 1);
    written.after
}

fn ids(subscriptions: &[Subscription]) -> Vec<&str> {
    subscriptions.iter().map(|one| one.id.as_str()).collect()
}

const NOON: &str = "2025-01-15T12:00:00Z";
const LATER: &str = "2025-01-15T12:00:01Z";

#[test]
fn a_second_report_replaces_the_first() {
    let service = Service::start();
    let ada = by_id(&service.register_named("ada"));
    let first = SubscriptionReport {
        plan_id: PlanId::parse("gold").ok(),
        name: Some(name("Gold")),
        details: Some(Metadata::default()),
        ..started(ada.clone(), "s", "2024-01-01T00:00:00Z")
    };
    let subscription = new(service.record(first.clone()).expect("a live customer"));
    assert_eq!((&subscription.plan_id, &subscription.name), (&first.plan_id, &first.name));
    assert_eq!(subscription.details, first.details);
    assert_eq!(subscription.started_at, time("2024-01-01T00:00:00Z"));
    let second = SubscriptionReport {
        status: SubscriptionStatus::Cancelled,
        cancelled_at: Some(time("2024-03-01T00:00:00Z")),
        ..started(ada.clone(), "s", "2024-02-01T00:00:00Z")
    };
    let subscription = replaced(service.record(second.clone()).expect("a live customer"));
    assert_eq!((&subscription.plan_id, &subscription.name), (&None, &None), "what is not reported is not kept");
    assert_eq!(subscription.details, None);
    assert_eq!(subscription.cancelled_at, second.cancelled_at);
    let listed = service.roster.list_subscriptions(&ada, None, PageSize::DEFAULT).expect("a page");
    assert_eq!(listed.items, [subscription]);
}

#[test]
fn a_subscription_started_when_it_was_first_reported_unless_reported_otherwise() {
    let service = Service::start();
    let ada = by_id(&service.register_named("ada"));
    let record = |report| service.record(report).expect("a live customer");
    assert_eq!(new(record(report(ada.clone(), "s"))).started_at, time(NOON));
    service.clock.set(time(LATER));
    assert_eq!(replaced(record(report(ada.clone(), "s"))).started_at, time(NOON));
    let with_start = started(ada.clone(), "s", "2024-01-01T00:00:00Z");
    assert_eq!(replaced(record(with_start)).started_at, time("2024-01-01T00:00:00Z"));
    assert_eq!(replaced(record(report(ada, "s"))).started_at, time("2024-01-01T00:00:00Z"));
}

#[test]
fn the_times_of_the_first_and_last_report_are_kept_and_never_go_back() {
    let service = Service::start();
    let ada = by_id(&service.register_named("ada"));
    let times = |now: &str, check: fn(SubscriptionWrite) -> Subscription| -> (Timestamp, Timestamp) {
        service.clock.set(time(now));
        let subscription = check(service.record(report(ada.clone(), "s")).expect("a live customer"));
        (subscription.created_at, subscription.updated_at)
    };
    assert_eq!(times(NOON, new), (time(NOON), time(NOON)));
    assert_eq!(times(LATER, replaced), (time(NOON), time(LATER)));
    assert_eq!(times("2025-01-15T11:00:00Z", replaced), (time(NOON), time(LATER)));
}

#[test]
fn a_report_leaves_the_customer_as_it_is() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.clock.set(time(LATER));
    service.record(report(by_id(&ada), "s")).expect("a live customer");
    assert_eq!(service.find(&ada), Some(ada));
}

#[test]
fn subscriptions_of_an_unknown_deleted_or_foreign_customer_are_not_found() {
    let service = Service::start();
    let [ada, gone] = ["ada", "gone"].map(|id| service.register_named(id));
    for customer in [&ada, &gone] {
        service.record(report(by_id(customer), "s")).expect("a live customer");
    }
    service.delete(by_id(&gone)).expect("a live customer");
    for key in [
        by_id(&gone),
        by_external_id(service.tenant, "unknown"),
        seen_from(service.another_tenant(), &ada),
        seen_from(sandbox(service.tenant), &ada),
    ] {
        let recorded = service.record(report(key.clone(), "t"));
        assert!(matches!(recorded, Err(WriteError::NotFound)), "{key:?}: {recorded:?}");
        let listed = service.roster.list_subscriptions(&key, None, PageSize::DEFAULT);
        assert!(matches!(listed, Err(ListSubscriptionsError::NotFound)), "{key:?}: {listed:?}");
    }
}

#[test]
fn pages_list_the_last_started_first_and_make_up_the_whole_list() {
    let service = Service::start();
    let ada = by_id(&service.register_named("ada"));
    for (id, at) in [("a", NOON), ("c", LATER), ("b", NOON)] {
        service.record(started(ada.clone(), id, at)).expect("a live customer");
    }
    let key = by_external_id(service.tenant, "ada");
    let two = PageSize::new(2).expect("1 to 100");
    let first = service.roster.list_subscriptions(&key, None, two).expect("a page");
    assert_eq!((ids(&first.items), first.has_more), (vec!["c", "b"], true));
    let last = &first.items[1];
    let after = SubscriptionCursor { started_at: last.started_at, id: last.id.clone() };
    let second = service.roster.list_subscriptions(&key, Some(&after), two).expect("a page");
    assert_eq!((ids(&second.items), second.has_more), (vec!["a"], false));
}

#[test]
fn the_current_subscription_is_the_active_one_that_started_last() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let ended = SubscriptionReport { status: SubscriptionStatus::Cancelled, ..started(by_id(&ada), "ended", LATER) };
    for report in [started(by_id(&ada), "old", "2024-01-01T00:00:00Z"), started(by_id(&ada), "new", NOON), ended] {
        service.record(report).expect("a live customer");
    }
    let current = service.roster.current_subscriptions(&[&eda, &ada].map(|one| (one.tenant(), one.id())));
    let current: Vec<_> = current.into_iter().map(|found| found.expect("an answer")).collect();
    let current: Vec<_> = current.iter().map(|one| one.as_ref().map(|one| one.id.as_str())).collect();
    assert_eq!(current, [None, Some("new")]);
}

#[test]
fn a_broken_store_is_reported() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.store.interceptor.break_down();
    let recorded = service.record(report(by_id(&ada), "s"));
    assert!(matches!(recorded, Err(WriteError::Store(_))), "{recorded:?}");
    let listed = service.roster.list_subscriptions(&by_id(&ada), None, PageSize::DEFAULT);
    assert!(matches!(listed, Err(ListSubscriptionsError::Store(_))), "{listed:?}");
    let current = service.roster.current_subscriptions(&[(ada.tenant(), ada.id())]);
    assert!(matches!(current[..], [Err(_)]), "{current:?}");
}
