//! Writes that expect a version of what they change.

use std::sync::atomic::{AtomicBool, Ordering};

use roster_application::ports::{CustomerState, Write, Written};
use roster_application::{
    CustomerChange, CustomerCommand, CustomerDeletion, Precondition, Revision, Revisions, SubscriptionReport,
    WriteError,
};
use roster_domain::Customer;

use crate::changing::to_name;
use crate::service::{Service, by_id, change, name};
use crate::subscriptions::report;

fn at(customer: &Customer, version: i64) -> Precondition {
    let revision = Revision { customer: customer.id(), version };
    Precondition { expected: Some(Revisions::OneOf(vec![revision])), excluded: None }
}

fn change_at(customer: &Customer, version: i64, to: &str) -> CustomerCommand {
    CustomerCommand::Change(CustomerChange {
        key: by_id(customer),
        edit: to_name(to),
        precondition: at(customer, version),
    })
}

fn delete_at(customer: &Customer, version: i64) -> CustomerCommand {
    CustomerCommand::Delete(CustomerDeletion { key: by_id(customer), precondition: at(customer, version) })
}

/// The version that is stored, if that is why nothing was written.
fn refused_at(result: &Result<Write, WriteError>) -> Option<i64> {
    match result {
        Err(WriteError::PreconditionFailed(current)) => current.map(|current| current.version),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_of_another_version_is_refused_with_the_current_one() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let results = service.write_all(vec![change_at(&ada, 2, "Ada"), delete_at(&ada, 0)]);
    assert_eq!([refused_at(&results[0]), refused_at(&results[1])], [Some(1); 2]);
    assert_eq!(service.find(&ada), Some(ada));
}

#[test]
fn each_write_of_a_batch_is_compared_with_what_those_before_it_left() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let results = service.write_all(vec![
        change_at(&ada, 1, "Ada"),
        change_at(&ada, 1, "Eda"),
        change(by_id(&ada), to_name("Ida")),
        change_at(&ada, 2, "Oda"),
        change_at(&ada, 3, "Uda"),
        delete_at(&ada, 4),
        delete_at(&ada, 5),
    ]);
    assert_eq!([refused_at(&results[1]), refused_at(&results[3])], [Some(2), Some(3)]);
    for done in [0, 2, 4, 5] {
        assert!(results[done].is_ok(), "{results:?}");
    }
    assert!(matches!(results[6], Err(WriteError::NotFound)), "{results:?}");
    let last = results[4].as_ref().expect("a change").after();
    assert_eq!((last.version(), last.profile().name.clone()), (4, Some(name("Uda"))));
}

#[test]
fn a_write_that_loses_a_race_is_compared_again() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let (key, now, is_done) = (by_id(&ada), ada.created_at(), AtomicBool::new(false));
    service.store.interceptor.race(move |customers| {
        if !is_done.swap(true, Ordering::SeqCst) {
            let before = customers.find(CustomerState::Live, std::slice::from_ref(&key)).expect("an answer").remove(0);
            let before = before.expect("a live customer");
            let after = before.changed(to_name("Changed elsewhere"), now).expect("no metadata");
            assert_eq!(customers.write(&[Write::change(before, after)]).expect("an answer"), [Written::Done]);
        }
    });
    let results = service.write_all(vec![change_at(&ada, 1, "Ada")]);
    assert_eq!(refused_at(&results[0]), Some(2));
    assert_eq!(service.find(&ada).expect("a customer").profile().name, Some(name("Changed elsewhere")));
}

#[test]
fn a_report_is_compared_with_the_subscription() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let report =
        |precondition| CustomerCommand::Record(SubscriptionReport { precondition, ..report(by_id(&ada), "s") });
    let is_new = Precondition { expected: None, excluded: Some(Revisions::Any) };
    let exists = Precondition { expected: Some(Revisions::Any), excluded: None };
    let results = service.write_all(vec![
        report(exists.clone()),
        report(is_new.clone()),
        report(is_new),
        report(exists),
        report(at(&ada, 1)),
        report(at(&ada, 2)),
    ]);
    assert_eq!([0, 2, 4].map(|refused| refused_at(&results[refused])), [None, Some(1), Some(2)]);
    for done in [1, 3, 5] {
        assert!(results[done].is_ok(), "{results:?}");
    }
}
