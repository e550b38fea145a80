use roster_domain::{CustomerId, Subscription, Tenant};

use crate::Roster;
use crate::batch::serve_together;
use crate::ports::StoreError;

impl Roster {
    /// For each customer the active or trialing subscription that started last.
    ///
    /// The results have the order of the customers, and each has its own error.
    #[must_use]
    pub fn current_subscriptions(
        &self,
        customers: &[(Tenant, CustomerId)],
    ) -> Vec<Result<Option<Subscription>, StoreError>> {
        serve_together(customers, |customers| self.store.direct(|uow| uow.subscriptions().current(customers)))
    }
}
