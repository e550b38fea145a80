//! Webhook endpoints: leases, how far deliveries have come, and the log of attempts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::{
    Attempt, AttemptKey, AttemptOutcome, DeliveryRecord, Lane, LaneKey, Lease, Store, StoreError, StoredEndpoint,
};
use roster_domain::{
    AttemptId, CustomerId, DisabledReason, Edit, Endpoint, EndpointDescription, EndpointEdit, EndpointId,
    EndpointSecret, EndpointSettings, EndpointStatus, EndpointUrl, EventId, EventTypes, Excerpt, PayloadForm, Tenant,
    Timestamp,
};

use crate::actions::{insert, new_tenant, start};
use crate::race::{Racer, race};
use crate::samples::{Samples, at, other_environment};

const RACERS: usize = 8;

fn endpoint(samples: &Samples, tenant: Tenant) -> Endpoint {
    let settings = EndpointSettings {
        url: EndpointUrl::parse("https://example.com/hooks", false).expect("a URL"),
        events: EventTypes::ALL,
        description: None,
        form: PayloadForm::Thin,
    };
    Endpoint::create(tenant, EndpointId::new(samples.uuid()), settings, EndpointSecret::new(&[7; 32]), at(0))
}

/// An endpoint with everything in it.
fn full_endpoint(samples: &Samples, tenant: Tenant) -> Endpoint {
    let settings = EndpointSettings {
        url: EndpointUrl::parse("https://[2606:4700:4700::1111]:8443/?a=%C3%A9&b='", false).expect("a URL"),
        events: EventTypes::parse(["customer.deleted", "customer.created"]).expect("types"),
        description: EndpointDescription::parse("'\"\\ ж 🦀").ok(),
        form: PayloadForm::WithCustomer,
    };
    let new = Endpoint::create(tenant, EndpointId::new(samples.uuid()), settings, EndpointSecret::new(&[1; 32]), at(5));
    let rotated = new.rotated(EndpointSecret::new(&[2; 32]), Duration::from_hours(1), at(6));
    Endpoint { failing_since: Some(at(7)), ..rotated }.disabled(DisabledReason::Failing, at(8))
}

fn add(store: &Arc<dyn Store>, endpoint: &Endpoint, cursor: i64) {
    store.direct(|uow| uow.webhooks().insert(endpoint, cursor)).expect("a new endpoint");
}

/// An endpoint that is stored, of a log with some events.
fn stored(store: &Arc<dyn Store>, samples: &Samples, tenant: Tenant, events: usize) -> Endpoint {
    insert(store, &samples.customers(tenant, events));
    let endpoint = endpoint(samples, tenant);
    add(store, &endpoint, 0);
    endpoint
}

fn find(store: &Arc<dyn Store>, endpoint: &Endpoint) -> Option<StoredEndpoint> {
    store.direct(|uow| uow.webhooks().find(endpoint.tenant, endpoint.id)).expect("an answer")
}

fn get(store: &Arc<dyn Store>, endpoint: &Endpoint) -> StoredEndpoint {
    find(store, endpoint).expect("the endpoint")
}

fn list(store: &Arc<dyn Store>, tenant: Tenant, after: Option<EndpointId>, limit: usize) -> Vec<StoredEndpoint> {
    store.direct(|uow| uow.webhooks().list(tenant, after, limit)).expect("a page")
}

fn lease(store: &Arc<dyn Store>, now: i64, until: i64, limit: usize) -> Vec<StoredEndpoint> {
    store.direct(|uow| uow.webhooks().lease(at(now), at(until), limit)).expect("leases")
}

fn lease_one(store: &Arc<dyn Store>, now: i64, until: i64) -> Lease {
    let leased = lease(store, now, until, 10);
    assert_eq!(leased.len(), 1);
    leased[0].lease()
}

fn record(store: &Arc<dyn Store>, lease: &Lease, record: &DeliveryRecord) -> bool {
    store.direct(|uow| uow.webhooks().record(lease, record)).expect("an answer")
}

