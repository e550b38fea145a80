use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use roster_domain::{Environment, EventType, MerchantId, Tenant};
use uuid::Uuid;

use super::*;
use crate::Attribution;

const SMALL: DeliveryBounds = DeliveryBounds { window: 4, lanes: 3, chunk: 2, down: 100 };

/// The most deliveries that are made at the same time.
const MOST_AT_ONCE: usize = 3;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).expect("a time")
}

fn customer(number: u128) -> CustomerId {
    CustomerId::new(Uuid::from_u128(number))
}

fn event(seq: i64, of: u128) -> Event {
    Event {
        tenant: Tenant { merchant: MerchantId::new(Uuid::nil()), environment: Environment::Live },
        seq,
        customer: customer(of),
        subscription: None,
        version: seq,
        kind: EventType::CustomerUpdated,
        changes: String::new(),
        attribution: Attribution::default(),
        created_at: at(0),
    }
}

fn failed(retry_at: i64) -> DeliveryOutcome {
    DeliveryOutcome::Failed { retry_at: Some(at(retry_at)) }
}

const GIVEN_UP: DeliveryOutcome = DeliveryOutcome::Failed { retry_at: None };

/// The log, what is stored of one endpoint, what its receiver has taken, and the worker.
struct World {
    bounds: DeliveryBounds,
    log: Vec<Event>,
    cursor: i64,
    lanes: BTreeMap<LaneKey, Lane>,
    failing_since: Option<Timestamp>,
    now: i64,
    worker: Progress,
    in_flight: Vec<Delivery>,
    /// What the receiver has taken, or what was given up.
    done: BTreeSet<i64>,
    /// The last place that was taken of each customer since the worker began.
    last: BTreeMap<CustomerId, i64>,
}

fn wanted() -> EventTypes {
    EventTypes::parse(["customer.updated"]).expect("a type")
}

impl World {
    fn new(bounds: DeliveryBounds) -> Self {
        Self {
            bounds,
            log: Vec::new(),
            cursor: 0,
            lanes: BTreeMap::new(),
            failing_since: None,
            now: 0,
            worker: Progress::new(bounds, 0, [], None),
            in_flight: Vec::new(),
            done: BTreeSet::new(),
            last: BTreeMap::new(),
        }
    }

    fn of(bounds: DeliveryBounds, customers: &[u128]) -> Self {
        let mut world = Self::new(bounds);
        for of in customers {
            world.append(*of, true);
        }
        world
    }

    /// The last place of the log.
    fn head(&self) -> i64 {
        i64::try_from(self.log.len()).expect("a small number")
    }

    fn append(&mut self, of: u128, is_wanted: bool) {
        let kind = if is_wanted { EventType::CustomerUpdated } else { EventType::CustomerDeleted };
        let seq = self.head() + 1;
        self.log.push(Event { kind, ..event(seq, of) });
    }

    fn read(&self, first: i64, last: i64, of: Option<CustomerId>, limit: usize) -> Vec<Event> {
        let is_found = |event: &&Event| {
            (first..=last).contains(&event.seq) && of.is_none_or(|customer| event.customer == customer)
        };
        self.log.iter().filter(is_found).take(limit).cloned().collect()
    }

    /// What the use case does: it fills the worker, and takes deliveries.
    fn step(&mut self, limit: usize) {
        let now = at(self.now);
        let (first, places) = self.worker.places_to_read(now, limit);
        let last = (first + places - 1).min(self.head());
        if first <= last {
            self.worker.add_events(self.read(first, last, None, usize::MAX), last, &wanted(), now);
        }
        let stored: Vec<Lane> = self.lanes.values().filter(|lane| lane.due_at <= now).cloned().collect();
        self.worker.add_replays(&stored);
        for (key, first, last) in self.worker.lanes_to_load(now, limit) {
            let events = self.read(first, last, Some(key.customer), self.worker.chunk());
            let loaded_to = if events.len() < self.worker.chunk() { last } else { events[events.len() - 1].seq };
            self.worker.load_lane(key, events, loaded_to, &wanted());
        }
        let deliveries = self.worker.next(now, limit);
        self.in_flight.extend(deliveries);
        let customers: BTreeSet<CustomerId> = self.in_flight.iter().map(|one| one.key.customer).collect();
        assert_eq!(customers.len(), self.in_flight.len(), "one delivery of each customer at a time");
        assert!(self.in_flight.len() <= limit);
        assert!(self.worker.lanes_of_customers() <= self.bounds.lanes);
        let held: usize = self.worker.queues.values().map(|queue| queue.events.len()).sum();
        let window = usize::try_from(self.bounds.window).expect("a small number");
        let most = window + 2 * MOST_AT_ONCE * self.bounds.chunk;
        assert!(held <= most, "{held} events in memory");
    }

