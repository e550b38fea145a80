use roster_application::ports::SubscriptionCursor;
use roster_application::{ListSubscriptionsError, PageSize, RecordSubscriptionError, Recorded, SubscriptionReport};
use roster_domain::{Customer, PlanId, Subscription, SubscriptionId, SubscriptionStatus, Timestamp};

use crate::service::{Service, by_external_id, by_id, name, sandbox, seen_from, time};

fn report(id: &str) -> SubscriptionReport {
    SubscriptionReport {
        id: SubscriptionId::parse(id).expect("a name for a subscription"),
        plan_id: None,
        name: None,
        status: SubscriptionStatus::Active,
        started_at: None,
        cancelled_at: None,
    }
}

fn started(id: &str, at: &str) -> SubscriptionReport {
    SubscriptionReport { started_at: Some(time(at)), ..report(id) }
}

fn record(service: &Service, customer: &Customer, report: &SubscriptionReport) -> Recorded {
    service.roster.record_subscription(&by_id(customer), report).expect("a live customer")
}

fn new(recorded: Recorded) -> Subscription {
    match recorded {
        Recorded::New(subscription) => subscription,
        Recorded::Replaced(_) => panic!("it took the place of another: {recorded:?}"),
    }
}

fn replaced(recorded: Recorded) -> Subscription {
    match recorded {
        Recorded::Replaced(subscription) => subscription,
        Recorded::New(_) => panic!("it is new: {recorded:?}"),
    }
}

fn ids(subscriptions: &[Subscription]) -> Vec<&str> {
    subscriptions.iter().map(|one| one.id.as_str()).collect()
}

const NOON: &str = "2025-01-15T12:00:00Z";
const LATER: &str = "2025-01-15T12:00:01Z";

#[test]
fn a_first_report_is_new_and_a_second_takes_its_place() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let first = SubscriptionReport {
        plan_id: PlanId::parse("gold").ok(),
        name: Some(name("Gold")),
        started_at: Some(time("2024-01-01T00:00:00Z")),
        ..report("s")
    };
    let subscription = new(record(&service, &ada, &first));
    assert_eq!((&subscription.plan_id, &subscription.name), (&first.plan_id, &first.name));
    assert_eq!(subscription.started_at, time("2024-01-01T00:00:00Z"));
    let second = SubscriptionReport {
        status: SubscriptionStatus::Cancelled,
        started_at: Some(time("2024-02-01T00:00:00Z")),
        cancelled_at: Some(time("2024-03-01T00:00:00Z")),
        ..report("s")
    };
    let subscription = replaced(record(&service, &ada, &second));
    assert_eq!((&subscription.plan_id, &subscription.name), (&None, &None), "what is not told is not kept");
    assert_eq!(subscription.cancelled_at, second.cancelled_at);
    let listed = service.roster.list_subscriptions(&by_id(&ada), None, PageSize::DEFAULT).expect("a page");
    assert_eq!(listed.items, [subscription]);
}

#[test]
fn a_subscription_started_when_it_was_first_told_of_unless_told_otherwise() {
    let service = Service::start();
    let ada = service.register_named("ada");
    assert_eq!(new(record(&service, &ada, &report("s"))).started_at, time(NOON));
    service.clock.set(time(LATER));
    assert_eq!(replaced(record(&service, &ada, &report("s"))).started_at, time(NOON));
    let told = started("s", "2024-01-01T00:00:00Z");
    assert_eq!(replaced(record(&service, &ada, &told)).started_at, time("2024-01-01T00:00:00Z"));
    assert_eq!(replaced(record(&service, &ada, &report("s"))).started_at, time("2024-01-01T00:00:00Z"));
}

#[test]
fn when_it_was_first_and_last_told_of_is_kept_and_never_goes_back() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let times = |now: &str, recorded: fn(Recorded) -> Subscription| -> (Timestamp, Timestamp) {
        service.clock.set(time(now));
        let subscription = recorded(record(&service, &ada, &report("s")));
        (subscription.created_at, subscription.updated_at)
    };
    assert_eq!(times(NOON, new), (time(NOON), time(NOON)));
    assert_eq!(times(LATER, replaced), (time(NOON), time(LATER)));
    assert_eq!(times("2025-01-15T11:00:00Z", replaced), (time(NOON), time(LATER)));
}

#[test]
fn subscriptions_of_a_customer_that_is_not_there_or_somebody_else_s_are_not_found() {
    let service = Service::start();
    let [ada, gone] = ["ada", "gone"].map(|id| service.register_named(id));
    record(&service, &ada, &report("s"));
    record(&service, &gone, &report("s"));
    service.roster.delete_customer(&by_id(&gone)).expect("a live customer");
    for key in [
        by_id(&gone),
        by_external_id(service.tenant, "nobody"),
        seen_from(service.another_tenant(), &ada),
        seen_from(sandbox(service.tenant), &ada),
    ] {
        let recorded = service.roster.record_subscription(&key, &report("t"));
        assert!(matches!(recorded, Err(RecordSubscriptionError::NotFound)), "{key:?}: {recorded:?}");
        let listed = service.roster.list_subscriptions(&key, None, PageSize::DEFAULT);
        assert!(matches!(listed, Err(ListSubscriptionsError::NotFound)), "{key:?}: {listed:?}");
    }
}

#[test]
fn pages_stand_last_started_first_and_make_up_the_whole_list() {
    let service = Service::start();
    let ada = service.register_named("ada");
    for (id, at) in [("a", NOON), ("c", LATER), ("b", NOON)] {
        record(&service, &ada, &started(id, at));
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
    record(&service, &ada, &started("old", "2024-01-01T00:00:00Z"));
    record(&service, &ada, &started("new", NOON));
    let ended = SubscriptionReport { status: SubscriptionStatus::Cancelled, ..started("ended", LATER) };
    record(&service, &ada, &ended);
    let current = service.roster.current_subscriptions(&[&eda, &ada].map(|one| (one.tenant(), one.id())));
    let current: Vec<_> = current.into_iter().map(|found| found.expect("an answer")).collect();
    let current: Vec<_> = current.iter().map(|one| one.as_ref().map(|one| one.id.as_str())).collect();
    assert_eq!(current, [None, Some("new")]);
}

#[test]
fn a_store_that_is_out_of_order_is_told() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.store.break_down();
    let recorded = service.roster.record_subscription(&by_id(&ada), &report("s"));
    assert!(matches!(recorded, Err(RecordSubscriptionError::Store(_))), "{recorded:?}");
    let listed = service.roster.list_subscriptions(&by_id(&ada), None, PageSize::DEFAULT);
    assert!(matches!(listed, Err(ListSubscriptionsError::Store(_))), "{listed:?}");
    let current = service.roster.current_subscriptions(&[(ada.tenant(), ada.id())]);
    assert!(matches!(current[..], [Err(_)]), "{current:?}");
}