fn lanes(store: &Arc<dyn Store>, endpoint: &Endpoint) -> Vec<Lane> {
    let lanes = store.direct(|uow| uow.webhooks().lanes(endpoint.tenant, endpoint.id, Timestamp::MAX, 1000));
    lanes.expect("an answer")
}

fn attempts(store: &Arc<dyn Store>, endpoint: &Endpoint, before: Option<AttemptId>, limit: usize) -> Vec<Attempt> {
    store.direct(|uow| uow.webhooks().attempts(endpoint.tenant, endpoint.id, before, limit)).expect("an answer")
}

/// Changes an endpoint as a use case does.
fn change(store: &Arc<dyn Store>, endpoint: &Endpoint, edit: &EndpointEdit, now: Timestamp) {
    let changed: Result<_, StoreError> = store.transaction(|uow| {
        let stored = uow.webhooks().lock(endpoint.tenant, endpoint.id)?.expect("the endpoint");
        uow.webhooks().update(&stored.endpoint.changed(edit.clone(), now))
    });
    changed.expect("an endpoint that is written");
}

/// What is recorded by a worker that has passed `cursor` and gives its lease back.
fn passed(cursor: i64, due_at: i64) -> DeliveryRecord {
    DeliveryRecord {
        cursor,
        lanes: Vec::new(),
        closed: Vec::new(),
        attempts: Vec::new(),
        failing_since: None,
        disabled: None,
        due_at: at(due_at),
    }
}

fn lane(samples: &Samples, next_seq: i64, due_at: i64) -> Lane {
    let key = LaneKey { customer: CustomerId::new(samples.uuid()), replayed: None };
    Lane { key, next_seq, attempts: 3, due_at: at(due_at) }
}

fn attempt(samples: &Samples, endpoint: &Endpoint, seq: i64) -> Attempt {
    Attempt {
        id: AttemptId::new(samples.uuid()),
        tenant: endpoint.tenant,
        endpoint: endpoint.id,
        event: EventId::at(seq, [9; 8]),
        customer: None,
        number: 1,
        outcome: AttemptOutcome::Delivered,
        status: None,
        duration: Duration::ZERO,
        answer: None,
        error: None,
        at: at(1),
    }
}

pub fn an_endpoint_comes_back_as_it_was_made(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for (endpoint, cursor) in [(endpoint(&samples, tenant), 0), (full_endpoint(&samples, tenant), 7)] {
        assert_eq!(find(store, &endpoint), None);
        add(store, &endpoint, cursor);
        let due_at = endpoint.created_at;
        assert_eq!(
            find(store, &endpoint),
            Some(StoredEndpoint { endpoint: endpoint.clone(), cursor, fence: 0, due_at })
        );
        let locked: Result<_, StoreError> = store.transaction(|uow| uow.webhooks().lock(tenant, endpoint.id));
        assert_eq!(locked.expect("an answer"), find(store, &endpoint));
        let again = store.direct(|uow| uow.webhooks().insert(&endpoint, 0));
        assert!(matches!(again, Err(StoreError::Duplicate { .. })), "{again:?}");
    }
}

pub fn a_change_of_an_endpoint_is_stored_and_leaves_its_deliveries_alone(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let other = endpoint(&samples, tenant);
    add(store, &other, 3);
    let lease = lease_one(store, 1, 50);
    let full = full_endpoint(&samples, tenant);
    let changed = Endpoint { id: one.id, created_at: one.created_at, ..full };
    let write = |endpoint: &Endpoint| {
        let written: Result<(), StoreError> = store.transaction(|uow| {
            uow.webhooks().lock(endpoint.tenant, endpoint.id)?;
            uow.webhooks().update(endpoint)
        });
        written.expect("an endpoint that is written");
    };
    write(&changed);
    let expected = StoredEndpoint { endpoint: changed, cursor: 0, fence: lease.fence, due_at: at(50) };
    assert_eq!(get(store, &one), expected);
    write(&one);
    assert_eq!(get(store, &one), StoredEndpoint { endpoint: one, ..expected });
    assert_eq!(get(store, &other).endpoint, other);
}

