//! Customers that are registered unless they are there.

use std::sync::atomic::{AtomicUsize, Ordering};

use roster_application::ports::{CustomerState, Write, Written};
use roster_application::{CustomerCommand, Precondition, Registration, Revisions, Upsert, WriteError};
use roster_domain::{Customer, CustomerId};
use uuid::Uuid;

use crate::changing::to_name;
use crate::service::{
    Service, anonymous, by_external_id, by_id, change, delete, email, external_id, name, shared, with_email,
    with_external_id,
};

fn upsert(registration: Registration, id: &str) -> CustomerCommand {
    CustomerCommand::Upsert(Upsert::new(external_id(id), registration, Precondition::default()))
}

fn named(service: &Service, text: &str) -> Registration {
    let mut registration = anonymous(service.tenant);
    registration.profile.name = Some(name(text));
    registration
}

fn done(result: &Result<Write, WriteError>) -> &Write {
    result.as_ref().expect("a write")
}

/// Has another process register a customer, once, before the next batch of writes.
fn register_elsewhere(service: &Service, registration: &Registration) -> CustomerId {
    let id = CustomerId::new(Uuid::from_u128(77));
    let Registration { tenant, profile, email_use } = registration.clone();
    let now = service.roster.now();
    let customer = Customer::register(tenant, id, profile, email_use, now);
    let races = AtomicUsize::new(0);
    service.store.interceptor.race(move |customers| {
        if races.fetch_add(1, Ordering::SeqCst) == 0 {
            assert_eq!(customers.write(&[Write::create(customer.clone())]).expect("an answer"), [Written::Done]);
        }
    });
    id
}

#[test]
fn an_upsert_registers_replaces_and_leaves_alone() {
    let service = Service::start();
    let results = service.write_all(vec![
        upsert(named(&service, "Ada"), "ada"),
        upsert(named(&service, "Ada"), "ada"),
        upsert(with_email(anonymous(service.tenant), "ada@example.com"), "ada"),
        delete(by_external_id(service.tenant, "ada")),
        upsert(named(&service, "Eda"), "ada"),
    ]);
    let [created, same, replaced, _, new] = [0, 1, 2, 3, 4].map(|place: usize| done(&results[place]));
    assert_eq!((created.before(), created.after().version()), (None, 1));
    assert_eq!((same.before(), same.after()), (Some(created.after()), created.after()));
    assert_eq!((replaced.after().id(), replaced.after().version()), (created.after().id(), 2));
    let profile = replaced.after().profile();
    assert_eq!((&profile.name, &profile.email), (&None, &Some(email("ada@example.com"))));
    assert_eq!(profile.external_id, Some(external_id("ada")));
    assert_eq!((new.before(), new.after().id() == created.after().id()), (None, false));
}

#[test]
fn an_upsert_that_loses_the_creation_replaces_what_was_created() {
    let service = Service::start();
    let elsewhere = register_elsewhere(&service, &with_external_id(named(&service, "Elsewhere"), "ada"));
    let results = service.write_all(vec![upsert(named(&service, "Ada"), "ada")]);
    let write = done(&results[0]);
    assert_eq!(write.before().map(Customer::id), Some(elsewhere));
    assert_eq!((write.after().version(), &write.after().profile().name), (2, &Some(name("Ada"))));
    assert_eq!(service.find_by(by_external_id(service.tenant, "ada")).as_ref(), Some(write.after()));
}

#[test]
fn an_upsert_that_must_be_new_is_compared_again_when_it_loses_the_creation() {
    let service = Service::start();
    let elsewhere = register_elsewhere(&service, &with_external_id(named(&service, "Elsewhere"), "ada"));
    let is_new = Precondition { expected: None, excluded: Some(Revisions::Any) };
    let command = CustomerCommand::Upsert(Upsert::new(external_id("ada"), named(&service, "Ada"), is_new));
    let results = service.write_all(vec![command]);
    let current = match &results[0] {
        Err(WriteError::PreconditionFailed(Some(current))) => current,
        other => panic!("{other:?}"),
    };
    assert_eq!((current.customer, current.version), (elsewhere, 1));
}

#[test]
fn an_upsert_whose_customer_is_deleted_meanwhile_registers_it_again() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let (key, now, races) = (by_id(&ada), ada.created_at(), AtomicUsize::new(0));
    service.store.interceptor.race(move |customers| {
        if races.fetch_add(1, Ordering::SeqCst) == 0 {
            let before = customers.find(CustomerState::Live, std::slice::from_ref(&key)).expect("an answer").remove(0);
            let before = before.expect("a live customer");
            let after = before.deleted(now);
            assert_eq!(customers.write(&[Write::change(before, after)]).expect("an answer"), [Written::Done]);
        }
    });
    let results = service.write_all(vec![upsert(named(&service, "Eda"), "ada")]);
    let write = done(&results[0]);
    assert_eq!((write.before(), write.after().version()), (None, 1));
    assert_ne!(write.after().id(), ada.id());
}

#[test]
fn a_registration_that_loses_a_race_returns_the_winner() {
    for with_id in [true, false] {
        let service = Service::start();
        let wanted = with_email(anonymous(service.tenant), "ada@example.com");
        let wanted = if with_id { with_external_id(wanted, "ada") } else { wanted };
        let elsewhere = register_elsewhere(&service, &wanted);
        let results = service.write_all(vec![CustomerCommand::GetOrRegister(wanted)]);
        let write = done(&results[0]);
        assert_eq!((write.after().id(), write.is_needed()), (elsewhere, false));
    }
}

#[test]
fn a_registration_returns_the_holder_of_an_address_as_it_was_before_later_commands() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let wanted = with_email(anonymous(service.tenant), "ada@example.com");
    let results = service.write_all(vec![
        CustomerCommand::GetOrRegister(wanted.clone()),
        change(by_id(&ada), to_name("Ada")),
        delete(by_id(&ada)),
        CustomerCommand::GetOrRegister(wanted),
    ]);
    assert_eq!(done(&results[0]).after(), &ada);
    assert_eq!((done(&results[3]).before(), done(&results[3]).after().id() == ada.id()), (None, false));
}

#[test]
fn a_registration_returns_no_holder_that_shares_the_address_or_is_known_by_another_identifier() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let wanted = with_email(anonymous(service.tenant), "ada@example.com");
    let other = with_external_id(wanted.clone(), "eda");
    service.register(shared(with_email(anonymous(service.tenant), "shared@example.com")));
    let sharing = with_email(anonymous(service.tenant), "shared@example.com");
    let results = service.write_all(vec![
        CustomerCommand::GetOrRegister(wanted),
        CustomerCommand::GetOrRegister(other),
        CustomerCommand::GetOrRegister(sharing),
    ]);
    assert_eq!(done(&results[0]).after(), &ada);
    for refused in &results[1..] {
        assert!(matches!(refused, Err(WriteError::Taken(_))), "{results:?}");
    }
}

#[test]
fn a_batch_of_upserts_costs_one_read_and_one_write() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let before = service.store.interceptor.runs();
    let commands = ["ada", "eda", "ida"].map(|id| upsert(named(&service, "Renamed"), id));
    let results = service.write_all(commands.into());
    assert_eq!(done(&results[0]).after().id(), ada.id());
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(service.store.interceptor.runs() - before, 2);
}
