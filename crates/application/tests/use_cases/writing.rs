//! Batches of commands, and commands that lose a race.

use std::sync::atomic::{AtomicUsize, Ordering};

use roster_application::ports::{CustomerKey, CustomerRepository, CustomerState, StoreError, Write, Written};
use roster_application::{CustomerCommand, WriteError};
use roster_domain::{Customer, CustomerEdit, Edit, ExternalId, Name, Phone, Timestamp};

use crate::changing::{to_external_id, to_name};
use crate::service::{
    Service, anonymous, by_external_id, by_id, change, delete, name, time, with_email, with_external_id,
};
use crate::subscriptions::report;

fn register(service: &Service, id: &str) -> CustomerCommand {
    CustomerCommand::Register(with_external_id(anonymous(service.tenant), id))
}

fn customer(result: &Result<Write, WriteError>) -> &Customer {
    result.as_ref().expect("a write").after()
}

fn named(result: &Result<Write, WriteError>) -> (&str, &str) {
    let profile = customer(result).profile();
    let external_id = profile.external_id.as_ref().map_or("", ExternalId::as_str);
    (external_id, profile.name.as_ref().map_or("", Name::as_str))
}

fn is_not_found(result: &Result<Write, WriteError>) -> bool {
    matches!(result, Err(WriteError::NotFound))
}

fn is_taken_by(result: &Result<Write, WriteError>, holder: &Customer) -> bool {
    matches!(result, Err(WriteError::Taken(taken)) if taken.external_id.as_deref().map(Customer::id) == Some(holder.id()))
}

fn phone() -> Phone {
    Phone::parse("+4930123456").expect("a phone number")
}

fn to_phone() -> CustomerEdit {
    CustomerEdit { phone: Edit::Set(phone()), ..CustomerEdit::default() }
}

/// Changes a customer as another process does.
fn change_elsewhere(customers: &mut dyn CustomerRepository, key: &CustomerKey, edit: CustomerEdit, now: Timestamp) {
    let found = customers.find(CustomerState::Live, std::slice::from_ref(key)).expect("an answer").remove(0);
    let before = found.expect("a live customer");
    let after = before.changed(edit, now).expect("no metadata");
    assert_eq!(customers.write(&[Write::change(before, after)]).expect("an answer"), [Written::Done]);
}

/// Has another process change a customer before each of the next `times` batches of writes.
pub fn lose_races(service: &Service, customer: &Customer, times: usize) {
    let (key, now, done) = (by_id(customer), customer.created_at(), AtomicUsize::new(0));
    service.store.interceptor.race(move |customers| {
        let number = done.fetch_add(1, Ordering::SeqCst);
        if number < times {
            change_elsewhere(customers, &key, to_name(&format!("Changed elsewhere {number}")), now);
        }
    });
}

#[test]
fn a_batch_costs_one_read_of_customers_one_of_subscriptions_and_one_write() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    service.record(report(by_id(&ada), "s")).expect("a live customer");
    let before = service.store.interceptor.runs();
    let results = service.write_all(vec![
        register(&service, "ida"),
        change(by_id(&ada), to_name("Ada")),
        CustomerCommand::Record(report(by_id(&ada), "s")),
        delete(by_id(&eda)),
        change(by_external_id(service.tenant, "ada"), to_phone()),
    ]);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(service.store.interceptor.runs() - before, 3);
}

#[test]
fn each_command_sees_what_those_before_it_did() {
    let service = Service::start();
    let key = |id| by_external_id(service.tenant, id);
    let results = service.write_all(vec![
        register(&service, "ada"),
        change(key("ada"), to_name("Ada")),
        change(key("ada"), to_external_id("eda")),
        change(key("ada"), to_name("Unknown")),
        register(&service, "ada"),
        change(key("eda"), to_name("Eda")),
        delete(key("ada")),
        delete(key("ada")),
    ]);
    let first = customer(&results[0]).id();
    assert_eq!(named(&results[1]), ("ada", "Ada"));
    assert_eq!(named(&results[2]), ("eda", "Ada"));
    assert!(is_not_found(&results[3]), "{results:?}");
    assert_ne!(customer(&results[4]).id(), first);
    assert_eq!(
        (named(&results[5]), customer(&results[5]).id(), customer(&results[5]).version()),
        (("eda", "Eda"), first, 4)
    );
    assert_eq!(customer(&results[6]).id(), customer(&results[4]).id());
    assert!(is_not_found(&results[7]), "{results:?}");
    assert_eq!(service.list(service.tenant, None, 25).customers, [customer(&results[5]).clone()]);
}

#[test]
fn an_edit_that_changes_nothing_after_another_change_writes_nothing() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let before = service.store.interceptor.writes();
    let results = service.write_all(vec![change(by_id(&ada), to_name("Ada")), change(by_id(&ada), to_name("Ada"))]);
    assert_eq!(service.store.interceptor.writes() - before, 1);
    let second = results[1].as_ref().expect("nothing to refuse");
    assert_eq!((second.before(), second.after()), (Some(customer(&results[0])), customer(&results[0])));
}