pub fn pages_of_endpoints_are_oldest_first_and_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    assert_eq!(list(store, tenant, None, 10), []);
    let made: Vec<Endpoint> = (0..5).map(|_| endpoint(&samples, tenant)).collect();
    for endpoint in made.iter().rev() {
        add(store, endpoint, 0);
    }
    add(store, &endpoint(&samples, other_environment(tenant)), 0);
    for limit in 1..=6 {
        let mut seen: Vec<Endpoint> = Vec::new();
        loop {
            let page = list(store, tenant, seen.last().map(|last| last.id), limit);
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|stored| stored.endpoint));
        }
        assert_eq!(seen, made, "limit {limit}");
    }
}

pub fn an_endpoint_is_its_tenants_alone(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let lease = lease_one(store, 1, 50);
    let held = DeliveryRecord {
        lanes: vec![lane(&samples, 2, 9)],
        attempts: vec![attempt(&samples, &one, 1)],
        ..passed(3, 50)
    };
    assert!(record(store, &lease, &held));
    let before = (get(store, &one), lanes(store, &one), attempts(store, &one, None, 10));
    for stranger in [new_tenant(store, &samples), other_environment(tenant)] {
        let theirs = Endpoint { tenant: stranger, ..one.clone() };
        assert_eq!(find(store, &theirs), None);
        assert_eq!(list(store, stranger, None, 10), []);
        assert_eq!((lanes(store, &theirs), attempts(store, &theirs, None, 10)), (vec![], vec![]));
        let stolen = Lease { tenant: stranger, ..lease };
        assert!(!record(store, &stolen, &passed(9, 60)));
        let results: Result<_, StoreError> = store.transaction(|uow| {
            let webhooks = uow.webhooks();
            assert_eq!(webhooks.lock(stranger, one.id)?, None);
            webhooks
                .update(&theirs.changed(EndpointEdit { is_active: Some(false), ..EndpointEdit::default() }, at(99)))?;
            let key = AttemptKey { tenant: stranger, ..AttemptKey::from(&before.2[0]) };
            webhooks.delete_attempts(&[key])?;
            Ok((
                webhooks.delete(stranger, one.id)?,
                webhooks.rewind(stranger, one.id, 0)?,
                webhooks.open_lane(stranger, one.id, &lane(&samples, 1, 1))?,
                webhooks.renew(&stolen, at(70))?,
                webhooks.first_in_lanes(stranger, one.id)?,
                webhooks.outdated_attempts(&[stranger], AttemptId::new(samples.uuid()), 0, 10)?,
            ))
        });
        assert_eq!(results.expect("answers"), (false, false, false, None, None, vec![]));
        assert_eq!((get(store, &one), lanes(store, &one), attempts(store, &one, None, 10)), before);
    }
}

pub fn an_endpoint_without_a_merchant_is_refused(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let unknown = Tenant { merchant: samples.merchant().id, ..tenant };
    let refused = store.direct(|uow| uow.webhooks().insert(&endpoint(&samples, unknown), 0));
    assert!(matches!(refused, Err(StoreError::Internal { .. })), "{refused:?}");
}

