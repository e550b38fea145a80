//! The logs of tenants: one event for each write, without gaps, in the order of the commits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roster_application::ports::{
    EventQuery, Extent, ListOrder, ReplyKey, SavedReply, Store, StoreError, TokenHolder, Write, Written,
};
use roster_application::{Actor, Attribution, Digest, Event, changes_of, json};
use roster_domain::{ApiKeyId, ChangeReason, Customer, EventType, Json, Tenant, Timestamp};

use crate::actions::{create, find_any, insert_one, list_in, new_tenant, start, write_all, write_one};
use crate::fidelity::{full_profile, profile_of_hard_texts};
use crate::race::{Racer, race};
use crate::samples::{
    activated, archived, at, change_of, creation, deletion, other_environment, renamed, renamed_subscription, report,
    subscription, with_email, with_external_id,
};

fn log_of(store: &Arc<dyn Store>, tenant: Tenant) -> Vec<Event> {
    let (events, extent) = store
        .direct(|uow| {
            let extent = uow.events().extents(&[tenant])?[0];
            Ok::<_, StoreError>((uow.events().list(&all(tenant))?, extent))
        })
        .expect("an answer");
    assert!(extent.head <= last_of(&events).max(extent.floor), "the number of the last is not ahead of it");
    events
}

fn last_of(events: &[Event]) -> i64 {
    events.last().map_or(0, |event| event.seq)
}

fn all(tenant: Tenant) -> EventQuery {
    let order = ListOrder::Ascending;
    EventQuery { tenant, customer: None, kind: None, order, first: 1, last: i64::MAX, limit: 100_000 }
}

/// Checks that nothing is missing between the first event and the last.
fn assert_no_gap(events: &[Event]) {
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    let expected: Vec<i64> = (1..).take(seqs.len()).collect();
    assert_eq!(seqs, expected);
}

fn kinds(events: &[Event]) -> Vec<EventType> {
    events.iter().map(|event| event.kind).collect()
}

