use std::ops::ControlFlow;
use std::time::Duration;

use roster_domain::{Customer, Tenant};

use super::list_events::extent;
use crate::Roster;
use crate::ports::{CustomerFilter, CustomerQuery, ListOrder, MAX_ROWS, Place, StoreError};

/// A list of customers to be read to its end, as it is at one moment.
#[derive(Debug, Clone)]
pub struct Export {
    /// The tenant.
    pub tenant: Tenant,
    /// Which of its customers.
    pub filter: CustomerFilter,
    /// How long it may take, at most [`MAX_SNAPSHOT_AGE`](crate::ports::MAX_SNAPSHOT_AGE).
    pub age: Duration,
}

/// A part of an export.
#[derive(Debug)]
pub struct ExportPart {
    /// The next customers. There may be none, and more follow.
    pub customers: Vec<Customer>,
    /// The last place of the tenant's log at the moment of the export: what is behind it happened after it.
    pub position: i64,
    /// Whether it is the last.
    pub is_last: bool,
}

/// Why an export ended before its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExportError {
    /// It took longer than it may.
    #[error("it took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
    /// Its reader wants no more.
    #[error("its reader has stopped")]
    Stopped,
    /// The store failed.
    #[error("the customers cannot be read")]
    Store(#[from] StoreError),
}

/// The customers of the first part, and the fewest that are read at once.
const MIN_CUSTOMERS: usize = 50;

/// The most customers of a part.
const MAX_CUSTOMERS: usize = 1000;

/// The bytes that parts grow to, roughly: several parts may be in memory.
const PART_BYTES: usize = 512 << 10;

/// What a customer has in bytes besides its metadata, roughly.
const PROFILE_BYTES: usize = 512;

/// How many customers the next part may have, after one of these.
fn next_limit(customers: &[Customer]) -> usize {
    let bytes: usize = customers.iter().map(|one| PROFILE_BYTES + one.profile().metadata.as_str().len()).sum();
    (PART_BYTES * customers.len() / bytes.max(1)).clamp(MIN_CUSTOMERS, MAX_CUSTOMERS)
}

impl Roster {
    /// Gives the customers of a list to `take`, part by part, in the order in which they were registered, or
    /// [created](CustomerFilter::is_by_creation). All are as they were at one moment, and memory holds one part of them.
    ///
    /// `take` is called at least once. What it takes long for keeps the moment: it must give up in time by itself.
    ///
    /// # Errors
    /// [`ExportError`]. `take` may have had parts before.
    pub fn export_customers(
        &self,
        export: &Export,
        take: &mut dyn FnMut(ExportPart) -> ControlFlow<()>,
    ) -> Result<(), ExportError> {
        let Export { tenant, filter, age } = export;
        let begun = self.now();
        self.store.snapshot(*age, |uow| {
            let position = extent(uow, *tenant)?.head;
            let (mut after, mut limit) = (None, MIN_CUSTOMERS);
            loop {
                let query = CustomerQuery {
                    tenant: *tenant,
                    filter: filter.clone(),
                    order: ListOrder::Ascending,
                    after,
                    offset: 0,
                    limit,
                    max_rows: MAX_ROWS,
                };
                let listed = uow.customers().list(&query)?;
                let is_full = listed.customers.len() == query.limit;
                limit = next_limit(&listed.customers);
                after = if is_full { listed.customers.last().map(Place::from) } else { listed.stopped_at };
                let part = ExportPart { customers: listed.customers, position, is_last: after.is_none() };
                let is_last = part.is_last;
                if take(part).is_break() {
                    return Err(ExportError::Stopped);
                }
                if is_last {
                    return Ok(());
                }
                if self.now().since(begun) > *age {
                    return Err(ExportError::TooSlow(*age));
                }
            }
        })
    }
}