pub fn an_endpoint_is_leased_if_its_log_goes_on_or_a_lane_is_due(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = endpoint(&samples, tenant);
    add(store, &one, 0);
    // A log without events, and one that is read to its end.
    assert_eq!(lease(store, 1, 50, 10), []);
    insert(store, &samples.customers(tenant, 2));
    let leased = lease(store, 1, 50, 10);
    assert_eq!(leased, [StoredEndpoint { endpoint: one.clone(), cursor: 0, fence: 1, due_at: at(50) }]);
    assert_eq!(leased, [get(store, &one)]);
    let held = leased[0].lease();
    assert!(record(store, &held, &DeliveryRecord { lanes: vec![lane(&samples, 1, 30)], ..passed(2, 2) }));
    assert_eq!(lease(store, 29, 60, 10), []);
    let held = lease_one(store, 30, 60);
    assert!(record(store, &held, &DeliveryRecord { lanes: vec![lane(&samples, 1, 90)], ..passed(2, 31) }));
    // The first lane decides, and while it is leased, nothing does.
    let held = lease_one(store, 31, 60);
    insert(store, &samples.customers(tenant, 1));
    assert_eq!(lease(store, 59, 70, 10), []);
    let closed = lanes(store, &one).into_iter().map(|lane| lane.key).collect();
    assert!(record(store, &held, &DeliveryRecord { closed, ..passed(3, 60) }));
    assert_eq!(lease(store, 100, 110, 10), []);
    // Not by the events of another tenant.
    insert(store, &samples.customers(other_environment(tenant), 9));
    assert_eq!(lease(store, 100, 110, 10), []);
}

pub fn a_disabled_endpoint_is_not_leased(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 2);
    let active = |is_active: bool| EndpointEdit { is_active: Some(is_active), ..EndpointEdit::default() };
    change(store, &one, &active(false), at(1));
    assert_eq!(lease(store, 1, 50, 10), []);
    change(store, &one, &active(true), at(2));
    assert_eq!(lease(store, 1, 50, 10).len(), 1);
}

pub fn the_endpoints_that_have_waited_longest_are_leased_first(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let tenants = [tenant, other_environment(tenant), new_tenant(store, &samples)];
    let all: Vec<Endpoint> = tenants.iter().map(|tenant| stored(store, &samples, *tenant, 1)).collect();
    for (one, due_at) in lease(store, 0, 1, 10).iter().zip([30, 20, 10]) {
        assert!(record(store, &one.lease(), &passed(0, due_at)));
    }
    let due: Vec<(Timestamp, EndpointId)> = all.iter().map(|one| (get(store, one).due_at, one.id)).collect();
    for due_at in [10, 20, 30] {
        let leased = lease(store, 30, 99, 1);
        let first = due.iter().find(|(time, _)| *time == at(due_at)).expect("an endpoint");
        assert_eq!(leased.iter().map(|one| one.endpoint.id).collect::<Vec<_>>(), [first.1]);
    }
    assert_eq!(lease(store, 30, 99, 1), []);
    assert_eq!(lease(store, 99, 120, 2).len(), 2);
}

pub fn each_lease_goes_to_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let tenants = [tenant, new_tenant(store, &samples)];
    let all: BTreeSet<EndpointId> = (0..6).map(|number| stored(store, &samples, tenants[number % 2], 1).id).collect();
    for round in 0..10 {
        let (now, until) = (round * 10, round * 10 + 10);
        let racers = (0..RACERS).map(|_| -> Racer<Vec<StoredEndpoint>> {
            Box::new(move |store| {
                let mut mine = Vec::new();
                for _ in 0..5 {
                    mine.extend(lease(store, now, until, 2));
                }
                mine
            })
        });
        let leased: Vec<StoredEndpoint> = race(store, racers.collect()).into_iter().flatten().collect();
        let ids: BTreeSet<EndpointId> = leased.iter().map(|one| one.endpoint.id).collect();
        assert_eq!(ids.len(), leased.len(), "no two have one: round {round}");
        assert_eq!(ids, all, "round {round}");
        assert!(leased.iter().all(|one| one.fence == round + 1 && one.due_at == at(until)));
    }
}

