//! How far the deliveries to one webhook endpoint have come: which events may be sent now, and what an attempt changes.
//!
//! A value without I/O. A worker fills it with events of the log, takes [deliveries](Progress::next) from it, tells it [what
//! they led to](Progress::finish), and stores [what has changed](Progress::changes). What it has not stored when it is gone
//! is sent again.
//!
//! The log is read in order behind a cursor. Events of one customer are sent one after the other, those of different
//! customers at the same time. A customer whose delivery fails, or who holds the cursor up while nothing else can be sent, gets a
//! lane: the cursor passes its events, and the lane reads them from the log again, in their order. So what is stored is one
//! number, and a row for each customer that is behind it.
//!
//! An event of a customer is done if it is before the next one of the customer's lane, or if the customer has no lane and the
//! event is not behind the cursor.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use roster_domain::{CustomerId, DisabledReason, Endpoint, EventTypes, Timestamp};

use crate::Event;
use crate::ports::{AttemptOutcome, Lane, LaneKey};

/// How much of a log is held in memory, and when an endpoint is regarded as down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryBounds {
    /// The most places of the log behind the cursor that are read. Default: 250.
    pub window: i64,
    /// The most lanes of customers. If there are as many, a customer whose delivery fails holds the cursor up. Default: 1,000.
    pub lanes: usize,
    /// The most events that are read for a lane at once. Default: 20.
    pub chunk: usize,
    /// If as many customers have failed, and nothing was delivered since, the endpoint is regarded as down, and gets one
    /// delivery at a time. Default: 20.
    pub down: usize,
}

impl Default for DeliveryBounds {
    fn default() -> Self {
        Self { window: 250, lanes: 1000, chunk: 20, down: 20 }
    }
}

/// The least time between two attempts for an endpoint that is down.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest one.
const MAX_PAUSE: Duration = Duration::from_mins(5);

/// An event to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it comes from.
    pub key: LaneKey,
    /// The event.
    pub event: Event,
    /// Counts the attempts for the event, from 1.
    pub number: u32,
}

/// What an attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The endpoint has taken the event.
    Delivered,
    /// It has not.
    Failed {
        /// When to try again. `None`: the event has had all its attempts, and is given up.
        retry_at: Option<Timestamp>,
    },
    /// It has answered that it is gone for ever.
    Gone,
    /// No attempt was made: the worker stops.
    Unsent,
}

/// How far the deliveries to one endpoint have come.
#[derive(Debug, Clone)]
pub struct Progress {
    bounds: DeliveryBounds,
    /// The events up to here were read from the log.
    read_to: i64,
    /// What is not done, of each customer.
    queues: BTreeMap<LaneKey, Queue>,
    /// The lanes that differ from what is stored.
    changed: BTreeSet<LaneKey>,
    failing_since: Option<Timestamp>,
    last_failure: Option<Timestamp>,
    disabled: Option<(DisabledReason, Timestamp)>,
}

/// Events of one customer that are not done.
#[derive(Debug, Clone)]
struct Queue {
    /// The first of them, in order; that of a delivery that is being made stays the first.
    events: VecDeque<Event>,
    /// All events of the customer up to here are among them or done.
    loaded_to: i64,
    /// The place of the first one.
    next_seq: i64,
    /// The attempts that the first one has had.
    attempts: u32,
    /// From this time on the first one may be sent.
    due_at: Timestamp,
    /// Whether the cursor passes them.
    is_lane: bool,
    /// Whether the first one is being sent.
    is_busy: bool,
}

impl Progress {
    /// What is stored of an endpoint: its cursor, its lanes, and the first failure since the last success.
    #[must_use]
    pub fn new(
        bounds: DeliveryBounds,
        cursor: i64,
        lanes: impl IntoIterator<Item = Lane>,
        failing_since: Option<Timestamp>,
    ) -> Self {
        let queues = lanes.into_iter().map(|lane| (lane.key, Queue::of(&lane))).collect();
        let (changed, last_failure, disabled) = (BTreeSet::new(), None, None);
        Self { bounds, read_to: cursor, queues, changed, failing_since, last_failure, disabled }
    }

