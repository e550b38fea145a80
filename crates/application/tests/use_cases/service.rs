//! The service with a fixed clock and fixed identifiers, and one merchant.

use std::sync::Arc;

use roster_application::ports::{CustomerKey, CustomerQuery, CustomerRef, Place, SubscriptionWrite, Write};
use roster_application::{
    CustomerChange, CustomerCommand, CustomerDeletion, CustomerPage, Operation, Precondition, Registration, Roster,
    SubscriptionReport, WriteError,
};
use roster_domain::{
    Customer, CustomerEdit, Email, EmailUse, Environment, ExternalId, MerchantName, Name, Profile, Tenant, Timestamp,
};
use roster_memory::{CountingEntropy, CountingIds, FixedClock};

use crate::watched_store::WatchedStore;

/// Who makes keys where that makes no difference.
pub const BY: &Operation = &Operation::COMMAND_LINE;

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

    /// Runs `commands` as one batch.
    pub fn write_all(&self, commands: Vec<CustomerCommand>) -> Vec<Result<Write, WriteError>> {
        let count = commands.len();
        let answers = self.roster.write_customers(commands);
        assert_eq!(answers.len(), count, "one answer for each command");
        answers.into_iter().map(|answer| answer.result).collect()
    }

    fn write(&self, command: CustomerCommand) -> Result<Write, WriteError> {
        self.write_all(vec![command]).remove(0)
    }

    pub fn try_register(&self, registration: Registration) -> Result<Customer, WriteError> {
        self.write(CustomerCommand::Register(registration)).map(Write::into_customer)
    }

    pub fn register(&self, registration: Registration) -> Customer {
        self.try_register(registration).expect("free claims")
    }

    /// Registers a customer with both identifiers; its e-mail address is `{id}@example.com`.
    pub fn register_named(&self, id: &str) -> Customer {
        self.register(with_email(with_external_id(anonymous(self.tenant), id), &format!("{id}@example.com")))
    }

    pub fn change(&self, key: CustomerKey, edit: CustomerEdit) -> Result<Customer, WriteError> {
        self.write(change(key, edit)).map(Write::into_customer)
    }

    pub fn delete(&self, key: CustomerKey) -> Result<Customer, WriteError> {
        self.write(delete(key)).map(Write::into_customer)
    }

    pub fn record(&self, report: SubscriptionReport) -> Result<SubscriptionWrite, WriteError> {
        let write = self.write(CustomerCommand::Record(report))?;
        Ok(write.into_subscription().expect("a report writes a subscription"))
    }

    /// The first `limit` live customers of `tenant` that follow `after`, newest first.
    pub fn list(&self, tenant: Tenant, after: Option<Place>, limit: usize) -> CustomerPage {
        let query = CustomerQuery { after, ..CustomerQuery::newest(tenant, limit) };
        self.roster.list_customers(&query, false).expect("a page")
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
    let merchant = roster.create_merchant(name, &Operation::COMMAND_LINE).expect("a new merchant");
    Tenant { merchant: merchant.id, environment: Environment::Live }
}

pub fn change(key: CustomerKey, edit: CustomerEdit) -> CustomerCommand {
    CustomerCommand::Change(CustomerChange { key, edit, precondition: Precondition::default() })
}

pub fn delete(key: CustomerKey) -> CustomerCommand {
    CustomerCommand::Delete(CustomerDeletion { key, precondition: Precondition::default() })
}

/// A registration of a customer with an empty profile.
pub fn anonymous(tenant: Tenant) -> Registration {
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
    seen_from(customer.tenant(), customer)
}

pub fn by_external_id(tenant: Tenant, id: &str) -> CustomerKey {
    CustomerKey { tenant, customer: CustomerRef::ExternalId(external_id(id)) }
}

/// The key that `tenant` uses if it has learnt the id of a customer, perhaps another tenant's.
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