pub fn every_write_makes_one_event_that_says_what_it_did(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    assert_eq!(log_of(store, tenant), []);
    let ada = samples.customer(tenant).external_id("ada").build();
    let named = renamed(&ada, "Ada");
    let moved = with_external_id(&named, "countess");
    let put_aside = archived(&moved);
    let active = activated(&put_aside);
    let first = subscription("s", at(0));
    let second = renamed_subscription(&first, "Gold");
    let writes = [
        (creation(&ada), EventType::CustomerCreated, 1),
        (change_of(&ada, &named), EventType::CustomerUpdated, 2),
        (change_of(&named, &moved), EventType::CustomerUpdated, 3),
        (change_of(&moved, &put_aside), EventType::CustomerArchived, 4),
        (change_of(&put_aside, &active), EventType::CustomerUpdated, 5),
        (report(&active, None, &first), EventType::SubscriptionCreated, 1),
        (report(&active, Some(&first), &second), EventType::SubscriptionUpdated, 2),
        (deletion(&active), EventType::CustomerDeleted, 6),
    ];
    for (place, (write, kind, version)) in (1..).zip(writes) {
        assert_eq!(write_one(store, &write), Written::Done, "{kind:?}");
        let events = log_of(store, tenant);
        let event = Event::of(&write, place).expect("a write that stores something");
        assert_eq!((event.kind, event.version, event.customer), (kind, version, ada.id()));
        assert_eq!((events.len(), events.last()), (usize::try_from(place).expect("few"), Some(&event)));
    }
    let texts: Vec<String> = log_of(store, tenant).into_iter().map(|event| event.changes).collect();
    assert_eq!(texts[1], r#"{"name":{"to":"Ada"}}"#);
    assert_eq!(texts[2], r#"{"external_id":{"from":"ada","to":"countess"}}"#);
    assert_eq!(texts[3], r#"{"status":{"from":"active","to":"archived"}}"#);
    assert_eq!(texts[6], r#"{"name":{"to":"Gold"}}"#);
    assert_eq!(texts[7], format!(r#"{{"deleted_at":{{"to":"{}"}}}}"#, at(1000)));
}

pub fn an_event_comes_back_as_it_was_made(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let token = |subject: Option<&str>| {
        Actor::Token(Arc::new(TokenHolder { issuer: "https://issuer".into(), subject: subject.map(str::to_owned) }))
    };
    let actors = [
        Actor::ApiKey(ApiKeyId::new(samples.uuid())),
        token(Some("a \" ж")),
        token(None),
        Actor::Operator,
        Actor::System,
    ];
    let mut before = samples.customer(tenant).build();
    create(store, &[&before]);
    for (place, actor) in (2..).zip(actors) {
        let after = renamed(&before, &format!("'\"\\ ж 🦀 {place}"));
        let attribution = Attribution {
            actor,
            request_id: (place % 2 == 0).then(|| format!("request {place}")),
            reason: ChangeReason::parse("\"because\" 🦀").ok().filter(|_| place % 2 == 1),
        };
        let write = change_of(&before, &after).asked_for_by(Some(Arc::new(attribution)));
        assert_eq!(write_one(store, &write), Written::Done);
        assert_eq!(log_of(store, tenant).pop(), Event::of(&write, place));
        before = after;
    }
    let full = samples.customer(tenant).profile(profile_of_hard_texts()).build();
    create(store, &[&full]);
    assert_eq!(log_of(store, tenant).pop(), Event::of(&creation(&full), 7));
}

pub fn old_events_are_deleted_and_the_numbers_go_on(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let (other, silent) = (new_tenant(store, &samples), other_environment(tenant));
    let customers = [tenant, tenant, tenant, other].map(|tenant| samples.customer(tenant).build());
    create(store, &customers.iter().collect::<Vec<_>>());
    let extents = || store.direct(|uow| uow.events().extents(&[tenant, silent, other])).expect("an answer");
    let kept = |floor, head| Extent { floor, head };
    assert_eq!(extents(), [kept(0, 3), kept(0, 0), kept(0, 1)]);
    let made_at = log_of(store, tenant)[0].created_at;
    let older_than = |time| store.direct(|uow| uow.events().older_than(&[silent, other, tenant], time));
    assert_eq!(older_than(made_at).expect("an answer"), []);
    assert_eq!(older_than(at(made_at.as_millis() + 1)).expect("an answer"), [other, tenant]);
    let prune = |last| store.direct(|uow| uow.events().prune(tenant, last)).expect("they are deleted");
    // The floor never sinks: another instance may be behind.
    for last in [2, 1] {
        prune(last);
        assert_eq!(extents(), [kept(2, 3), kept(0, 0), kept(0, 1)]);
    }
    let seqs = |tenant| log_of(store, tenant).iter().map(|event| event.seq).collect::<Vec<_>>();
    assert_eq!((seqs(tenant), seqs(other)), (vec![3], vec![1]));
    prune(3);
    assert_eq!((extents()[0], seqs(tenant)), (kept(3, 3), vec![]));
    assert_eq!(older_than(at(made_at.as_millis() + 1)).expect("an answer"), [other]);
    create(store, &[&samples.customer(tenant).build()]);
    assert_eq!((extents()[0], seqs(tenant)), (kept(3, 4), vec![4]));
}

fn lower_bounds(store: &Arc<dyn Store>, tenant: Tenant, millis: &[i64]) -> Vec<i64> {
    let times: Vec<Timestamp> = millis.iter().map(|millis| at(*millis)).collect();
    let found: Result<_, StoreError> = store.direct(|uow| uow.events().lower_bounds(tenant, &times));
    found.expect("an answer")
}

pub fn the_first_event_at_or_after_each_time_is_found(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let (other, silent) = (new_tenant(store, &samples), other_environment(tenant));
    for millis in [0, 10, 10, 20] {
        create(store, &[&samples.customer(tenant).at(millis).build()]);
    }
    create(store, &[&samples.customer(other).at(15).build()]);
    let times = [-1, 0, 1, 10, 11, 20, 21];
    assert_eq!(lower_bounds(store, tenant, &times), [1, 1, 2, 2, 4, 4, 5]);
    assert_eq!(lower_bounds(store, other, &times), [1, 1, 1, 1, 1, 2, 2]);
    assert_eq!(lower_bounds(store, silent, &times), [1; 7]);
    assert_eq!(lower_bounds(store, tenant, &[]), [0; 0]);
    // In the order of the times, also if they descend or repeat.
    assert_eq!(lower_bounds(store, tenant, &[20, 0, 20]), [4, 1, 4]);
    // What is no longer kept is not found.
    let prune = |last| store.direct(|uow| uow.events().prune(tenant, last)).expect("they are deleted");
    prune(2);
    assert_eq!(lower_bounds(store, tenant, &times), [3, 3, 3, 3, 4, 4, 5]);
    prune(4);
    assert_eq!(lower_bounds(store, tenant, &times), [5; 7]);
}

pub fn lower_bounds_in_a_long_log_agree_with_a_walk_through_it(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    // Several events of one time, and times without an event.
    let writes: Vec<Write> =
        (0..333).map(|number| creation(&samples.customer(tenant).at(number / 3 * 2).build())).collect();
    write_all(store, &writes);
    let times: Vec<i64> = (-2..226).collect();
    let events = log_of(store, tenant);
    let walk = |millis: &i64| {
        let first = events.iter().find(|event| event.created_at >= at(*millis));
        first.map_or(last_of(&events) + 1, |event| event.seq)
    };
    assert_eq!(lower_bounds(store, tenant, &times), times.iter().map(walk).collect::<Vec<_>>());
}

pub fn lower_bounds_never_descend_where_clocks_differ(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    // Each second event comes from an instance whose clock is 10 ms behind.
    let writes: Vec<Write> =
        (0..100).map(|number| creation(&samples.customer(tenant).at(number - number % 2 * 10).build())).collect();
    write_all(store, &writes);
    let times: Vec<i64> = (-12..112).collect();
    let bounds = lower_bounds(store, tenant, &times);
    assert!(bounds.is_sorted(), "{bounds:?}");
    let events = log_of(store, tenant);
    let made_at = |seq: i64| events.iter().find(|event| event.seq == seq).map(|event| event.created_at);
    for (millis, bound) in times.into_iter().zip(bounds) {
        // Several places are a bound of one time here. It is one of them.
        let is_bound = made_at(bound).is_none_or(|time| time >= at(millis));
        assert!(is_bound && made_at(bound - 1).is_none_or(|time| time < at(millis)), "{millis}: {bound}");
    }
}

pub fn a_refused_write_makes_no_event_and_no_gap(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, rival, eda] = ["ada", "ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    let missing = samples.customer(tenant).build();
    let named = renamed(&ada, "Ada");
    let batch = [
        creation(&ada),
        creation(&rival),
        change_of(&missing, &renamed(&missing, "Nemo")),
        change_of(&ada, &named),
        change_of(&ada, &renamed(&ada, "Late")),
        creation(&eda),
    ];
    let done: Vec<bool> = write_all(store, &batch).iter().map(|written| *written == Written::Done).collect();
    assert_eq!(done, [true, false, false, true, false, true]);
    // The lone ones, too.
    assert_ne!(insert_one(store, &rival), Written::Done);
    assert_ne!(write_one(store, &change_of(&ada, &renamed(&ada, "Late"))), Written::Done);
    assert_ne!(write_one(store, &report(&ada, None, &subscription("s", at(0)))), Written::Done);
    create(store, &[&samples.customer(tenant).build()]);
    let events = log_of(store, tenant);
    assert_no_gap(&events);
    assert_eq!(events.len(), 4);
    let of_ada: Vec<i64> = events.iter().filter(|event| event.customer == ada.id()).map(|one| one.version).collect();
    assert_eq!(of_ada, [1, 2]);
}

pub fn the_events_of_a_batch_of_several_tenants_are_in_its_order(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let tenants = [tenant, other_environment(tenant), new_tenant(store, &samples)];
    let mut batch = Vec::new();
    for number in 0..30 {
        let customer = samples.customer(tenants[number % 3]).external_id(&format!("{number}")).build();
        batch.push(creation(&customer));
        batch.push(change_of(&customer, &with_external_id(&customer, &format!("{number} again"))));
        batch.push(report(batch[batch.len() - 1].after(), None, &subscription("s", at(0))));
    }
    assert!(write_all(store, &batch).iter().all(|written| *written == Written::Done));
    for tenant in tenants {
        let events = log_of(store, tenant);
        assert_no_gap(&events);
        assert_eq!(events.len(), 30);
        assert!(events.iter().all(|event| event.tenant == tenant));
        // Within a batch, the order of one customer's writes counts.
        let mut by_customer: BTreeMap<_, Vec<EventType>> = BTreeMap::new();
        for event in &events {
            by_customer.entry(event.customer).or_default().push(event.kind);
        }
        let expected = vec![EventType::CustomerCreated, EventType::CustomerUpdated, EventType::SubscriptionCreated];
        assert!(by_customer.values().all(|kinds| *kinds == expected), "{by_customer:?}");
    }
}

pub fn a_log_is_read_from_both_ends_by_customer_and_by_type(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 3);
    for customer in &customers {
        let named = renamed(customer, "A");
        let written = write_all(store, &[creation(customer), change_of(customer, &named)]);
        assert_eq!(written, [Written::Done, Written::Done]);
    }
    let events = log_of(store, tenant);
    let expect = |query: EventQuery, places: &[i64]| {
        let found = store.direct(|uow| uow.events().list(&query)).expect("an answer");
        let expected: Vec<Event> =
            places.iter().map(|seq| events.iter().find(|event| event.seq == *seq).expect("one").clone()).collect();
        assert_eq!(found, expected, "{query:?}");
    };
    let order = ListOrder::Descending;
    expect(EventQuery { order, ..all(tenant) }, &[6, 5, 4, 3, 2, 1]);
    expect(EventQuery { limit: 2, ..all(tenant) }, &[1, 2]);
    expect(EventQuery { limit: 2, order, ..all(tenant) }, &[6, 5]);
    expect(EventQuery { first: 2, last: 3, ..all(tenant) }, &[2, 3]);
    expect(EventQuery { first: 7, ..all(tenant) }, &[]);
    let customer = Some(customers[1].id());
    expect(EventQuery { customer, ..all(tenant) }, &[3, 4]);
    expect(EventQuery { customer, order, limit: 1, ..all(tenant) }, &[4]);
    let kind = Some(EventType::CustomerUpdated);
    expect(EventQuery { kind, ..all(tenant) }, &[2, 4, 6]);
    expect(EventQuery { kind, order, last: 5, ..all(tenant) }, &[4, 2]);
    expect(EventQuery { kind, customer, ..all(tenant) }, &[4]);
    expect(EventQuery { kind: Some(EventType::CustomerDeleted), ..all(tenant) }, &[]);
}

pub fn another_tenant_never_sees_an_event(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    create(store, &[&ada]);
    for other in [other_environment(tenant), new_tenant(store, &samples)] {
        assert_eq!(log_of(store, other), []);
        let query = EventQuery { customer: Some(ada.id()), ..all(other) };
        assert_eq!(store.direct(|uow| uow.events().list(&query)).expect("an answer"), []);
        create(store, &[&samples.customer(other).build()]);
        assert_no_gap(&log_of(store, other));
    }
    assert_eq!(log_of(store, tenant).len(), 1);
}

pub fn the_events_of_a_transaction_are_kept_or_undone_with_it(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    let write = |succeeds: bool| {
        store.transaction(|uow| {
            uow.customers().write(&[creation(&ada)])?;
            uow.customers().write(&[creation(&eda), change_of(&ada, &renamed(&ada, "Ada"))])?;
            if succeeds { Ok(()) } else { Err(StoreError::internal("undone")) }
        })
    };
    write(false).expect_err("an error");
    assert_eq!(log_of(store, tenant), []);
    write(true).expect("a commit");
    let events = log_of(store, tenant);
    assert_no_gap(&events);
    let expected = [EventType::CustomerCreated, EventType::CustomerCreated, EventType::CustomerUpdated];
    assert_eq!(kinds(&events), expected);
}

pub fn a_write_with_a_reply_makes_one_event_and_its_repeat_makes_none(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let keyed = |customer: &Customer, key: &str| {
        let digest = Digest::of(key.as_bytes());
        creation(customer).replying(SavedReply {
            key: ReplyKey { tenant, digest },
            fingerprint: digest,
            customer: Some(customer.id()),
            outcome: String::new(),
            created_at: at(0),
            expires_at: at(1000),
        })
    };
    let customers = samples.customers(tenant, 4);
    assert_eq!(write_one(store, &keyed(&customers[0], "a")), Written::Done);
    assert_eq!(write_one(store, &keyed(&customers[1], "a")), Written::Stale);
    let batch = [keyed(&customers[1], "a"), keyed(&customers[2], "b"), keyed(&customers[3], "b")];
    assert_eq!(write_all(store, &batch), [Written::Stale, Written::Done, Written::Stale]);
    let events = log_of(store, tenant);
    assert_no_gap(&events);
    let of: Vec<_> = events.iter().map(|event| event.customer).collect();
    assert_eq!(of, [customers[0].id(), customers[2].id()]);
}

/// The fields of a customer, or of one of its subscriptions, once all changes are made.
fn replayed<'a>(changes: impl Iterator<Item = &'a str>) -> BTreeMap<String, Json> {
    let mut fields = BTreeMap::new();
    for text in changes {
        let Ok(Json::Object(changes)) = json::read(text.as_bytes()) else { panic!("not an object: {text}") };
        for (name, change) in changes.iter() {
            let Json::Object(sides) = change else { panic!("not an object: {text}") };
            let side = |wanted: &str| sides.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
            assert_eq!(fields.remove(name), side("from"), "{name} in {text}");
            fields.extend(side("to").map(|value| (name.to_owned(), value)));
        }
    }
    fields
}

fn assert_replays_as(events: &[Event], customer: &Customer) {
    let of_customer: Vec<&Event> =
        events.iter().filter(|event| event.customer == customer.id() && event.subscription.is_none()).collect();
    let versions: Vec<i64> = of_customer.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=customer.version()).collect::<Vec<_>>());
    let as_it_stands = changes_of(&Write::create(customer.clone()));
    let fields = replayed(of_customer.iter().map(|event| event.changes.as_str()));
    assert_eq!(fields, replayed(std::iter::once(as_it_stands.as_str())));
}

pub fn the_changes_of_a_customer_make_up_the_customer_as_it_stands(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut customer = samples.customer(tenant).profile(full_profile()).build();
    create(store, &[&customer]);
    let emptied = customer.replaced(roster_domain::Profile::default(), roster_domain::EmailUse::Shared, at(1));
    let filled = emptied.replaced(profile_of_hard_texts(), roster_domain::EmailUse::Shared, at(2));
    for after in [emptied, filled.clone(), archived(&filled), renamed(&archived(&filled), "Ada")] {
        assert_eq!(write_one(store, &change_of(&customer, &after)), Written::Done);
        customer = after;
        assert_replays_as(&log_of(store, tenant), &customer);
    }
    assert_eq!(write_one(store, &deletion(&customer)), Written::Done);
    assert_replays_as(&log_of(store, tenant), &find_any(store, &customer).expect("a row"));
}

pub fn many_writers_at_once_leave_no_gap_and_readers_see_no_event_late(store: &Arc<dyn Store>) {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 10;
    let (samples, tenant) = start(store);
    let other = new_tenant(store, &samples);
    let running = Arc::new(AtomicUsize::new(WRITERS));
    let write = |number: usize, customers: Vec<Customer>| -> Racer<()> {
        let running = Arc::clone(&running);
        Box::new(move |store| {
            // All of them claim one address, so that some are refused.
            for chunk in customers.chunks(2) {
                let [one, two] = chunk else { panic!("two") };
                let batch = [creation(one), creation(two), change_of(one, &with_email(one, "one@example.com"))];
                if number.is_multiple_of(2) {
                    write_all(store, &batch);
                } else {
                    let written: Result<_, StoreError> = store.transaction(|uow| {
                        uow.customers().write(&batch[..1])?;
                        uow.customers().write(&batch[1..])
                    });
                    written.expect("a commit");
                }
                write_one(store, &change_of(two, &renamed(two, "Two")));
            }
            running.fetch_sub(1, Ordering::SeqCst);
        })
    };
    let read = |tenant: Tenant| -> Racer<()> {
        let running = Arc::clone(&running);
        Box::new(move |store| {
            let mut seen: Vec<Event> = Vec::new();
            while running.load(Ordering::SeqCst) > 0 {
                let events = log_of(store, tenant);
                assert_no_gap(&events);
                assert_eq!(events.get(..seen.len()), Some(seen.as_slice()), "what was seen stays as it was");
                seen = events;
            }
        })
    };
    let mut racers: Vec<Racer<()>> = (0..WRITERS)
        .map(|number| {
            // Alternately in this order and the other: locks that are not taken in one order would wait in a circle.
            let tenants = if number % 4 < 2 { [tenant, other] } else { [other, tenant] };
            let of = |place: usize| samples.customer(tenants[place % 2]).build();
            write(number, (0..2 * ROUNDS).map(of).collect())
        })
        .collect();
    racers.push(read(tenant));
    racers.push(read(other));
    race(store, racers);
    for tenant in [tenant, other] {
        let events = log_of(store, tenant);
        assert_no_gap(&events);
        let customers = list_in(store, tenant, roster_application::ports::CustomerState::Any, None, 1000);
        assert_eq!(customers.len(), WRITERS * ROUNDS);
        let versions: i64 = customers.iter().map(Customer::version).sum();
        assert_eq!(i64::try_from(events.len()), Ok(versions), "an event for each version");
        for customer in &customers {
            assert_replays_as(&events, customer);
        }
    }
}
