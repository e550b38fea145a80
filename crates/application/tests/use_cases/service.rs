//! The service with everything about it fixed, and a merchant to begin with.

use std::sync::Arc;

use roster_application::ports::{CustomerKey, CustomerRef};
use roster_application::{RegisterError, Registration, Roster};
use roster_domain::{
    Customer, Email, EmailUse, Environment, ExternalId, MerchantName, Name, Profile, Tenant, Timestamp,
};
use roster_memory::{CountingEntropy, CountingIds, FixedClock};

use crate::watched_store::WatchedStore;

pub struct Service {
    pub roster: Roster,
    pub store: Arc<WatchedStore>,
    pub clock: Arc<FixedClock>,
    /// The live tenant of its one merchant.
    pub tenant: Tenant,
}

impl Service {
    pub fn start() -> Self {
        let store = Arc::new(WatchedStore::default());
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(CountingIds::default());
        let roster = Roster::new(store.clone(), clock.clone(), ids, Arc::new(CountingEntropy::default()));
        let tenant = new_tenant(&roster);
        Self { roster, store, clock, tenant }
    }

    /// The live tenant of another merchant.
    pub fn another_tenant(&self) -> Tenant {
        new_tenant(&self.roster)
    }

    pub fn try_register(&self, registration: Registration) -> Result<Customer, RegisterError> {
        let [registered] =
            <[_; 1]>::try_from(self.roster.register_customers(vec![registration])).expect("one result for one");
        registered
    }

    pub fn register(&self, registration: Registration) -> Customer {
        self.try_register(registration).expect("free claims")
    }

    /// Registers a customer with both identifiers, of which the e-mail address is `{id}@example.com`.
    pub fn register_named(&self, id: &str) -> Customer {
        self.register(with_email(with_external_id(nobody(self.tenant), id), &format!("{id}@example.com")))
    }

    pub fn find(&self, customer: &Customer) -> Option<Customer> {
        self.find_by(by_id(customer))
    }

    pub fn find_by(&self, key: CustomerKey) -> Option<Customer> {
        let [found] = <[_; 1]>::try_from(self.roster.find_customers(&[key])).expect("one result for one");
        found.expect("an answer")
    }
}

fn new_tenant(roster: &Roster) -> Tenant {
    let name = MerchantName::parse("Ada & Co").expect("a name");
    let merchant = roster.create_merchant(name).expect("a new merchant");
    Tenant { merchant: merchant.id, environment: Environment::Live }
}

/// A registration of somebody about whom nothing is known.
pub fn nobody(tenant: Tenant) -> Registration {
    Registration { tenant, profile: Profile::default(), email_use: EmailUse::Exclusive }
}

pub fn with_email(registration: Registration, address: &str) -> Registration {
    let profile = Profile { email: Some(email(address)), ..registration.profile };
    Registration { profile, ..registration }
}

pub fn with_external_id(registration: Registration, id: &str) -> Registration {
    let profile = Profile { external_id: Some(external_id(id)), ..registration.profile };
    Registration { profile, ..registration }
}

pub fn shared(registration: Registration) -> Registration {
    Registration { email_use: EmailUse::Shared, ..registration }
}

pub fn by_id(customer: &Customer) -> CustomerKey {
    CustomerKey { tenant: customer.tenant(), customer: CustomerRef::Id(customer.id()) }
}

pub fn by_external_id(tenant: Tenant, id: &str) -> CustomerKey {
    CustomerKey { tenant, customer: CustomerRef::ExternalId(external_id(id)) }
}

/// What a stranger names who has learnt the id of another tenant's customer.
pub fn seen_from(tenant: Tenant, customer: &Customer) -> CustomerKey {
    CustomerKey { tenant, customer: CustomerRef::Id(customer.id()) }
}

pub fn sandbox(tenant: Tenant) -> Tenant {
    Tenant { environment: Environment::Sandbox, ..tenant }
}

pub fn email(address: &str) -> Email {
    Email::parse(address).expect("an address")
}

pub fn external_id(id: &str) -> ExternalId {
    ExternalId::parse(id).expect("an external identifier")
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}