    /// Adds those of some lanes that were opened from outside to send an event again.
    pub fn add_replays(&mut self, lanes: &[Lane]) {
        for lane in lanes.iter().filter(|lane| lane.key.replayed.is_some()) {
            // One that was done here may still be stored.
            if !self.changed.contains(&lane.key) {
                self.queues.entry(lane.key).or_insert_with(|| Queue::of(lane));
            }
        }
    }

    /// The first place that is to be read, and how many from there; 0: none. `limit` is how many deliveries may be made at the
    /// same time.
    ///
    /// If further deliveries could be made, but half of the places are taken by customers that must wait, the first of these gets
    /// a lane, so that no customer waits for another.
    pub fn places_to_read(&mut self, now: Timestamp, limit: usize) -> (i64, i64) {
        loop {
            let places = self.bounds.window - (self.read_to - self.cursor());
            let busy = self.queues.values().filter(|queue| queue.is_busy).count();
            let is_clear = 2 * places > self.bounds.window
                || busy + self.sendable(now).len() >= limit
                || self.lanes_of_customers() >= self.bounds.lanes
                || self.is_down();
            let waiting = self.queues.iter().filter(|(_, queue)| !queue.is_lane);
            match waiting.min_by_key(|(_, queue)| queue.next_seq) {
                Some((&key, _)) if !is_clear => self.open_lane(key),
                _ => return (self.read_to + 1, places.max(0)),
            }
        }
    }

    /// Adds the events of the log behind those that were read, up to the place `read_to`, in their order.
    pub fn add_events(&mut self, events: Vec<Event>, read_to: i64, wanted: &EventTypes, now: Timestamp) {
        for event in events.into_iter().filter(|event| wanted.contain(event.kind)) {
            let key = LaneKey { customer: event.customer, replayed: None };
            let queue = self.queues.entry(key).or_insert_with(|| Queue::new(event.seq, now));
            // A lane reads its events again when their turn has come.
            if !queue.is_lane {
                queue.events.push_back(event);
            }
        }
        self.read_to = self.read_to.max(read_to);
    }

    /// The lanes whose turn has come and whose events are to be read, each with the first and the last place: so many that
    /// `limit` lanes wait with their events, however many are due.
    #[must_use]
    pub fn lanes_to_load(&self, now: Timestamp, limit: usize) -> Vec<(LaneKey, i64, i64)> {
        if self.disabled.is_some() {
            return Vec::new();
        }
        let is_loaded = |queue: &&Queue| queue.is_lane && !queue.is_busy && !queue.events.is_empty();
        let most = limit.saturating_sub(self.queues.values().filter(is_loaded).count());
        let is_due = |queue: &Queue| queue.events.is_empty() && queue.due_at <= now && !queue.is_busy;
        let mut due: Vec<_> = self.queues.iter().filter(|(_, queue)| is_due(queue)).collect();
        due.sort_by_key(|(_, queue)| queue.due_at);
        let range = |(key, queue): (&LaneKey, &Queue)| {
            let last = key.replayed.unwrap_or(self.read_to);
            (*key, queue.next_seq.max(queue.loaded_to + 1), last)
        };
        due.into_iter().map(range).filter(|(_, first, last)| first <= last).take(most).collect()
    }

    /// How many events a lane is to be loaded with at most.
    #[must_use]
    pub fn chunk(&self) -> usize {
        self.bounds.chunk
    }

