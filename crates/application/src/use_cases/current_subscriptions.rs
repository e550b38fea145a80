use roster_domain::{CustomerId, Subscription, Tenant};

use crate::Roster;
use crate::batch::serve_together;
use crate::ports::StoreError;

impl Roster {
    /// The active subscription of each customer that started last, each by itself; the results stand in the order of the
    /// customers.
    #[must_use]
    pub fn current_subscriptions(
        &self,
        customers: &[(Tenant, CustomerId)],
    ) -> Vec<Result<Option<Subscription>, StoreError>> {
        serve_together(customers, |customers| self.store.direct(|uow| uow.subscriptions().current(customers)))
    }
}