pub fn a_lease_that_was_lost_records_nothing(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let first = lease_one(store, 1, 50);
    // Its time is over, but no other worker has come.
    assert!(record(store, &first, &passed(1, 50)));
    let second = lease_one(store, 50, 99);
    assert_eq!(second.fence, first.fence + 1);
    let before = get(store, &one);
    let everything = DeliveryRecord {
        lanes: vec![lane(&samples, 1, 1)],
        attempts: vec![attempt(&samples, &one, 1)],
        failing_since: Some(at(3)),
        disabled: Some((DisabledReason::Gone, at(3))),
        ..passed(3, 1)
    };
    assert!(!record(store, &first, &everything));
    let renewed = store.direct(|uow| uow.webhooks().renew(&first, at(999))).expect("an answer");
    assert_eq!(renewed, None);
    assert_eq!((get(store, &one), lanes(store, &one), attempts(store, &one, None, 9)), (before, vec![], vec![]));
    assert!(record(store, &second, &everything));
    assert_eq!((get(store, &one).cursor, lanes(store, &one).len()), (3, 1));
}

pub fn a_lease_is_extended_and_given_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let held = lease_one(store, 1, 50);
    let renewed = store.direct(|uow| uow.webhooks().renew(&held, at(70))).expect("an answer");
    assert_eq!(renewed, Some(get(store, &one)));
    assert_eq!(get(store, &one).due_at, at(70));
    assert_eq!(lease(store, 69, 99, 10), []);
    assert!(record(store, &held, &passed(0, 20)));
    assert_eq!(lease(store, 19, 99, 10), []);
    assert_eq!(lease_one(store, 20, 99).fence, held.fence + 1);
}

pub fn what_a_worker_records_comes_back(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let held = lease_one(store, 1, 50);
    let texts = [Some(Excerpt::of("'\"\\ ж 🦀\n\t\u{1}\0".as_bytes())), Some(Excerpt::of(&[b'x'; 2000])), None];
    let made = AttemptOutcome::ALL.into_iter().zip(texts.into_iter().cycle()).map(|(outcome, text)| Attempt {
        customer: Some(CustomerId::new(samples.uuid())),
        number: 20,
        outcome,
        status: text.is_some().then_some(599),
        duration: Duration::from_millis(12_345),
        answer: text.clone(),
        error: text,
        ..attempt(&samples, &one, i64::MAX)
    });
    let mut made: Vec<Attempt> = made.chain([attempt(&samples, &one, 0)]).collect();
    made.sort_unstable_by_key(|attempt| attempt.id);
    let opened: Vec<Lane> = (1..=3).map(|place| lane(&samples, place, 10 - place)).collect();
    let all =
        DeliveryRecord { lanes: opened.clone(), attempts: made.clone(), failing_since: Some(at(4)), ..passed(2, 60) };
    assert!(record(store, &held, &all));
    let endpoint = Endpoint { failing_since: Some(at(4)), ..one.clone() };
    assert_eq!(get(store, &one), StoredEndpoint { endpoint, cursor: 2, fence: 1, due_at: at(60) });
    made.reverse();
    assert_eq!(attempts(store, &one, None, 10), made);
    let by_time: Vec<Lane> = opened.iter().rev().cloned().collect();
    assert_eq!(lanes(store, &one), by_time);
    let due = |until, limit| store.direct(|uow| uow.webhooks().lanes(tenant, one.id, at(until), limit));
    assert_eq!(due(8, 10).expect("lanes"), by_time[..2]);
    assert_eq!(due(8, 1).expect("lanes"), by_time[..1]);
    let first = store.direct(|uow| uow.webhooks().first_in_lanes(tenant, one.id)).expect("an answer");
    assert_eq!(first, Some(1));
}

