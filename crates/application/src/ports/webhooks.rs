use std::time::Duration;

use roster_domain::{AttemptId, CustomerId, DisabledReason, Endpoint, EndpointId, EventId, Excerpt, Tenant, Timestamp};

use super::StoreError;

/// An endpoint as it is stored: what its owner sees, and how far its deliveries have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// All events of the log up to here were delivered or given up, are not wanted, or are in a lane.
    pub cursor: i64,
    /// Counts the leases and what ends one early. Nothing is recorded under an older number.
    pub fence: i64,
    /// From this time on it may be leased: the end of its lease, or of a pause.
    pub due_at: Timestamp,
}

impl StoredEndpoint {
    /// Names its present lease.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease { tenant: self.endpoint.tenant, endpoint: self.endpoint.id, fence: self.fence }
    }
}

/// The right of one worker to deliver to an endpoint, for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The tenant.
    pub tenant: Tenant,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The number of the lease: a worker that still has an older one records nothing.
    pub fence: i64,
}

/// Identifies a lane of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// The customer.
    pub customer: CustomerId,
    /// For one event that is sent again: its place in the log. `None`: the lane of the customer itself.
    pub replayed: Option<i64>,
}

/// What is behind the cursor and not yet delivered: the events of one customer from some place on, or one event that is sent
/// again. Events of a customer that has a lane are sent in the lane, and all others pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Which lane.
    pub key: LaneKey,
    /// The place of its next event. All wanted events of the customer before it were delivered or given up.
    pub next_seq: i64,
    /// The attempts that this event has had.
    pub attempts: u32,
    /// From this time on it is sent.
    pub due_at: Timestamp,
}

impl Lane {
    /// One event that is to be sent again at once.
    #[must_use]
    pub fn replay(customer: CustomerId, seq: i64, now: Timestamp) -> Self {
        Self { key: LaneKey { customer, replayed: Some(seq) }, next_seq: seq, attempts: 0, due_at: now }
    }
}

/// What an attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The event is delivered.
    Delivered,
    /// It failed, and is made again.
    Failed,
    /// It failed, and was the last one for this event.
    GivenUp,
    /// The endpoint has answered 410 Gone, and is disabled.
    Gone,
}

impl AttemptOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Failed, Self::GivenUp, Self::Gone];

    /// `delivered`, `failed`, `given_up` or `gone`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::Gone => "gone",
        }
    }

    /// The outcome with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// One entry of the log of attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its identifier, by which the log is in the order of time.
    pub id: AttemptId,
    /// The tenant.
    pub tenant: Tenant,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The event. That of a test has the place 0.
    pub event: EventId,
    /// The customer of the event; `None` for a test.
    pub customer: Option<CustomerId>,
    /// Counts the attempts for the event, from 1.
    pub number: u32,
    /// What it led to.
    pub outcome: AttemptOutcome,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// From the beginning of the attempt to the end of the answer, or until it was given up.
    pub duration: Duration,
    /// The start of the body of the answer.
    pub answer: Option<Excerpt>,
    /// Why there was no answer.
    pub error: Option<Excerpt>,
    /// When it began.
    pub at: Timestamp,
}

/// Identifies an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptKey {
    /// The tenant.
    pub tenant: Tenant,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The attempt.
    pub id: AttemptId,
}

impl From<&Attempt> for AttemptKey {
    fn from(attempt: &Attempt) -> Self {
        Self { tenant: attempt.tenant, endpoint: attempt.endpoint, id: attempt.id }
    }
}

/// What a worker has done under a lease. It is stored in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// The new cursor.
    pub cursor: i64,
    /// Lanes that were opened or have changed.
    pub lanes: Vec<Lane>,
    /// Lanes that are done.
    pub closed: Vec<LaneKey>,
    /// The attempts that were made.
    pub attempts: Vec<Attempt>,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
    /// Why the endpoint is to be disabled, and when it was found out.
    pub disabled: Option<(DisabledReason, Timestamp)>,
    /// From this time on the endpoint may be leased again: the end of the lease, or earlier, which gives it back.
    pub due_at: Timestamp,
}