    fn wanted_of(&self, of: CustomerId) -> impl Iterator<Item = i64> {
        let is_wanted = move |event: &&Event| event.customer == of && event.kind == EventType::CustomerUpdated;
        self.log.iter().filter(is_wanted).map(|event| event.seq)
    }

    /// The receiver takes an event.
    fn take(&mut self, delivery: &Delivery) {
        let (of, seq) = (delivery.event.customer, delivery.event.seq);
        if delivery.key.replayed.is_none() {
            let missing: Vec<i64> = self.wanted_of(of).filter(|one| *one < seq && !self.done.contains(one)).collect();
            assert_eq!(missing, [0; 0], "{seq} came before these");
            let last = self.last.insert(of, seq);
            assert!(last.is_none_or(|last| last < seq), "{seq} came after {last:?}");
        }
        self.done.insert(seq);
    }

    fn finish(&mut self, place: usize, outcome: DeliveryOutcome) {
        if self.in_flight.is_empty() {
            return;
        }
        let delivery = self.in_flight.remove(place % self.in_flight.len());
        match outcome {
            DeliveryOutcome::Delivered => self.take(&delivery),
            GIVEN_UP => {
                self.done.insert(delivery.event.seq);
            }
            _ => {}
        }
        let logged = self.worker.finish(&delivery, outcome, at(self.now));
        assert_eq!(logged.is_none(), outcome == DeliveryOutcome::Unsent);
        assert_eq!(self.worker.finish(&delivery, outcome, at(self.now)), None, "a delivery is finished once");
    }

    fn record(&mut self) {
        let cursor = self.worker.cursor();
        assert!(cursor >= self.cursor, "the cursor never goes back by itself");
        self.cursor = cursor;
        let (changed, closed) = self.worker.changes();
        for key in closed {
            self.lanes.remove(&key);
        }
        self.lanes.extend(changed.into_iter().map(|lane| (lane.key, lane)));
        self.failing_since = self.worker.failing_since();
        self.worker.recorded();
        self.assert_nothing_is_skipped();
    }

    /// Each wanted event that is not done is behind the cursor, or in the lane of its customer.
    fn assert_nothing_is_skipped(&self) {
        for event in self.log.iter().filter(|event| event.kind == EventType::CustomerUpdated) {
            let lane = self.lanes.get(&LaneKey { customer: event.customer, replayed: None });
            let is_kept = lane.map_or(event.seq > self.cursor, |lane| event.seq >= lane.next_seq);
            assert!(is_kept || self.done.contains(&event.seq), "{} is skipped", event.seq);
        }
    }