#[test]
fn a_report_after_another_of_the_same_batch_replaces_it() {
    let service = Service::start();
    let key = by_external_id(service.tenant, "ada");
    let record = || CustomerCommand::Record(report(key.clone(), "s"));
    let results = service.write_all(vec![register(&service, "ada"), record(), record()]);
    let subscription = |place: usize| results[place].as_ref().expect("a write").subscription().expect("a subscription");
    assert_eq!((&subscription(1).before, subscription(1).after.version), (&None, 1));
    assert_eq!((subscription(2).before.as_ref(), subscription(2).after.version), (Some(&subscription(1).after), 2));
}

#[test]
fn a_report_by_an_external_id_that_changed_hands_in_the_same_batch_replaces_the_subscription_of_the_new_holder() {
    let commands = |service: &Service| {
        let (ada, bea) = (service.register_named("ada"), service.register_named("bea"));
        service.record(report(by_id(&bea), "sub_1")).expect("a report");
        service.delete(by_id(&ada)).expect("a deletion");
        let to_ada = change(by_id(&bea), to_external_id("ada"));
        vec![to_ada, CustomerCommand::Record(report(by_external_id(service.tenant, "ada"), "sub_1"))]
    };
    let version = |write: &Write| write.subscription().expect("a subscription").after.version;

    let service = Service::start();
    let done = service.write_all(commands(&service));
    assert_eq!(version(done[1].as_ref().expect("a write")), 2);

    let service = Service::start();
    let done = service.roster.write_atomically(service.tenant, commands(&service), None, None);
    assert_eq!(version(&done.result.expect("both writes")[1]), 2);
}

#[test]
fn a_command_that_loses_a_race_reads_again_and_succeeds() {
    for times in 1..=3 {
        let service = Service::start();
        let ada = service.register_named("ada");
        let (runs, writes) = (service.store.interceptor.runs(), service.store.interceptor.writes());
        lose_races(&service, &ada, times);
        let after = service.change(by_id(&ada), to_phone()).expect("a change in the end");
        assert_eq!(after.profile().phone, Some(phone()));
        let elsewhere = format!("Changed elsewhere {}", times - 1);
        assert_eq!(after.profile().name, Some(name(&elsewhere)), "it was read again");
        assert_eq!(service.find(&ada), Some(after));
        // A read and a write for each attempt, of which the fourth is one transaction, and the read of the line above.
        let expected = [5, 7, 8][times - 1];
        assert_eq!(
            (service.store.interceptor.runs() - runs, service.store.interceptor.writes() - writes),
            (expected, times + 1)
        );
    }
}

#[test]
fn a_command_that_loses_every_race_gives_up_after_three_more_reads() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let writes = service.store.interceptor.writes();
    lose_races(&service, &ada, usize::MAX);
    let result = service.change(by_id(&ada), to_phone());
    assert!(matches!(&result, Err(WriteError::Store(error)) if error.is_lost_race()), "{result:?}");
    assert_eq!(service.store.interceptor.writes() - writes, 4);
    assert_eq!(service.find(&ada).expect("a live customer").profile().phone, None);
}

#[test]
fn a_command_that_loses_a_race_leaves_the_others_alone() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let writes = service.store.interceptor.writes();
    lose_races(&service, &ada, 1);
    let results = service.write_all(vec![change(by_id(&ada), to_phone()), change(by_id(&eda), to_name("Eda"))]);
    assert_eq!(named(&results[0]), ("ada", "Changed elsewhere 0"));
    assert_eq!(named(&results[1]), ("eda", "Eda"));
    assert_eq!(service.store.interceptor.writes() - writes, 3, "the other one is written once");
}

#[test]
fn commands_after_a_deletion_that_loses_a_race_see_it_all_the_same() {
    let service = Service::start();
    let ada = service.register_named("ada");
    lose_races(&service, &ada, 1);
    let key = by_external_id(service.tenant, "ada");
    let results = service.write_all(vec![delete(by_id(&ada)), change(key, to_name("Ada"))]);
    assert_eq!(named(&results[0]), ("ada", "Changed elsewhere 0"));
    assert!(is_not_found(&results[1]), "{results:?}");
}

#[test]
fn a_change_by_the_external_id_of_a_refused_registration_changes_the_holder() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let key = by_external_id(service.tenant, "ada");
    let results = service.write_all(vec![register(&service, "ada"), change(key, to_name("Ada"))]);
    assert!(is_taken_by(&results[0], &ada), "{results:?}");
    assert_eq!((customer(&results[1]).id(), named(&results[1])), (ada.id(), ("ada", "Ada")));
    assert_eq!(service.find(&ada).as_ref(), Some(customer(&results[1])));
}

#[test]
fn an_edit_that_changes_nothing_of_a_refused_registration_returns_the_holder() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let key = by_external_id(service.tenant, "ada");
    let results = service.write_all(vec![register(&service, "ada"), change(key, CustomerEdit::default())]);
    assert!(is_taken_by(&results[0], &ada), "{results:?}");
    assert_eq!(customer(&results[1]), &ada);
}

