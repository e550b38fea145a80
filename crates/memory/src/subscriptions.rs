//! The subscriptions that a billing engine reported.

use roster_application::ports::{
    CustomerSubscription, StoreError, SubscriptionCursor, SubscriptionKey, SubscriptionRepository,
};
use roster_domain::{CustomerId, Subscription, SubscriptionId, Tenant, Timestamp};

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

impl SubscriptionRepository for MemoryUnitOfWork<'_> {
    fn find(&mut self, keys: &[SubscriptionKey]) -> Result<Vec<Option<CustomerSubscription>>, StoreError> {
        self.call(|rows| {
            let find = |key: &SubscriptionKey| {
                let customer = rows.customer(&key.customer).filter(|customer| customer.is_live())?;
                let all = rows.subscriptions.get(&(customer.tenant(), customer.id()));
                Some((customer.clone(), all.and_then(|all| all.get(&key.id)).cloned()))
            };
            Ok(keys.iter().map(find).collect())
        })
    }

    fn list(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        after: Option<&SubscriptionCursor>,
        limit: usize,
    ) -> Result<Vec<Subscription>, StoreError> {
        self.call(|rows| {
            let mut rest: Vec<&Subscription> = rows.subscriptions_of(tenant, customer).collect();
            rest.retain(|one| after.is_none_or(|after| order(one) < (after.started_at, &after.id)));
            rest.sort_by(|a, b| order(b).cmp(&order(a)));
            Ok(rest.into_iter().take(limit).cloned().collect())
        })
    }

    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.call(|rows| {
            Ok(customers.iter().map(|&(tenant, customer)| rows.current_subscription(tenant, customer)).collect())
        })
    }
}

/// The sort key of a list of subscriptions, which is in descending order.
fn order(subscription: &Subscription) -> (Timestamp, &SubscriptionId) {
    (subscription.started_at, &subscription.id)
}

impl Rows {
    fn subscriptions_of(&self, tenant: Tenant, customer: CustomerId) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.get(&(tenant, customer)).into_iter().flat_map(|all| all.values())
    }

    fn current_subscription(&self, tenant: Tenant, customer: CustomerId) -> Option<Subscription> {
        let in_use = self.subscriptions_of(tenant, customer).filter(|one| one.status.is_in_use());
        in_use.max_by(|a, b| order(a).cmp(&order(b))).cloned()
    }
}