    /// The worker is gone; some of what it had sent has come to the receiver.
    fn crash(&mut self, received: u8) {
        for (place, delivery) in std::mem::take(&mut self.in_flight).into_iter().enumerate() {
            if received >> (place % 8) & 1 == 1 {
                self.take(&delivery);
            }
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.in_flight.clear();
        self.last.clear();
        self.worker = Progress::new(self.bounds, self.cursor, self.lanes.values().cloned(), self.failing_since);
    }

    fn rewind(&mut self, cursor: i64) {
        if cursor < self.cursor {
            self.cursor = cursor;
            self.lanes.retain(|key, lane| key.replayed.is_some() || lane.next_seq <= cursor);
        }
        self.restart();
    }

    /// Sends until nothing is left; `outcome` says what a delivery leads to, `None`: it never ends.
    fn run(&mut self, limit: usize, mut outcome: impl FnMut(&Delivery) -> Option<DeliveryOutcome>) {
        let mut endless: Vec<Delivery> = Vec::new();
        for _ in 0..10_000 {
            self.in_flight.append(&mut endless);
            self.step(limit);
            let (ended, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.in_flight).into_iter().partition(|delivery| outcome(delivery).is_some());
            endless = rest;
            if ended.is_empty() && self.worker.places_to_read(at(self.now), limit).1 == 0
                || ended.is_empty() && self.worker.read_to == self.head()
            {
                self.in_flight = endless;
                return;
            }
            for delivery in ended {
                let outcome = outcome(&delivery).expect("an end");
                self.in_flight = vec![delivery];
                self.finish(0, outcome);
            }
        }
        panic!("it has no end");
    }

    fn undone(&self) -> Vec<i64> {
        let wanted = self.log.iter().filter(|event| event.kind == EventType::CustomerUpdated);
        wanted.map(|event| event.seq).filter(|seq| !self.done.contains(seq)).collect()
    }
}

#[derive(Debug, Clone)]
enum Action {
    Append { of: u128, is_wanted: bool },
    Step { limit: usize },
    Finish { place: usize, outcome: u8 },
    Record,
    Crash { received: u8 },
    Wait { millis: i64 },
    Rewind { back: i64 },
    Replay { place: usize },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..5u128, prop::bool::weighted(0.8)).prop_map(|(of, is_wanted)| Action::Append { of, is_wanted }),
        6 => (1..=MOST_AT_ONCE).prop_map(|limit| Action::Step { limit }),
        8 => (0..4usize, 0..10u8).prop_map(|(place, outcome)| Action::Finish { place, outcome }),
        4 => Just(Action::Record),
        1 => any::<u8>().prop_map(|received| Action::Crash { received }),
        3 => (1..30i64).prop_map(|millis| Action::Wait { millis }),
        1 => (0..10i64).prop_map(|back| Action::Rewind { back }),
        1 => (0..50usize).prop_map(|place| Action::Replay { place }),
    ]
}