/// Webhook endpoints, how far their deliveries have come, and the log of attempts.
///
/// What its owner changes of an endpoint is read with [`lock`](WebhookRepository::lock) and written with
/// [`update`](WebhookRepository::update) in one transaction. How far deliveries have come is written by the worker that has
/// the lease. Deleting an endpoint deletes its lanes and attempts.
pub trait WebhookRepository {
    /// Inserts an endpoint. Its deliveries begin with the event behind `cursor`, at once.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if the tenant has an endpoint with this identifier.
    fn insert(&mut self, endpoint: &Endpoint, cursor: i64) -> Result<(), StoreError>;

    /// Finds an endpoint.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError>;

    /// At most `limit` endpoints of `tenant` that follow `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(
        &mut self,
        tenant: Tenant,
        after: Option<EndpointId>,
        limit: usize,
    ) -> Result<Vec<StoredEndpoint>, StoreError>;

    /// Finds an endpoint, and locks it against its other writers until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lock(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError>;

    /// Writes an endpoint that was [locked](WebhookRepository::lock) in this transaction: all but its cursor, its fence and
    /// when it is due.
    ///
    /// # Errors
    /// [`StoreError`]
    fn update(&mut self, endpoint: &Endpoint) -> Result<(), StoreError>;

    /// Deletes an endpoint, its lanes and its attempts. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete(&mut self, tenant: Tenant, id: EndpointId) -> Result<bool, StoreError>;

    /// Sets the cursor of an endpoint back to `cursor`, unless it is there or before, and closes the lanes of customers whose
    /// next event is behind it. A lease ends with that: its worker records nothing more, and until the time of its end no other
    /// worker gets one. Returns whether there is such an endpoint.
    ///
    /// # Errors
    /// [`StoreError`]
    fn rewind(&mut self, tenant: Tenant, id: EndpointId, cursor: i64) -> Result<bool, StoreError>;

    /// Opens a lane, or puts it in the place of the one with its key. Returns whether there is such an endpoint.
    ///
    /// # Errors
    /// [`StoreError`]
    fn open_lane(&mut self, tenant: Tenant, id: EndpointId, lane: &Lane) -> Result<bool, StoreError>;

    /// Leases at most `limit` endpoints of any tenants until `until`, those that have waited longest first: active ones that are
    /// due at `now`, and whose log goes on behind their cursor or that have a lane which is due.
    ///
    /// Of any number of callers at the same time, in any number of processes, exactly one gets each lease.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lease(&mut self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<StoredEndpoint>, StoreError>;

    /// Extends a lease to `until`. Returns the endpoint as it is now, or `None` if the lease is lost.
    ///
    /// # Errors
    /// [`StoreError`]
    fn renew(&mut self, lease: &Lease, until: Timestamp) -> Result<Option<StoredEndpoint>, StoreError>;

    /// Stores what a worker has done, all of it or, if its lease is lost, nothing. Returns whether it was stored.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is stored then.
    fn record(&mut self, lease: &Lease, record: &DeliveryRecord) -> Result<bool, StoreError>;

    /// At most `limit` lanes of an endpoint that are due at `until` or before, the earliest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lanes(
        &mut self,
        tenant: Tenant,
        id: EndpointId,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Lane>, StoreError>;

    /// The place of the first event of an endpoint's lanes of customers. `None`: it has no such lane.
    ///
    /// # Errors
    /// [`StoreError`]
    fn first_in_lanes(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<i64>, StoreError>;

    /// Adds an entry to the log of an endpoint that was [locked](WebhookRepository::lock) in this transaction.
    ///
    /// # Errors
    /// [`StoreError`]
    fn log(&mut self, attempt: &Attempt) -> Result<(), StoreError>;

    /// At most `limit` attempts of an endpoint before `before`, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn attempts(
        &mut self,
        tenant: Tenant,
        id: EndpointId,
        before: Option<AttemptId>,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError>;

    /// At most `limit` attempts of endpoints of `tenants` that are before `oldest`, or that have `most` newer ones of their
    /// endpoint.
    ///
    /// # Errors
    /// [`StoreError`]
    fn outdated_attempts(
        &mut self,
        tenants: &[Tenant],
        oldest: AttemptId,
        most: usize,
        limit: usize,
    ) -> Result<Vec<AttemptKey>, StoreError>;

    /// Deletes attempts.
    ///
    /// # Errors
    /// [`StoreError`]; none is deleted then.
    fn delete_attempts(&mut self, keys: &[AttemptKey]) -> Result<(), StoreError>;
}
