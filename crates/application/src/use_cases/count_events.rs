use std::time::Duration;

use roster_domain::{Tenant, Timestamp};

use crate::Roster;
use crate::ports::StoreError;

const DAY: Duration = Duration::from_hours(24);

/// How many events of a tenant happened on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsOfDay {
    /// When the day begins: midnight in UTC.
    pub day: Timestamp,
    /// The events of that day that are still kept.
    pub events: i64,
}

impl Roster {
    /// The number of a tenant's events on each of the last `days` days in UTC, the oldest first and today last.
    ///
    /// The places of a log have no gaps, so a day has as many events as there are places from its first event to the first event of
    /// the next day. That takes a search for each midnight and no count, however many events there are. `created_at` comes from the
    /// clocks of instances: where they differ, an event near midnight may count for the other day.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn count_events_by_day(&self, tenant: Tenant, days: u32) -> Result<Vec<EventsOfDay>, StoreError> {
        let tomorrow = self.clock.now().midnight().plus(DAY);
        let midnights: Vec<Timestamp> = (0..=days).rev().map(|back| tomorrow.minus(DAY * back)).collect();
        let bounds = self.store.direct(|uow| uow.events().lower_bounds(tenant, &midnights))?;
        let counts = bounds.iter().zip(bounds.iter().skip(1)).map(|(first, next)| next - first);
        Ok(midnights.into_iter().zip(counts).map(|(day, events)| EventsOfDay { day, events }).collect())
    }
}
