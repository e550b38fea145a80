//! The customers, with the indexes over their identifiers.

use roster_application::ports::{
    Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerRepository, CustomerState, Listed, Origins,
    StoreError, Taken, Write, Written,
};
use roster_domain::{Customer, CustomerId, Tenant};
use uuid::Uuid;

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

const FIRST: CustomerId = CustomerId::new(Uuid::nil());
const LAST: CustomerId = CustomerId::new(Uuid::max());

impl CustomerRepository for MemoryUnitOfWork<'_> {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError> {
        self.call(|rows| {
            // Checks all writes first, so that a batch that fails is not half-written. Only new rows are checked: any
            // other write for an unknown merchant is stale.
            let mut new = writes.iter().filter(|write| write.before().is_none()).map(Write::after);
            new.try_for_each(|customer| rows.require_merchant(customer.tenant().merchant))?;
            let origins = Origins::of(writes);
            let mut results: Vec<Written> = Vec::with_capacity(writes.len());
            for (place, write) in writes.iter().enumerate() {
                let is_possible = origins.are_made(place, &results);
                results.push(if is_possible { rows.write(write) } else { Written::Stale });
            }
            Ok(results)
        })
    }

    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.call(|rows| {
            let find = |key| rows.customer(key).filter(|customer| state.includes(customer)).cloned();
            Ok(keys.iter().map(find).collect())
        })
    }

    fn list(&mut self, query: &CustomerQuery) -> Result<Listed, StoreError> {
        self.call(|rows| {
            let customers = rows.customers_of(query.tenant).filter(|customer| query.filter.includes(customer));
            Ok(Listed { customers: query.page_of(customers.cloned()), ..Listed::default() })
        })
    }

    fn count(&mut self, tenant: Tenant, filter: &CustomerFilter, most: usize) -> Result<Count, StoreError> {
        self.call(|rows| {
            let found = rows.customers_of(tenant).filter(|customer| filter.includes(customer));
            Ok(Count::of_at_most(most, found.count()))
        })
    }

    /// It has no index, and looks at every customer.
    fn index_for_search(&mut self, _: &[Tenant], _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }
}

impl Rows {
    fn customers_of(&self, tenant: Tenant) -> impl Iterator<Item = &Customer> {
        self.customers.range((tenant, FIRST)..=(tenant, LAST)).map(|(_, customer)| customer)
    }

    /// The customer with this identifier, live or deleted. By external identifier, only a live one.
    pub(crate) fn customer(&self, key: &CustomerKey) -> Option<&Customer> {
        let id = match &key.customer {
            CustomerRef::Id(id) => *id,
            CustomerRef::ExternalId(id) => *self.external_ids.get(&(key.tenant, id.clone()))?,
        };
        self.customers.get(&(key.tenant, id))
    }

    fn write(&mut self, write: &Write) -> Written {
        if self.is_stale(write) {
            return Written::Stale;
        }
        let taken = self.taken(write);
        if !taken.is_empty() {
            return Written::Taken(taken);
        }
        if let Some(before) = write.before() {
            self.release_identifiers(before);
        }
        self.store(write.after());
        if let Some(subscription) = write.subscription() {
            let all = self.subscriptions.entry((write.after().tenant(), write.after().id())).or_default();
            all.insert(subscription.after.id.clone(), subscription.after.clone());
        }
        if let Some(reply) = write.reply() {
            self.replies.insert(reply.key, reply.clone());
        }
        self.log(write);
        Written::Done
    }

    fn is_stale(&self, write: &Write) -> bool {
        let key = (write.after().tenant(), write.after().id());
        let stored = self.customers.get(&key).map(Customer::version);
        let subscription_is_stale = write.subscription().is_some_and(|subscription| {
            let stored = self.subscriptions.get(&key).and_then(|all| all.get(&subscription.after.id));
            stored.map(|stored| stored.version) != subscription.before.as_ref().map(|before| before.version)
        });
        let is_repeat = write.reply().is_some_and(|reply| !self.takes(reply));
        stored != write.before().map(Customer::version) || subscription_is_stale || is_repeat
    }

    fn taken(&self, write: &Write) -> Taken {
        let (tenant, claims) = (write.after().tenant(), write.claims());
        let email = claims.email_key.and_then(|key| {
            let holders = (tenant, key.to_owned(), FIRST)..=(tenant, key.to_owned(), LAST);
            let all = || self.email_keys.range(holders.clone()).map(|(_, _, holder)| *holder);
            let is_exclusive = |holder: &CustomerId| {
                self.customers.get(&(tenant, *holder)).is_some_and(|one| one.exclusive_email_key().is_some())
            };
            all().find(is_exclusive).or_else(|| all().next())
        });
        let external_id = claims.external_id.and_then(|id| {
            let key = CustomerKey { tenant, customer: CustomerRef::ExternalId(id.clone()) };
            self.customer(&key).cloned().map(Box::new)
        });
        Taken { email, external_id }
    }

    fn store(&mut self, customer: &Customer) {
        let (tenant, id) = (customer.tenant(), customer.id());
        if customer.is_live() {
            if let Some(external_id) = &customer.profile().external_id {
                self.external_ids.insert((tenant, external_id.clone()), id);
            }
            if let Some(key) = customer.email_key() {
                self.email_keys.insert((tenant, key.to_owned(), id));
            }
        }
        self.customers.insert((tenant, id), customer.clone());
    }

    fn release_identifiers(&mut self, customer: &Customer) {
        let (tenant, id) = (customer.tenant(), customer.id());
        if !customer.is_live() {
            return;
        }
        if let Some(external_id) = &customer.profile().external_id {
            self.external_ids.remove(&(tenant, external_id.clone()));
        }
        if let Some(key) = customer.email_key() {
            self.email_keys.remove(&(tenant, key.to_owned(), id));
        }
    }
}