#[test]
fn a_customer_whose_change_was_refused_is_found_by_its_old_external_id() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let key = by_external_id(service.tenant, "ada");
    let results = service.write_all(vec![change(by_id(&ada), to_external_id("eda")), change(key, to_name("Ada"))]);
    assert!(is_taken_by(&results[0], &eda), "{results:?}");
    assert_eq!((customer(&results[1]).id(), named(&results[1])), (ada.id(), ("ada", "Ada")));
}

#[test]
fn a_customer_that_was_deleted_in_the_same_batch_is_not_found() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let by_name = || by_external_id(service.tenant, "ada");
    let results = service.write_all(vec![
        delete(by_name()),
        change(by_id(&ada), to_name("Ada")),
        delete(by_name()),
        CustomerCommand::Record(report(by_name(), "s")),
        register(&service, "ada"),
        change(by_name(), to_name("Eda")),
        change(by_id(&ada), to_name("Ada")),
    ]);
    let found: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(found, [true, false, false, false, true, true, false], "{results:?}");
    assert!([1, 2, 3, 6].iter().all(|place| is_not_found(&results[*place])), "{results:?}");
    assert_eq!((customer(&results[5]).id(), named(&results[5])), (customer(&results[4]).id(), ("ada", "Eda")));
}

#[test]
fn commands_after_one_that_is_decided_anew_keep_their_order() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let results = service.write_all(vec![
        register(&service, "ada"),
        change(by_external_id(service.tenant, "ada"), to_external_id("eda")),
        register(&service, "ada"),
        register(&service, "eda"),
    ]);
    assert!(is_taken_by(&results[0], &ada), "{results:?}");
    assert_eq!((customer(&results[1]).id(), named(&results[1])), (ada.id(), ("eda", "")));
    assert_ne!(customer(&results[2]).id(), ada.id());
    assert!(is_taken_by(&results[3], &ada), "{results:?}");
}

#[test]
fn two_changes_in_one_batch_keep_the_change_of_another_process() {
    let service = Service::start();
    let ada = service.register_named("ada");
    lose_races(&service, &ada, 1);
    let results = service.write_all(vec![change(by_id(&ada), to_phone()), change(by_id(&ada), to_external_id("eda"))]);
    let after = customer(&results[1]);
    assert_eq!(named(&results[1]), ("eda", "Changed elsewhere 0"));
    assert_eq!((&after.profile().phone, after.version()), (&Some(phone()), 4));
    assert_eq!(service.find(&ada).as_ref(), Some(after));
}

#[test]
fn a_corrupt_row_fails_only_the_commands_about_it() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    service.store.interceptor.corrupt(&ada);
    let results = service.write_all(vec![
        change(by_id(&eda), to_name("Eda")),
        change(by_id(&ada), to_name("Ada")),
        // It is read by another call, and fails when it is written.
        CustomerCommand::Record(report(by_id(&ada), "s")),
        register(&service, "ida"),
        change(by_external_id(service.tenant, "ida"), to_name("Ida")),
    ]);
    let done: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, false, false, true, true], "{results:?}");
    for place in [1, 2] {
        let result = &results[place];
        let is_corrupt = |error: &StoreError| matches!(error, StoreError::Corrupt { id, .. } if *id == ada.id().uuid());
        assert!(matches!(result, Err(WriteError::Store(error)) if is_corrupt(error)), "{result:?}");
    }
    assert_eq!(named(&results[4]), ("ida", "Ida"));
}

#[test]
fn a_broken_store_is_asked_once_for_a_whole_batch() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.store.interceptor.break_down();
    let changes = (0..3).map(|number| change(by_id(&ada), to_name(&number.to_string()))).collect();
    let registrations = (0..3).map(|number| register(&service, &number.to_string())).collect();
    let reports = (0..3).map(|number| CustomerCommand::Record(report(by_id(&ada), &number.to_string()))).collect();
    for commands in [changes, registrations, reports] {
        let before = service.store.interceptor.runs();
        for result in service.write_all(commands) {
            assert!(matches!(&result, Err(WriteError::Store(error)) if error.is_outage()), "{result:?}");
        }
        assert_eq!(service.store.interceptor.runs() - before, 1);
    }
}

#[test]
fn all_commands_of_a_batch_have_the_same_time() {
    let service = Service::start();
    let ada = service.register(with_email(anonymous(service.tenant), "ada@example.com"));
    service.clock.set(time("2025-01-16T00:00:00Z"));
    lose_races(&service, &ada, 1);
    let results = service.write_all(vec![change(by_id(&ada), to_phone()), register(&service, "eda")]);
    let times: Vec<_> = results.iter().map(|result| customer(result).updated_at().to_string()).collect();
    assert_eq!(times, ["2025-01-16T00:00:00.000Z"; 2]);
}