pub fn a_lane_is_replaced_and_closed_by_its_key(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let other = endpoint(&samples, tenant);
    add(store, &other, 0);
    let leases: Vec<Lease> = lease(store, 1, 50, 10).iter().map(StoredEndpoint::lease).collect();
    let [first, second] = [1, 2].map(|place| lane(&samples, place, place));
    let again = Lane { key: LaneKey { replayed: Some(1), ..first.key }, ..first.clone() };
    let opened = DeliveryRecord { lanes: vec![first.clone(), second.clone(), again.clone()], ..passed(2, 50) };
    for lease in &leases {
        assert!(record(store, lease, &opened));
    }
    let later = Lane { next_seq: 3, attempts: 0, due_at: at(9), ..first.clone() };
    let of_one = leases.iter().find(|lease| lease.endpoint == one.id).expect("its lease");
    let missing = lane(&samples, 1, 1).key;
    let moved =
        DeliveryRecord { lanes: vec![later.clone()], closed: vec![second.key, again.key, missing], ..passed(2, 50) };
    assert!(record(store, of_one, &moved));
    assert_eq!(lanes(store, &one), [later]);
    assert_eq!(lanes(store, &other).len(), 3);
}

pub fn a_failing_endpoint_is_disabled_unless_its_owner_was_faster(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 1);
    let held = lease_one(store, 1, 50);
    let gone = DeliveryRecord { disabled: Some((DisabledReason::Gone, at(9))), ..passed(0, 9) };
    assert!(record(store, &held, &gone));
    let status = EndpointStatus::Disabled { at: at(9), reason: DisabledReason::Gone };
    let endpoint = Endpoint { status, updated_at: at(9), ..one.clone() };
    assert_eq!(get(store, &one).endpoint, endpoint);
    // Only the first disabling counts.
    let failing = DeliveryRecord { disabled: Some((DisabledReason::Failing, at(20))), ..gone };
    assert!(record(store, &held, &failing));
    assert_eq!(get(store, &one).endpoint, endpoint);
}

pub fn a_cursor_is_set_back_with_the_lanes_behind_it_and_ends_the_lease(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 9);
    let rewind = |cursor| store.direct(|uow| uow.webhooks().rewind(tenant, one.id, cursor)).expect("an answer");
    let held = lease_one(store, 1, 50);
    let [early, at_cursor, late] = [3, 5, 6].map(|place| lane(&samples, place, place));
    let again = Lane { key: LaneKey { replayed: Some(8), ..late.key }, next_seq: 8, ..late.clone() };
    let opened = vec![early.clone(), at_cursor.clone(), late, again.clone()];
    assert!(record(store, &held, &DeliveryRecord { lanes: opened, ..passed(9, 50) }));
    for ahead in [9, 10] {
        assert!(rewind(ahead));
        assert_eq!((get(store, &one).cursor, get(store, &one).fence), (9, held.fence));
    }
    assert!(rewind(5));
    let StoredEndpoint { cursor, fence, due_at, .. } = get(store, &one);
    assert_eq!((cursor, fence, due_at), (5, held.fence + 1, at(50)));
    assert_eq!(lanes(store, &one), [early, at_cursor, again]);
    // The worker learns of it, and until its time is over no other one comes.
    assert!(!record(store, &held, &passed(9, 10)));
    assert_eq!(lease(store, 49, 99, 10), []);
    let next = lease(store, 50, 99, 10);
    assert_eq!((next.len(), next[0].cursor), (1, 5));
    let unknown = EndpointId::new(samples.uuid());
    assert!(!store.direct(|uow| uow.webhooks().rewind(tenant, unknown, 0)).expect("an answer"));
}

pub fn an_event_is_sent_again_in_a_lane_of_its_own(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let held = lease_one(store, 1, 50);
    let own = lane(&samples, 2, 70);
    assert!(record(store, &held, &DeliveryRecord { lanes: vec![own.clone()], ..passed(3, 10) }));
    let again = Lane::replay(own.key.customer, 2, at(20));
    let open = |lane: &Lane| store.direct(|uow| uow.webhooks().open_lane(tenant, one.id, lane)).expect("an answer");
    assert!(open(&again));
    assert_eq!(lanes(store, &one), [again.clone(), own.clone()]);
    assert_eq!(lease(store, 19, 50, 10), []);
    let held = lease_one(store, 20, 50);
    // A second request for it replaces the first.
    let later = Lane { due_at: at(80), ..again.clone() };
    assert!(open(&later));
    assert_eq!(lanes(store, &one), [own.clone(), later]);
    assert!(record(store, &held, &DeliveryRecord { closed: vec![again.key], ..passed(3, 50) }));
    assert_eq!(lanes(store, &one), [own]);
    assert_eq!(lease(store, 69, 99, 10), []);
    let unknown = EndpointId::new(samples.uuid());
    assert!(!store.direct(|uow| uow.webhooks().open_lane(tenant, unknown, &again)).expect("an answer"));
}