fn act(world: &mut World, action: &Action) {
    match *action {
        Action::Append { of, is_wanted } => world.append(of, is_wanted),
        Action::Step { limit } if world.in_flight.len() <= limit => world.step(limit),
        Action::Step { .. } => {}
        Action::Finish { place, outcome } => {
            let outcome = match outcome {
                0..5 => DeliveryOutcome::Delivered,
                5..8 => failed(world.now + 10),
                8 => GIVEN_UP,
                _ => DeliveryOutcome::Unsent,
            };
            world.finish(place, outcome);
        }
        Action::Record => world.record(),
        Action::Crash { received } => world.crash(received),
        Action::Wait { millis } => world.now += millis,
        Action::Rewind { back } => world.rewind((world.cursor - back).max(0)),
        Action::Replay { place } => {
            if let Some(event) = world.log.get(place) {
                let lane = Lane::replay(event.customer, event.seq, at(world.now));
                world.lanes.insert(lane.key, lane);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// `take` checks the order of each customer, `record` that nothing is lost.
    #[test]
    fn each_customer_gets_all_its_events_in_order_whatever_fails_and_crashes(
        actions in prop::collection::vec(action(), 0..120),
        lanes in 0..4usize,
        down in 1..5usize,
    ) {
        let mut world = World::new(DeliveryBounds { lanes, down, ..SMALL });
        for action in &actions {
            act(&mut world, action);
        }
        world.crash(0);
        // Now everything succeeds. What waits for another attempt waits no longer than this.
        for _ in 0..20 {
            world.now += 400_000;
            world.run(3, |_| Some(DeliveryOutcome::Delivered));
            world.record();
        }
        prop_assert_eq!(world.undone(), [0; 0]);
        prop_assert_eq!((world.cursor, world.lanes.len()), (world.head(), 0));
        prop_assert_eq!(world.worker.disabled(), None);
    }
}

/// Many events of all customers, in turn.
fn in_turn(customers: u128, rounds: usize) -> Vec<u128> {
    (0..rounds).flat_map(|_| 0..customers).collect()
}

#[test]
fn a_customer_whose_deliveries_fail_holds_up_no_other() {
    let mut world = World::of(SMALL, &in_turn(5, 20));
    let result = |delivery: &Delivery| {
        Some(if delivery.key.customer == customer(0) { failed(1000) } else { DeliveryOutcome::Delivered })
    };
    world.run(3, result);
    let of_first: Vec<i64> = world.wanted_of(customer(0)).collect();
    assert_eq!(world.undone(), of_first);
    world.record();
    assert_eq!((world.cursor, world.lanes.len()), (100, 1));
    let lane = world.lanes.values().next().expect("a lane");
    assert_eq!((lane.next_seq, lane.attempts, lane.due_at), (1, 1, at(1000)));
}

#[test]
fn a_customer_whose_delivery_never_ends_holds_up_no_other() {
    let mut world = World::of(SMALL, &in_turn(5, 20));
    world.run(3, |delivery| (delivery.key.customer != customer(0)).then_some(DeliveryOutcome::Delivered));
    let of_first: Vec<i64> = world.wanted_of(customer(0)).collect();
    assert_eq!(world.undone(), of_first);
    world.record();
    let lane = world.lanes.values().next().expect("a lane");
    assert_eq!((world.lanes.len(), lane.next_seq, lane.attempts), (1, 1, 0));
}

#[test]
fn a_customer_with_many_events_holds_up_no_other() {
    let mut customers = vec![0; 50];
    customers.extend(in_turn(4, 5));
    let mut world = World::of(SMALL, &customers);
    // Two deliveries at a time: in each round one of the first customer, and one of another as soon as there is one.
    let mut rounds_until_others = 0;
    while world.undone().iter().any(|seq| *seq > 50 && (seq - 51) % 4 > 0) {
        world.step(2);
        (0..world.in_flight.len()).for_each(|_| world.finish(0, DeliveryOutcome::Delivered));
        rounds_until_others += 1;
    }
    assert!(rounds_until_others < 30, "{rounds_until_others} rounds");
    assert!(world.undone().len() > 20, "those of the first customer are not all done");
}

#[test]
fn waiting_for_an_earlier_event_uses_up_no_attempt() {
    let mut world = World::of(SMALL, &[7, 7]);
    for attempt in 1..=3 {
        world.step(3);
        assert_eq!((world.in_flight[0].event.seq, world.in_flight[0].number), (1, attempt));
        world.finish(0, failed(world.now + 10));
        world.now += 10;
    }
    world.step(3);
    world.finish(0, DeliveryOutcome::Delivered);
    world.step(3);
    assert_eq!((world.in_flight[0].event.seq, world.in_flight[0].number), (2, 1));
}

#[test]
fn an_event_that_is_given_up_is_passed() {
    let mut world = World::of(SMALL, &[7, 7]);
    world.step(3);
    world.finish(0, GIVEN_UP);
    assert_eq!(world.worker.failing_since(), Some(at(0)));
    world.step(3);
    assert_eq!(world.in_flight[0].event.seq, 2);
    world.finish(0, GIVEN_UP);
    world.record();
    // Nothing is left that fails.
    assert_eq!((world.cursor, world.lanes.len(), world.failing_since), (2, 0, None));
}

#[test]
fn an_endpoint_that_is_down_gets_one_delivery_at_a_time_and_recovers() {
    let mut world = World::of(DeliveryBounds { down: 3, lanes: 10, window: 10, chunk: 2 }, &in_turn(8, 1));
    world.step(3);
    (0..3).for_each(|_| world.finish(0, failed(0)));
    assert!(world.worker.is_down());
    world.step(3);
    assert_eq!(world.in_flight, [], "not at once");
    assert_eq!(world.worker.due_after(at(0)), at(1000));
    for now in [1000, 2000] {
        world.now = now;
        world.step(3);
        assert_eq!(world.in_flight.len(), 1);
        // Those that have not failed come first.
        assert!(world.in_flight[0].event.seq > 3);
        world.finish(0, failed(0));
    }
    world.now = 3000;
    world.run(3, |_| Some(DeliveryOutcome::Delivered));
    assert_eq!(world.undone(), [0; 0]);
    assert!(!world.worker.is_down());
}

#[test]
fn the_pause_between_attempts_of_an_endpoint_that_is_down_grows_up_to_five_minutes() {
    let mut world = World::of(DeliveryBounds { down: 1, lanes: 10, window: 10, chunk: 2 }, &[7]);
    for (now, pause) in [(0, 1000), (40_000, 10_000), (36_000_000, 300_000)] {
        world.now = now;
        world.step(1);
        world.finish(0, failed(now));
        assert_eq!(world.worker.due_after(at(now)), at(now + pause));
    }
}

#[test]
fn an_endpoint_is_disabled_after_five_days_of_failures_or_if_it_is_gone() {
    let days = |days: i64| days * 24 * 3_600_000;
    let mut world = World::of(SMALL, &[7, 8]);
    for now in [0, days(5) - 1] {
        world.now = now;
        world.step(1);
        world.finish(0, failed(now));
        world.record();
        world.restart();
        assert_eq!(world.worker.disabled(), None);
    }
    world.now = days(5);
    world.step(1);
    world.finish(0, failed(world.now));
    assert_eq!(world.worker.disabled(), Some((DisabledReason::Failing, at(days(5)))));
    world.step(1);
    assert_eq!(world.in_flight, []);

    let mut world = World::of(SMALL, &[7, 8]);
    world.step(2);
    world.finish(0, DeliveryOutcome::Gone);
    assert_eq!(world.worker.disabled(), Some((DisabledReason::Gone, at(0))));
    // The other delivery is not lost, and the event waits until the endpoint is active again.
    world.finish(0, DeliveryOutcome::Delivered);
    world.record();
    assert_eq!((world.undone(), world.cursor), (vec![1], 0));
}

#[test]
fn a_success_ends_the_period_of_failures() {
    let mut world = World::of(SMALL, &[7, 8]);
    world.step(2);
    world.finish(0, failed(1));
    assert_eq!(world.worker.failing_since(), Some(at(0)));
    world.finish(0, DeliveryOutcome::Delivered);
    assert_eq!(world.worker.failing_since(), None);
}

#[test]
fn a_customer_without_room_for_a_lane_holds_the_cursor_up_and_keeps_its_pause() {
    let mut world = World::of(DeliveryBounds { lanes: 0, ..SMALL }, &[7, 8]);
    world.step(2);
    world.finish(0, failed(50));
    world.finish(0, DeliveryOutcome::Delivered);
    world.record();
    assert_eq!((world.cursor, world.lanes.len()), (0, 0));
    assert_eq!(world.worker.due_after(at(0)), at(50));
}

#[test]
fn one_event_is_sent_again_beside_the_others_of_its_customer() {
    let mut world = World::of(SMALL, &[7, 8]);
    world.run(2, |_| Some(DeliveryOutcome::Delivered));
    world.record();
    let lane = Lane::replay(customer(7), 1, at(0));
    world.lanes.insert(lane.key, lane.clone());
    world.append(7, true);
    world.step(2);
    // One of each customer at a time.
    assert_eq!(world.in_flight.len(), 1);
    world.run(2, |_| Some(DeliveryOutcome::Delivered));
    assert_eq!(world.in_flight, []);
    world.step(2);
    world.record();
    assert_eq!((world.lanes.len(), world.cursor), (0, 3));
}

#[test]
fn types_that_are_not_wanted_are_passed() {
    let mut world = World::new(SMALL);
    (0..50).for_each(|_| world.append(7, false));
    world.append(7, true);
    world.run(1, |_| Some(DeliveryOutcome::Delivered));
    world.record();
    assert_eq!((world.cursor, world.done.len()), (51, 1));
}
