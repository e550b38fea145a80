use std::sync::Arc;

use roster_application::ports::{Ids, StoreError, Taken};
use roster_application::{RegisterError, Roster};
use roster_domain::{Customer, MerchantName, Profile, Tenant, Timestamp};
use roster_memory::{CountingEntropy, FixedClock, MemoryStore};
use uuid::Uuid;

use crate::service::{Service, email, name, nobody, sandbox, shared, time, with_email, with_external_id};

fn who_is_in_the_way(result: Result<Customer, RegisterError>) -> Taken {
    match result {
        Err(RegisterError::Taken(taken)) => taken,
        other => panic!("nobody is in the way: {other:?}"),
    }
}

#[test]
fn a_registered_customer_is_there_as_it_was_answered() {
    let service = Service::start();
    let mut registration = with_email(with_external_id(nobody(service.tenant), "ada"), "Ada@Example.com");
    registration.profile.name = Some(name("Ada"));
    let profile = registration.profile.clone();
    let customer = service.register(registration);
    assert_eq!((customer.profile(), customer.tenant()), (&profile, service.tenant));
    assert_eq!((customer.parts().version, customer.deleted_at()), (1, None));
    let now = time("2025-01-15T12:00:00Z");
    assert_eq!((customer.created_at(), customer.updated_at()), (now, now));
    assert_eq!(service.find(&customer), Some(customer));
}

#[test]
fn those_registered_later_have_greater_ids() {
    let service = Service::start();
    let batch = vec![nobody(service.tenant), nobody(service.tenant), nobody(service.tenant)];
    let mut ids: Vec<_> =
        service.roster.register_customers(batch).into_iter().map(|one| one.expect("free claims").id()).collect();
    service.clock.advance(1);
    ids.push(service.register(nobody(service.tenant)).id());
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

#[test]
fn nobody_to_register_is_no_fault() {
    let service = Service::start();
    assert!(service.roster.register_customers(vec![]).is_empty());
}

#[test]
fn whoever_has_the_external_id_is_answered_whole() {
    let service = Service::start();
    let ada = service.register(with_external_id(nobody(service.tenant), "ada"));
    let taken = who_is_in_the_way(service.try_register(with_external_id(nobody(service.tenant), "ada")));
    assert_eq!(taken, Taken { email: None, external_id: Some(Box::new(ada)) });
}

#[test]
fn whoever_has_the_email_address_in_any_spelling_is_named() {
    let service = Service::start();
    let ada = service.register(with_email(nobody(service.tenant), "ada@example.com"));
    let taken = who_is_in_the_way(service.try_register(with_email(nobody(service.tenant), "ADA@Example.com")));
    assert_eq!(taken, Taken { email: Some(ada.id()), external_id: None });
}

#[test]
fn two_who_stand_in_the_way_are_both_named() {
    let service = Service::start();
    let ada = service.register(with_external_id(nobody(service.tenant), "ada"));
    let eda = service.register(with_email(nobody(service.tenant), "eda@example.com"));
    let both = with_email(with_external_id(nobody(service.tenant), "ada"), "eda@example.com");
    let taken = who_is_in_the_way(service.try_register(both));
    assert_eq!(taken, Taken { email: Some(eda.id()), external_id: Some(Box::new(ada)) });
}

#[test]
fn an_email_address_may_be_shared_on_purpose() {
    let service = Service::start();
    let registration = with_email(nobody(service.tenant), "ada@example.com");
    let first = service.register(registration.clone());
    let second = service.register(shared(registration));
    assert_eq!(service.find(&first).and_then(|one| one.profile().email.clone()), Some(email("ada@example.com")));
    assert_eq!(service.find(&second).and_then(|one| one.profile().email.clone()), Some(email("ada@example.com")));
}

#[test]
fn another_tenant_s_customers_are_never_in_the_way() {
    let service = Service::start();
    for tenant in [service.tenant, sandbox(service.tenant), service.another_tenant()] {
        service.register(with_email(with_external_id(nobody(tenant), "ada"), "ada@example.com"));
    }
}

#[test]
fn a_registration_depends_on_those_before_it_and_never_on_those_behind_it() {
    let service = Service::start();
    let results = service.roster.register_customers(vec![
        with_external_id(nobody(service.tenant), "ada"),
        with_external_id(nobody(service.tenant), "ada"),
        with_email(nobody(service.tenant), "eda@example.com"),
        with_email(with_external_id(nobody(service.tenant), "ida"), "eda@example.com"),
        with_external_id(nobody(service.tenant), "ida"),
    ]);
    let created: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(created, [true, false, true, false, true]);
    let ada = results[0].as_ref().expect("the first").clone();
    let taken = who_is_in_the_way(results.into_iter().nth(1).expect("five results"));
    assert_eq!(taken.external_id.as_deref(), Some(&ada));
}

#[test]
fn a_store_that_is_out_of_order_is_told_to_each() {
    let service = Service::start();
    service.store.break_down();
    let results = service.roster.register_customers(vec![nobody(service.tenant), nobody(service.tenant)]);
    assert_eq!(results.len(), 2);
    for result in results {
        assert!(matches!(result, Err(RegisterError::Store(StoreError::Unavailable { .. }))), "{result:?}");
    }
}

/// Gives one id to everybody.
struct SameIds;

impl Ids for SameIds {
    fn next(&self, _: Timestamp) -> Uuid {
        Uuid::from_u128(7)
    }
}

#[test]
fn a_customer_whom_nobody_named_kept_out_may_be_tried_again() {
    let entropy = Arc::new(CountingEntropy::default());
    let clock = Arc::new(FixedClock::default());
    let roster = Roster::new(Arc::new(MemoryStore::default()), clock, Arc::new(SameIds), entropy);
    let merchant = roster.create_merchant(MerchantName::parse("Ada & Co").expect("a name")).expect("a new merchant");
    let tenant = Tenant { merchant: merchant.id, environment: roster_domain::Environment::Live };
    let mut results = roster.register_customers(vec![nobody(tenant), nobody(tenant)]);
    let second = results.pop().expect("two results");
    assert!(matches!(&second, Err(RegisterError::Store(error)) if error.is_lost_race()), "{second:?}");
    assert_eq!(results.pop().expect("two results").expect("a free id").profile(), &Profile::default());
}