pub fn records_and_changes_at_once_lose_nothing(store: &Arc<dyn Store>) {
    const ROUNDS: i64 = 20;
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 1);
    let held = lease_one(store, 1, 50);
    let work = move |store: &Arc<dyn Store>| {
        for round in 1..=ROUNDS {
            assert!(record(store, &held, &DeliveryRecord { failing_since: Some(at(round)), ..passed(round, 50) }));
        }
    };
    let describe = |number: usize| -> Racer<()> {
        let one = one.clone();
        Box::new(move |store| {
            for round in 0..ROUNDS {
                let text = EndpointDescription::parse(format!("{number} {round}")).expect("a description");
                let edit = EndpointEdit { description: Edit::Set(text), ..EndpointEdit::default() };
                change(store, &one, &edit, at(round));
            }
        })
    };
    let racers: Vec<Racer<()>> = vec![Box::new(work), describe(1), describe(2)];
    race(store, racers);
    let StoredEndpoint { endpoint, cursor, .. } = get(store, &one);
    assert_eq!((cursor, endpoint.failing_since), (ROUNDS, Some(at(ROUNDS))));
    let description = endpoint.settings.description.expect("a description");
    assert!(description.as_str().ends_with(&format!(" {}", ROUNDS - 1)), "{description:?}");
}

pub fn a_deletion_takes_lanes_and_attempts_and_refuses_what_comes_late(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 3);
    let held = lease_one(store, 1, 50);
    let made = attempt(&samples, &one, 1);
    let all = DeliveryRecord { lanes: vec![lane(&samples, 1, 1)], attempts: vec![made.clone()], ..passed(3, 50) };
    assert!(record(store, &held, &all));
    let delete = || store.direct(|uow| uow.webhooks().delete(tenant, one.id)).expect("an answer");
    assert!(delete());
    assert!(!delete());
    assert_eq!((find(store, &one), lanes(store, &one), attempts(store, &one, None, 9)), (None, vec![], vec![]));
    assert!(!record(store, &held, &all));
    let logged = store.direct(|uow| uow.webhooks().log(&made));
    assert!(matches!(logged, Err(StoreError::Internal { .. })), "{logged:?}");
    // One with its identifier begins afresh.
    add(store, &one, 3);
    assert_eq!((lanes(store, &one), attempts(store, &one, None, 9)), (vec![], vec![]));
}

pub fn pages_of_attempts_are_newest_first_and_make_up_the_whole_log(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let one = stored(store, &samples, tenant, 1);
    let held = lease_one(store, 1, 50);
    let mut made: Vec<Attempt> = (1..=7).map(|seq| attempt(&samples, &one, seq)).collect();
    assert!(record(store, &held, &DeliveryRecord { attempts: made.clone(), ..passed(1, 50) }));
    let test = Attempt { event: EventId::at(0, [1; 8]), ..attempt(&samples, &one, 0) };
    store.direct(|uow| uow.webhooks().log(&test)).expect("an attempt that is logged");
    made.push(test);
    made.reverse();
    for limit in 1..=9 {
        let mut seen: Vec<Attempt> = Vec::new();
        loop {
            let page = attempts(store, &one, seen.last().map(|last| last.id), limit);
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, made, "limit {limit}");
    }
}

