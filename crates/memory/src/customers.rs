//! The customers, and who has which identifier.

use roster_application::ports::{Claims, CustomerKey, CustomerRef, CustomerRepository, StoreError, Taken};
use roster_domain::{Customer, CustomerId, Tenant};
use uuid::Uuid;

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

const FIRST: CustomerId = CustomerId::new(Uuid::nil());
const LAST: CustomerId = CustomerId::new(Uuid::max());

impl CustomerRepository for MemoryUnitOfWork<'_> {
    fn insert_free(&mut self, customers: &[&Customer]) -> Result<Vec<bool>, StoreError> {
        self.call(|rows| {
            customers.iter().try_for_each(|customer| rows.require_merchant(customer.tenant().merchant))?;
            Ok(customers.iter().map(|customer| rows.insert_if_free(customer)).collect())
        })
    }

    fn taken(&mut self, claims: &Claims<'_>) -> Result<Taken, StoreError> {
        self.call(|rows| Ok(rows.taken(claims)))
    }

    fn find(&mut self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.call(|rows| Ok(keys.iter().map(|key| rows.live(key).cloned()).collect()))
    }

    // A transaction has all rows for itself, so that finding is locking.
    fn lock(&mut self, key: &CustomerKey) -> Result<Option<Customer>, StoreError> {
        self.call(|rows| Ok(rows.live(key).cloned()))
    }

    fn update(&mut self, customer: &Customer, claims: &Claims<'_>) -> Result<(), StoreError> {
        self.call(|rows| {
            let key = CustomerKey { tenant: customer.tenant(), customer: CustomerRef::Id(customer.id()) };
            let before = rows.live(&key).cloned().ok_or_else(|| StoreError::lost_race("the customer is not there"))?;
            if !rows.taken(claims).is_empty() {
                return Err(StoreError::lost_race("what the customer claims is not free"));
            }
            rows.release_identifiers(&before);
            rows.write(customer);
            Ok(())
        })
    }

    fn list(&mut self, tenant: Tenant, before: Option<CustomerId>, limit: usize) -> Result<Vec<Customer>, StoreError> {
        self.call(|rows| {
            let newest_first = match before {
                Some(before) => rows.customers.range((tenant, FIRST)..(tenant, before)),
                None => rows.customers.range((tenant, FIRST)..=(tenant, LAST)),
            }
            .rev()
            .map(|(_, customer)| customer);
            Ok(newest_first.filter(|customer| customer.deleted_at().is_none()).take(limit).cloned().collect())
        })
    }
}

impl Rows {
    fn live(&self, key: &CustomerKey) -> Option<&Customer> {
        let id = match &key.customer {
            CustomerRef::Id(id) => *id,
            CustomerRef::ExternalId(id) => *self.external_ids.get(&(key.tenant, id.clone()))?,
        };
        self.customers.get(&(key.tenant, id)).filter(|customer| customer.deleted_at().is_none())
    }

    fn taken(&self, claims: &Claims<'_>) -> Taken {
        let Claims { tenant, customer, email_key, external_id } = *claims;
        let holder = |key: &str| {
            let holders = (tenant, key.to_owned(), FIRST)..=(tenant, key.to_owned(), LAST);
            self.email_keys.range(holders).map(|(_, _, holder)| *holder).find(|&holder| holder != customer)
        };
        let namesake = |id| {
            let key = CustomerKey { tenant, customer: CustomerRef::ExternalId(id) };
            self.live(&key).filter(|namesake| namesake.id() != customer).cloned().map(Box::new)
        };
        Taken { email: email_key.and_then(holder), external_id: external_id.cloned().and_then(namesake) }
    }

    fn insert_if_free(&mut self, customer: &Customer) -> bool {
        let free = !self.customers.contains_key(&(customer.tenant(), customer.id()))
            && self.taken(&Claims::of_new(customer)).is_empty();
        if free {
            self.write(customer);
        }
        free
    }

    fn write(&mut self, customer: &Customer) {
        let (tenant, id) = (customer.tenant(), customer.id());
        if customer.deleted_at().is_none() {
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
        if let Some(external_id) = &customer.profile().external_id {
            self.external_ids.remove(&(tenant, external_id.clone()));
        }
        if let Some(key) = customer.email_key() {
            self.email_keys.remove(&(tenant, key.to_owned(), id));
        }
    }
}
