use roster_domain::{CustomerId, Subscription, Tenant};

use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// The active subscription of each customer that started last; the results stand in the order of the customers.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn current_subscriptions(
        &self,
        tenant: Tenant,
        customers: &[CustomerId],
    ) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.store.direct(|uow| uow.subscriptions().current(tenant, customers))
    }
}