pub fn old_attempts_and_those_beyond_a_number_are_found_and_deleted(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = new_tenant(store, &samples);
    let [one, other] = [tenant, elsewhere].map(|tenant| stored(store, &samples, tenant, 1));
    let few = endpoint(&samples, tenant);
    add(store, &few, 1);
    let leases: Vec<Lease> = lease(store, 1, 50, 10).iter().map(StoredEndpoint::lease).collect();
    let log = |of: &Endpoint| -> Vec<Attempt> {
        let made: Vec<Attempt> = (1..=10).map(|seq| attempt(&samples, of, seq)).collect();
        let held = leases.iter().find(|lease| lease.endpoint == of.id).expect("its lease");
        assert!(record(store, held, &DeliveryRecord { attempts: made.clone(), ..passed(1, 50) }));
        made
    };
    let [made, others] = [&one, &other].map(log);
    store.direct(|uow| uow.webhooks().log(&attempt(&samples, &few, 1))).expect("an attempt that is logged");
    let keys = |attempts: &[Attempt]| -> Vec<AttemptKey> { attempts.iter().map(AttemptKey::from).collect() };
    let outdated = |tenants: &[Tenant], oldest: &Attempt, most, limit| -> Vec<AttemptKey> {
        let found = store.direct(|uow| uow.webhooks().outdated_attempts(tenants, oldest.id, most, limit));
        let mut found = found.expect("an answer");
        found.sort_unstable();
        found
    };
    assert_eq!(outdated(&[], &made[5], 0, 100), []);
    assert_eq!(outdated(&[tenant], &made[0], 10, 100), []);
    // By age, by number, and by both.
    assert_eq!(outdated(&[tenant], &made[2], 10, 100), keys(&made[..2]));
    assert_eq!(outdated(&[tenant], &made[0], 6, 100), keys(&made[..4]));
    assert_eq!(outdated(&[tenant], &made[2], 6, 100), keys(&made[..4]));
    assert_eq!(outdated(&[tenant], &made[6], 6, 100), keys(&made[..6]));
    assert_eq!(outdated(&[tenant], &made[6], 6, 3).len(), 3);
    let both = outdated(&[tenant, elsewhere], &made[0], 9, 100);
    assert_eq!(both.len(), 2);
    let found = outdated(&[tenant], &made[2], 6, 100);
    store.direct(|uow| uow.webhooks().delete_attempts(&found)).expect("attempts that are deleted");
    let mut rest = made[4..].to_vec();
    rest.reverse();
    assert_eq!(attempts(store, &one, None, 100), rest);
    assert_eq!((attempts(store, &other, None, 100).len(), attempts(store, &few, None, 9).len()), (others.len(), 1));
    store.direct(|uow| uow.webhooks().delete_attempts(&[])).expect("nothing that is deleted");
}

/// Workers pass the events of one log, each a few under a lease of its own, and note them in the log of attempts.
pub fn many_workers_at_once_skip_no_event(store: &Arc<dyn Store>) {
    const EVENTS: i64 = 60;
    let samples = Arc::new(Samples::default());
    let tenant = new_tenant(store, &samples);
    let one = stored(store, &samples, tenant, usize::try_from(EVENTS).expect("a small number"));
    let racers = (0..RACERS).map(|_| -> Racer<()> {
        let (samples, one) = (Arc::clone(&samples), one.clone());
        Box::new(move |store| {
            // Each look is a moment of its own, so that no lease is over before it is given back, and some are anyway.
            for look in 0..200 {
                let Some(leased) = lease(store, look, look + 1, 1).pop() else { continue };
                let next = (leased.cursor + 3).min(EVENTS);
                let made = (leased.cursor + 1..=next).map(|seq| attempt(&samples, &one, seq)).collect();
                record(store, &leased.lease(), &DeliveryRecord { attempts: made, ..passed(next, look) });
            }
        })
    });
    race(store, racers.collect());
    let mut seen: Vec<i64> = attempts(store, &one, None, 1000).iter().map(|attempt| attempt.event.seq()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=get(store, &one).cursor).collect::<Vec<_>>(), "each event once, and none is missing");
    assert_eq!(get(store, &one).cursor, EVENTS);
}
