use std::time::Duration;

use roster_domain::{Endpoint, Timestamp};

use super::replay_events::ALL_LANES;
use crate::ports::{Attempt, Lease, StoreError, StoredEndpoint, UnitOfWork};
use crate::{DeliveryBounds, Progress, Roster};

/// An endpoint that a worker has leased, and how far its deliveries have come.
#[derive(Debug, Clone)]
pub struct LeasedEndpoint {
    pub(super) lease: Lease,
    /// How long it lasts each time.
    pub(super) length: Duration,
    pub(super) until: Timestamp,
    pub(super) endpoint: Endpoint,
    pub(super) progress: Progress,
    /// Attempts that are not stored yet.
    pub(super) attempts: Vec<Attempt>,
}

impl LeasedEndpoint {
    /// The endpoint, as it was read last: where deliveries are to be sent to, and what they are signed with.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether no delivery is being made, so that the lease may be given back.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.progress.is_idle()
    }

    /// When the lease ends, if it is not extended.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

impl Roster {
    /// Leases at most `limit` endpoints to which something is to be sent. While a worker has one, no other worker of any instance
    /// has it.
    ///
    /// A lease lasts for `length` after it was taken, and after each recording: if its worker records nothing for so long, the
    /// endpoint is free again. An attempt must take less than half of that.
    ///
    /// # Errors
    /// [`StoreError`]. What was leased is free again after `length`.
    pub fn lease_endpoints(&self, limit: usize, length: Duration) -> Result<Vec<LeasedEndpoint>, StoreError> {
        self.lease_endpoints_within(limit, length, DeliveryBounds::default())
    }

    /// The same, with bounds of the caller.
    ///
    /// # Errors
    /// [`StoreError`]. What was leased is free again after `length`.
    pub fn lease_endpoints_within(
        &self,
        limit: usize,
        length: Duration,
        bounds: DeliveryBounds,
    ) -> Result<Vec<LeasedEndpoint>, StoreError> {
        let now = self.clock.now();
        let until = now.plus(length);
        self.store.direct(|uow| {
            let leased = uow.webhooks().lease(now, until, limit)?;
            leased.into_iter().map(|stored| open(uow, stored, (length, until), bounds)).collect()
        })
    }
}

fn open(
    uow: &mut dyn UnitOfWork,
    stored: StoredEndpoint,
    (length, until): (Duration, Timestamp),
    bounds: DeliveryBounds,
) -> Result<LeasedEndpoint, StoreError> {
    let lease = stored.lease();
    let lanes = uow.webhooks().lanes(lease.tenant, lease.endpoint, Timestamp::MAX, ALL_LANES)?;
    let StoredEndpoint { endpoint, cursor, .. } = stored;
    let progress = Progress::new(bounds, cursor, lanes, endpoint.failing_since);
    Ok(LeasedEndpoint { lease, length, until, endpoint, progress, attempts: Vec::new() })
}
