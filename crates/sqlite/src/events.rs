//! Reading logs; `writes.rs` writes them with their customers.

use diesel::prelude::*;
use roster_application::Event;
use roster_application::ports::{EventQuery, EventRepository, ListOrder, StoreError};
use roster_domain::Tenant;

use crate::error::Fault;
use crate::rows::{Id, limit};
use crate::schema::{EventRow, events, events_of, feed_head_of, feed_heads};
use crate::unit_of_work::SqliteUnitOfWork;

impl EventRepository for SqliteUnitOfWork<'_> {
    fn list(&mut self, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
        self.run(|connection| {
            load(connection, query)?.into_iter().map(|row| Event::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn head(&mut self, tenant: Tenant) -> Result<i64, StoreError> {
        self.run(|connection| {
            let head = feed_head_of(tenant).select(feed_heads::seq).get_result(connection).optional()?;
            Ok(head.unwrap_or(0))
        })
    }
}

/// Runs the statement of a query, which has eight forms.
fn load(connection: &mut SqliteConnection, query: &EventQuery) -> QueryResult<Vec<EventRow>> {
    let mut page = events_of(query.tenant).filter(events::seq.between(query.first, query.last)).into_boxed();
    if let Some(customer) = query.customer {
        page = page.filter(events::customer_id.eq(Id(customer.uuid())));
    }
    if let Some(kind) = query.kind {
        page = page.filter(events::event_type.eq(kind.as_str()));
    }
    let page = page.limit(limit(query.limit));
    match query.order {
        ListOrder::Ascending => page.order(events::seq.asc()).load(connection),
        ListOrder::Descending => page.order(events::seq.desc()).load(connection),
    }
}
