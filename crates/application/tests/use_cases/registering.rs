use std::sync::Arc;

use roster_application::ports::{Ids, StoreError, Taken, Write};
use roster_application::{CustomerCommand, Operation, Registration, Roster, WriteError};
use roster_domain::{Environment, MerchantName, Profile, Tenant, Timestamp};
use roster_memory::{CountingEntropy, FixedClock, MemoryStore};
use uuid::Uuid;

use crate::service::{Service, anonymous, email, name, sandbox, shared, time, with_email, with_external_id};

fn holders<T: std::fmt::Debug>(result: Result<T, WriteError>) -> Taken {
    match result {
        Err(WriteError::Taken(taken)) => taken,
        other => panic!("the identifiers are free: {other:?}"),
    }
}

fn register_all(service: &Service, registrations: Vec<Registration>) -> Vec<Result<Write, WriteError>> {
    service.write_all(registrations.into_iter().map(CustomerCommand::Register).collect())
}

#[test]
fn a_registered_customer_is_found_as_it_was_returned() {
    let service = Service::start();
    let mut registration = with_email(with_external_id(anonymous(service.tenant), "ada"), "Ada@Example.com");
    registration.profile.name = Some(name("Ada"));
    let profile = registration.profile.clone();
    let customer = service.register(registration);
    assert_eq!((customer.profile(), customer.tenant()), (&profile, service.tenant));
    assert_eq!((customer.version(), customer.deleted_at()), (1, None));
    let now = time("2025-01-15T12:00:00Z");
    assert_eq!((customer.created_at(), customer.updated_at()), (now, now));
    assert_eq!(service.find(&customer), Some(customer));
}

#[test]
fn later_registrations_have_greater_ids() {
    let service = Service::start();
    let results = register_all(&service, vec![anonymous(service.tenant); 3]);
    let mut ids: Vec<_> = results.into_iter().map(|one| one.expect("free claims").after().id()).collect();
    service.clock.advance(1);
    ids.push(service.register(anonymous(service.tenant)).id());
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

#[test]
fn an_empty_batch_asks_the_store_for_nothing() {
    let service = Service::start();
    let before = service.store.interceptor.runs();
    assert!(register_all(&service, vec![]).is_empty());
    assert_eq!(service.store.interceptor.runs(), before);
}

#[test]
fn the_holder_of_an_external_id_is_returned_whole() {
    let service = Service::start();
    let ada = service.register(with_external_id(anonymous(service.tenant), "ada"));
    let taken = holders(service.try_register(with_external_id(anonymous(service.tenant), "ada")));
    assert_eq!(taken, Taken { email: None, external_id: Some(Box::new(ada)) });
}

#[test]
fn the_holder_of_an_email_address_in_any_spelling_is_named() {
    let service = Service::start();
    let ada = service.register(with_email(anonymous(service.tenant), "ada@example.com"));
    let taken = holders(service.try_register(with_email(anonymous(service.tenant), "ADA@Example.com")));
    assert_eq!(taken, Taken { email: Some(ada.id()), external_id: None });
}

#[test]
fn two_holders_are_both_named() {
    let service = Service::start();
    let ada = service.register(with_external_id(anonymous(service.tenant), "ada"));
    let eda = service.register(with_email(anonymous(service.tenant), "eda@example.com"));
    let both = with_email(with_external_id(anonymous(service.tenant), "ada"), "eda@example.com");
    let taken = holders(service.try_register(both));
    assert_eq!(taken, Taken { email: Some(eda.id()), external_id: Some(Box::new(ada)) });
}

#[test]
fn an_email_address_may_be_shared_on_purpose() {
    let service = Service::start();
    let registration = with_email(anonymous(service.tenant), "ada@example.com");
    let first = service.register(registration.clone());
    let second = service.register(shared(registration));
    assert_eq!(service.find(&first).and_then(|one| one.profile().email.clone()), Some(email("ada@example.com")));
    assert_eq!(service.find(&second).and_then(|one| one.profile().email.clone()), Some(email("ada@example.com")));
}

#[test]
fn customers_of_different_tenants_may_have_the_same_identifiers() {
    let service = Service::start();
    for tenant in [service.tenant, sandbox(service.tenant), service.another_tenant()] {
        service.register(with_email(with_external_id(anonymous(tenant), "ada"), "ada@example.com"));
    }
}

#[test]
fn a_registration_depends_on_those_before_it_and_not_on_those_after_it() {
    let service = Service::start();
    let results = register_all(
        &service,
        vec![
            with_external_id(anonymous(service.tenant), "ada"),
            with_external_id(anonymous(service.tenant), "ada"),
            with_email(anonymous(service.tenant), "eda@example.com"),
            with_email(with_external_id(anonymous(service.tenant), "ida"), "eda@example.com"),
            with_external_id(anonymous(service.tenant), "ida"),
        ],
    );
    let created: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(created, [true, false, true, false, true]);
    let ada = results[0].as_ref().expect("the first").after().clone();
    let taken = holders(results.into_iter().nth(1).expect("five results"));
    assert_eq!(taken.external_id.as_deref(), Some(&ada));
}

#[test]
fn a_broken_store_is_reported_to_each() {
    let service = Service::start();
    service.store.interceptor.break_down();
    for result in register_all(&service, vec![anonymous(service.tenant); 2]) {
        assert!(matches!(result, Err(WriteError::Store(StoreError::Unavailable { .. }))), "{result:?}");
    }
}

/// Makes the same id every time.
struct SameIds;

impl Ids for SameIds {
    fn next(&self, _: Timestamp) -> Uuid {
        Uuid::from_u128(7)
    }
}

#[test]
fn a_registration_whose_id_exists_already_may_be_tried_again() {
    let entropy = Arc::new(CountingEntropy::default());
    let clock = Arc::new(FixedClock::default());
    let roster = Roster::new(Arc::new(MemoryStore::default()), clock, Arc::new(SameIds), entropy);
    let merchant = roster
        .create_merchant(MerchantName::parse("Ada & Co").expect("a name"), &Operation::COMMAND_LINE)
        .expect("a new merchant");
    let tenant = Tenant { merchant: merchant.id, environment: Environment::Live };
    let register = || CustomerCommand::Register(anonymous(tenant));
    let mut results = roster.write_customers(vec![register(), register()]);
    let second = results.pop().expect("two results").result;
    assert!(matches!(&second, Err(WriteError::Store(error)) if error.is_lost_race()), "{second:?}");
    let first = results.pop().expect("two results").result.expect("a free id");
    assert_eq!(first.after().profile(), &Profile::default());
}