    /// Adds the next events of a lane: all of its customer up to the place `loaded_to`, in their order. A lane without further
    /// events is closed.
    pub fn load_lane(&mut self, key: LaneKey, events: Vec<Event>, loaded_to: i64, wanted: &EventTypes) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        queue.events.extend(events.into_iter().filter(|event| key.replayed.is_some() || wanted.contain(event.kind)));
        queue.loaded_to = queue.loaded_to.max(loaded_to);
        let next = queue.events.front().map_or(queue.loaded_to + 1, |event| event.seq);
        if next != queue.next_seq {
            // The attempts were those of an event that is not wanted any more.
            (queue.next_seq, queue.attempts) = (next, 0);
            self.changed.insert(key);
        }
        self.close_if_done(key);
    }

    /// The events to be sent now, so that at most `limit` are being sent at the same time. Each must be
    /// [finished](Progress::finish).
    pub fn next(&mut self, now: Timestamp, limit: usize) -> Vec<Delivery> {
        if self.disabled.is_some() {
            return Vec::new();
        }
        let busy = self.queues.values().filter(|queue| queue.is_busy).count();
        let limit = if self.is_down() { usize::from(self.probe_at() <= now).min(limit) } else { limit };
        let chosen = self.sendable(now).into_iter().take(limit.saturating_sub(busy));
        chosen.collect::<Vec<_>>().into_iter().filter_map(|key| self.start(key)).collect()
    }

    fn start(&mut self, key: LaneKey) -> Option<Delivery> {
        let queue = self.queues.get_mut(&key)?;
        let event = queue.events.front()?.clone();
        queue.is_busy = true;
        Some(Delivery { key, event, number: queue.attempts + 1 })
    }

    /// Takes deliveries back that were not begun.
    pub fn take_back(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            if let Some(queue) = self.queues.get_mut(&delivery.key) {
                queue.is_busy = false;
            }
        }
    }

    /// What may be sent now, in the order in which it has waited, and of each customer one. Of an endpoint that is down, those
    /// come first that have not failed yet: if one of them succeeds, it was not down.
    fn sendable(&self, now: Timestamp) -> Vec<LaneKey> {
        let is_down = self.is_down();
        let mut customers: BTreeSet<CustomerId> =
            self.queues.iter().filter(|(_, queue)| queue.is_busy).map(|(key, _)| key.customer).collect();
        let is_ready = |queue: &Queue| !queue.is_busy && !queue.events.is_empty() && queue.due_at <= now;
        let mut ready: Vec<_> = self.queues.iter().filter(|(_, queue)| is_ready(queue)).collect();
        ready.sort_by_key(|(_, queue)| (is_down && queue.is_lane, queue.due_at, queue.next_seq));
        ready.into_iter().map(|(key, _)| *key).filter(|key| customers.insert(key.customer)).collect()
    }

    /// Says what a delivery led to. Returns what is logged; `None` if no attempt was made.
    pub fn finish(&mut self, delivery: &Delivery, outcome: DeliveryOutcome, now: Timestamp) -> Option<AttemptOutcome> {
        let key = delivery.key;
        let is_sent = |queue: &&mut Queue| queue.is_busy && queue.next_seq == delivery.event.seq;
        let queue = self.queues.get_mut(&key).filter(is_sent)?;
        queue.is_busy = false;
        match outcome {
            DeliveryOutcome::Unsent => None,
            DeliveryOutcome::Gone => {
                self.disabled.get_or_insert((DisabledReason::Gone, now));
                Some(AttemptOutcome::Gone)
            }
            DeliveryOutcome::Delivered => {
                (self.failing_since, self.last_failure) = (None, None);
                self.pass(key, now);
                Some(AttemptOutcome::Delivered)
            }
            DeliveryOutcome::Failed { retry_at: None } => {
                self.fail(now);
                self.pass(key, now);
                if self.queues.is_empty() {
                    // Nothing is left that could fail: the next event must not end a period that began long ago.
                    self.failing_since = None;
                }
                Some(AttemptOutcome::GivenUp)
            }
            DeliveryOutcome::Failed { retry_at: Some(due_at) } => {
                queue.attempts += 1;
                queue.due_at = due_at;
                self.fail(now);
                self.open_lane(key);
                self.unload(key);
                Some(AttemptOutcome::Failed)
            }
        }
    }

    /// Goes on to the next event of a customer.
    fn pass(&mut self, key: LaneKey, now: Timestamp) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let done = queue.events.pop_front();
        let next = queue.events.front().map(|event| event.seq);
        queue.next_seq = next.or(done.map(|done| done.seq + 1)).unwrap_or(queue.next_seq);
        (queue.attempts, queue.due_at) = (0, now);
        if queue.is_lane {
            self.changed.insert(key);
        }
        self.close_if_done(key);
    }

    fn close_if_done(&mut self, key: LaneKey) {
        let is_done = |queue: &Queue| {
            let is_loaded = !queue.is_lane || key.replayed.is_some() || queue.loaded_to >= self.read_to;
            queue.events.is_empty() && is_loaded
        };
        if self.queues.get(&key).is_some_and(is_done) {
            self.queues.remove(&key);
        }
    }

    /// Gives the customer a lane, or notes that the one it has is another than the one that is stored.
    fn open_lane(&mut self, key: LaneKey) {
        let has_room = self.lanes_of_customers() < self.bounds.lanes;
        let (read_to, chunk) = (self.read_to, self.bounds.chunk);
        let Some(queue) = self.queues.get_mut(&key).filter(|queue| queue.is_lane || has_room) else { return };
        if !queue.is_lane {
            queue.is_lane = true;
            queue.loaded_to = read_to;
            if queue.events.len() > chunk {
                queue.events.truncate(chunk);
                queue.loaded_to = queue.events.back().map_or(queue.next_seq - 1, |event| event.seq);
            }
        }
        self.changed.insert(key);
    }

    /// Forgets the events of a lane, which may wait for long.
    fn unload(&mut self, key: LaneKey) {
        if let Some(queue) = self.queues.get_mut(&key).filter(|queue| queue.is_lane) {
            queue.events.clear();
            queue.loaded_to = queue.next_seq - 1;
        }
    }

    fn fail(&mut self, now: Timestamp) {
        let since = *self.failing_since.get_or_insert(now);
        self.last_failure = Some(now);
        if now.since(since) >= Endpoint::MAX_FAILING {
            self.disabled.get_or_insert((DisabledReason::Failing, now));
        }
    }

    fn lanes_of_customers(&self) -> usize {
        self.queues.iter().filter(|(key, queue)| queue.is_lane && key.replayed.is_none()).count()
    }

    /// Whether the endpoint is regarded as down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        let failed = self.queues.values().filter(|queue| queue.attempts > 0).count();
        self.failing_since.is_some() && failed >= self.bounds.down
    }

    /// When the next attempt may be made for an endpoint that is down: the longer it is, the later.
    fn probe_at(&self) -> Timestamp {
        let (Some(since), Some(last)) = (self.failing_since, self.last_failure) else {
            // This worker has made none yet; when the endpoint was due says how long to wait.
            return Timestamp::MIN;
        };
        last.plus((last.since(since) / 4).clamp(MIN_PAUSE, MAX_PAUSE))
    }

    /// All events up to here are done, or in lanes.
    #[must_use]
    pub fn cursor(&self) -> i64 {
        let waiting = self.queues.values().filter(|queue| !queue.is_lane).map(|queue| queue.next_seq);
        waiting.min().map_or(self.read_to, |first| first - 1)
    }

    /// The first failure since the last success.
    #[must_use]
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// Why the endpoint is to be disabled, and since when.
    #[must_use]
    pub fn disabled(&self) -> Option<(DisabledReason, Timestamp)> {
        self.disabled
    }

    /// Whether no delivery is being made.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.queues.values().any(|queue| queue.is_busy)
    }

    /// The lanes that were opened or have changed, and those that are done, since the last [recording](Progress::recorded).
    #[must_use]
    pub fn changes(&self) -> (Vec<Lane>, Vec<LaneKey>) {
        let (mut lanes, mut closed) = (Vec::new(), Vec::new());
        for &key in &self.changed {
            match self.queues.get(&key).filter(|queue| queue.is_lane) {
                Some(queue) => lanes.push(queue.lane(key)),
                None => closed.push(key),
            }
        }
        (lanes, closed)
    }

    /// Notes that all changes are stored.
    pub fn recorded(&mut self) {
        self.changed.clear();
    }

    /// When the endpoint is to be looked at again by the worker that gets it next, if its lease is given back now.
    #[must_use]
    pub fn due_after(&self, now: Timestamp) -> Timestamp {
        if self.is_down() {
            return self.probe_at().max(now);
        }
        // A customer that holds the cursor up has no lane that says when it is due.
        let waits = self.queues.values().any(|queue| !queue.is_lane && queue.due_at > now);
        let next = self.queues.values().map(|queue| queue.due_at).min().filter(|_| waits);
        next.map_or(now, |next| next.max(now))
    }
}

impl Queue {
    fn new(next_seq: i64, now: Timestamp) -> Self {
        let (events, attempts) = (VecDeque::new(), 0);
        Self { events, loaded_to: next_seq - 1, next_seq, attempts, due_at: now, is_lane: false, is_busy: false }
    }

    fn of(lane: &Lane) -> Self {
        Self { attempts: lane.attempts, is_lane: true, ..Self::new(lane.next_seq, lane.due_at) }
    }

    fn lane(&self, key: LaneKey) -> Lane {
        Lane { key, next_seq: self.next_seq, attempts: self.attempts, due_at: self.due_at }
    }
}

#[cfg(test)]
mod tests;
