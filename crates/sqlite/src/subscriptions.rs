//! Reading subscriptions; `writes.rs` writes them with their customers.

use diesel::dsl::auto_type;
use diesel::prelude::*;
use roster_application::ports::{
    CustomerSubscription, StoreError, SubscriptionCursor, SubscriptionKey, SubscriptionRepository,
};
use roster_domain::{Customer, CustomerId, Subscription, SubscriptionStatus, Tenant};

use crate::customers::find_one;
use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::{SubscriptionRow, subscriptions, subscriptions_of};
use crate::unit_of_work::SqliteUnitOfWork;

impl SubscriptionRepository for SqliteUnitOfWork<'_> {
    fn find(&mut self, keys: &[SubscriptionKey]) -> Result<Vec<Option<CustomerSubscription>>, StoreError> {
        self.run_together(|connection| keys.iter().map(|key| find_with_customer(connection, key)).collect())
    }

    fn list(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        after: Option<&SubscriptionCursor>,
        size: usize,
    ) -> Result<Vec<Subscription>, StoreError> {
        self.run(|connection| {
            let order = (subscriptions::started_at.desc(), subscriptions::id.desc());
            let page = of(tenant, customer).order(order).limit(limit(size));
            let found: Vec<SubscriptionRow> = match after {
                Some(SubscriptionCursor { started_at, id }) => {
                    let started_at = Time::from(*started_at);
                    let together = subscriptions::started_at.eq(started_at).and(subscriptions::id.lt(id.as_str()));
                    page.filter(subscriptions::started_at.lt(started_at).or(together)).load(connection)?
                }
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Subscription::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.run_each(customers, |connection, &(tenant, customer)| {
            // The first row is taken and the others are not asked for, which says what a bound limit would.
            let [active, trialing] = SubscriptionStatus::IN_USE.map(SubscriptionStatus::as_str);
            let in_use = of(tenant, customer)
                .filter(subscriptions::status.eq(active).or(subscriptions::status.eq(trialing)))
                .order((subscriptions::started_at.desc(), subscriptions::id.desc()));
            let found: Option<SubscriptionRow> = in_use.get_result(connection).optional()?;
            Ok(found.map(Subscription::try_from).transpose()?)
        })
    }
}

/// The subscriptions of one customer.
#[auto_type(no_type_alias)]
fn of(tenant: Tenant, customer: CustomerId) -> _ {
    let of_tenant: subscriptions_of = subscriptions_of(tenant);
    let customer: Id = Id(customer.uuid());
    of_tenant.filter(subscriptions::customer_id.eq(customer))
}

fn find_with_customer(
    connection: &mut SqliteConnection,
    key: &SubscriptionKey,
) -> Result<Option<CustomerSubscription>, Fault> {
    let Some(customer) = find_one(connection, &key.customer)?.filter(Customer::is_live) else { return Ok(None) };
    let by_id = of(customer.tenant(), customer.id()).filter(subscriptions::id.eq(key.id.as_str()));
    let found: Option<SubscriptionRow> = by_id.get_result(connection).optional()?;
    Ok(Some((customer, found.map(Subscription::try_from).transpose()?)))
}
