//! The events of each day.

use roster_application::ports::{Store, StoreError};

use crate::service::{Service, sandbox, time};

/// The days that are counted, each with its events.
fn counted(service: &Service, days: u32) -> Vec<(String, i64)> {
    let counts = service.roster.count_events_by_day(service.tenant, days).expect("an answer");
    counts.iter().map(|count| (count.day.to_string(), count.events)).collect()
}

fn expect(service: &Service, expected: &[(&str, i64)]) {
    let days = u32::try_from(expected.len()).expect("few");
    let expected: Vec<_> = expected.iter().map(|(day, events)| (format!("{day}T00:00:00.000Z"), *events)).collect();
    assert_eq!(counted(service, days), expected);
}

#[test]
fn a_day_without_events_counts_none() {
    let service = Service::start();
    expect(&service, &[("2025-01-14", 0), ("2025-01-15", 0)]);
}

#[test]
fn events_count_for_the_day_in_utc_on_which_they_happened() {
    let service = Service::start();
    for (number, at) in [
        "2025-01-11T23:59:59.999Z",
        "2025-01-12T00:00:00Z",
        "2025-01-12T23:59:59.999Z",
        "2025-01-14T00:00:00Z",
        "2025-01-14T12:00:00Z",
        "2025-01-14T23:59:59.999Z",
        "2025-01-15T00:00:00Z",
    ]
    .into_iter()
    .enumerate()
    {
        service.clock.set(time(at));
        service.register_named(&number.to_string());
    }
    expect(&service, &[("2025-01-12", 2), ("2025-01-13", 0), ("2025-01-14", 3), ("2025-01-15", 1)]);
    expect(&service, &[("2025-01-15", 1)]);
    let other = service.roster.count_events_by_day(sandbox(service.tenant), 90).expect("an answer");
    assert!(other.len() == 90 && other.iter().all(|count| count.events == 0));
}

#[test]
fn events_that_are_no_longer_kept_are_not_counted() {
    let service = Service::start();
    for number in 0..4 {
        service.register_named(&number.to_string());
        service.clock.advance(6 * 60 * 60 * 1000);
    }
    expect(&service, &[("2025-01-15", 2), ("2025-01-16", 2)]);
    let store: &dyn Store = service.store.as_ref();
    store.direct(|uow| uow.events().prune(service.tenant, 3)).unwrap_or_else(|error: StoreError| panic!("{error}"));
    expect(&service, &[("2025-01-15", 0), ("2025-01-16", 1)]);
}
