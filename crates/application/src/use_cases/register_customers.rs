use roster_domain::{Customer, CustomerId, EmailUse, Profile, Tenant};

use crate::Roster;
use crate::batch::serve_together_or_each;
use crate::ports::customers::split_at_shared_keys;
use crate::ports::{CustomerKey, CustomerRef, Inserted, StoreError, Taken};

/// A customer to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Whose it will be.
    pub tenant: Tenant,
    /// What is known about it.
    pub profile: Profile,
    /// Whether its e-mail address may be somebody else's too.
    pub email_use: EmailUse,
}

/// Why a customer was not registered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegisterError {
    /// Live customers of the tenant have its e-mail address or its external identifier.
    #[error("its e-mail address or its external identifier is in use")]
    Taken(Taken),
    /// The store failed.
    #[error("the customer could not be stored")]
    Store(#[source] StoreError),
}

impl Roster {
    /// Registers customers, each by itself: the result of one depends on those before it, never on those behind it.
    /// The results stand in the order of the registrations.
    ///
    /// Race-free: see [`CustomerRepository::insert`](crate::ports::CustomerRepository::insert).
    #[must_use]
    pub fn register_customers(&self, registrations: Vec<Registration>) -> Vec<Result<Customer, RegisterError>> {
        let now = self.clock.now();
        let customers: Vec<Customer> = registrations
            .into_iter()
            .map(|Registration { tenant, profile, email_use }| {
                Customer::register(tenant, CustomerId::new(self.ids.next(now)), profile, email_use, now)
            })
            .collect();
        let inserted = self.insert_all(&customers);
        customers.into_iter().zip(inserted).map(|(customer, what)| registered(customer, what)).collect()
    }

    /// Inserts customers, run by run, so that one that fails does not undo what is known of those before it: tried again,
    /// they would meet those behind them. A store that is not available is not asked again for each run.
    fn insert_all(&self, customers: &[Customer]) -> Vec<Result<Inserted, StoreError>> {
        // No transaction: each insert is atomic by itself, and nothing else belongs to it.
        let insert = |some: &[Customer]| self.store.direct(|uow| uow.customers().insert(some));
        let mut results: Vec<Result<Inserted, StoreError>> = Vec::with_capacity(customers.len());
        for run in split_at_shared_keys(customers) {
            let gone =
                results.iter().find_map(|result| result.as_ref().err().filter(|error| error.is_outage()).cloned());
            match gone {
                Some(error) => results.extend(run.iter().map(|_| Err(error.clone()))),
                None => results.append(&mut serve_together_or_each(run, insert, |one| self.insert_unless_there(one))),
            }
        }
        results
    }

    /// Inserts a customer that may have been inserted by a call that failed later. It has kept its identifier, so that it
    /// is known again, and is not written twice.
    fn insert_unless_there(&self, customer: &Customer) -> Result<Inserted, StoreError> {
        let key = CustomerKey { tenant: customer.tenant(), customer: CustomerRef::Id(customer.id()) };
        self.store.direct(|uow| {
            let found = uow.customers().find(std::slice::from_ref(&key))?;
            if found.iter().flatten().any(|found| found == customer) {
                return Ok(Inserted::Created);
            }
            let inserted = uow.customers().insert(std::slice::from_ref(customer))?.pop();
            inserted.ok_or_else(|| StoreError::internal("a batch of one has no result"))
        })
    }
}

fn registered(customer: Customer, inserted: Result<Inserted, StoreError>) -> Result<Customer, RegisterError> {
    match inserted.map_err(RegisterError::Store)? {
        Inserted::Created => Ok(customer),
        Inserted::Taken(taken) => Err(RegisterError::Taken(taken)),
        Inserted::Contended => {
            Err(RegisterError::Store(StoreError::lost_race("those in the way of an insert came and went")))
        }
    }
}
