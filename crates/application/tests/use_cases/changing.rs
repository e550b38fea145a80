use roster_application::WriteError;
use roster_application::json::metadata_patch;
use roster_application::ports::{StoreError, Taken};
use roster_domain::metadata::MetadataError;
use roster_domain::{CustomerEdit, Edit, EmailUse, Json, Metadata, MetadataEdit, Object};

use crate::service::{
    Service, anonymous, by_external_id, by_id, email, external_id, name, sandbox, seen_from, shared, time, with_email,
};

pub fn to_email(address: &str) -> CustomerEdit {
    CustomerEdit { email: Edit::Set(email(address)), ..CustomerEdit::default() }
}

pub fn to_external_id(id: &str) -> CustomerEdit {
    CustomerEdit { external_id: Edit::Set(external_id(id)), ..CustomerEdit::default() }
}

pub fn to_name(text: &str) -> CustomerEdit {
    CustomerEdit { name: Edit::Set(name(text)), ..CustomerEdit::default() }
}

#[test]
fn a_changed_customer_is_found_as_it_was_returned() {
    let service = Service::start();
    let before = service.register_named("ada");
    service.clock.advance(1000);
    let after = service.change(by_id(&before), to_name("Ada")).expect("a change");
    assert_eq!(after.profile().name, Some(name("Ada")));
    assert_eq!((after.version(), after.updated_at()), (2, time("2025-01-15T12:00:01Z")));
    assert_eq!((after.id(), after.created_at()), (before.id(), before.created_at()));
    assert_eq!(service.find(&before), Some(after));
}

#[test]
fn a_customer_is_changed_by_its_external_id_and_found_by_its_new_one() {
    let service = Service::start();
    let before = service.register_named("ada");
    let key = by_external_id(service.tenant, "ada");
    let after = service.change(key, to_external_id("eda")).expect("a change");
    assert_eq!(after.id(), before.id());
    let find = |id| service.find_by(by_external_id(service.tenant, id));
    assert_eq!((find("ada"), find("eda")), (None, Some(after)));
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let service = Service::start();
    let before = service.register_named("ada");
    service.clock.advance(1000);
    let same = CustomerEdit { external_id: Edit::Set(external_id("ada")), ..to_email("ada@example.com") };
    for edit in [CustomerEdit::default(), same] {
        let after = service.change(by_id(&before), edit).expect("nothing to refuse");
        assert_eq!(after, before);
    }
    assert_eq!(service.store.interceptor.writes(), 1, "the registration");
    service.change(by_id(&before), to_name("Ada")).expect("a change");
    assert_eq!(service.store.interceptor.writes(), 2);
}

#[test]
fn the_holders_of_the_new_identifiers_are_named_and_nothing_changes() {
    let service = Service::start();
    let [ada, eda, ida] = ["ada", "eda", "ida"].map(|id| service.register_named(id));
    let change = |edit| match service.change(by_id(&ada), edit) {
        Err(WriteError::Taken(taken)) => taken,
        other => panic!("the identifiers are free: {other:?}"),
    };
    assert_eq!(change(to_email("EDA@example.com")), Taken { email: Some(eda.id()), external_id: None });
    assert_eq!(change(to_external_id("eda")), Taken { email: None, external_id: Some(Box::new(eda.clone())) });
    let both = CustomerEdit { external_id: Edit::Set(external_id("ida")), ..to_email("eda@example.com") };
    assert_eq!(change(both), Taken { email: Some(eda.id()), external_id: Some(Box::new(ida)) });
    assert_eq!(service.find(&ada), Some(ada));
}

#[test]
fn a_customer_may_spell_its_own_address_differently() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let after = service.change(by_id(&ada), to_email("ADA@example.com")).expect("its own address");
    assert_eq!(after.profile().email, Some(email("ADA@example.com")));
}

#[test]
fn a_new_address_may_be_shared_on_purpose() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let edit = CustomerEdit { email_use: EmailUse::Shared, ..to_email("eda@example.com") };
    let after = service.change(by_id(&ada), edit).expect("a shared address");
    assert_eq!(after.email_key(), eda.email_key());
}

#[test]
fn a_shared_address_stays_shared_through_other_changes() {
    let service = Service::start();
    let ada = service.register(with_email(anonymous(service.tenant), "ada@example.com"));
    let twin = service.register(shared(with_email(anonymous(service.tenant), "ada@example.com")));
    for customer in [&ada, &twin] {
        let after = service.change(by_id(customer), to_name("Ada")).expect("no new claims");
        assert_eq!(after.parts().email_use, customer.parts().email_use);
    }
}

#[test]
fn identifiers_that_a_change_gives_up_are_free() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let without_identifiers = CustomerEdit { email: Edit::Clear, external_id: Edit::Clear, ..CustomerEdit::default() };
    service.change(by_id(&ada), without_identifiers).expect("a change");
    let edit = CustomerEdit { external_id: Edit::Set(external_id("ada")), ..to_email("ada@example.com") };
    service.change(by_id(&eda), edit).expect("free claims");
}

#[test]
fn an_unknown_deleted_or_foreign_customer_is_not_found() {
    let service = Service::start();
    let [ada, gone] = ["ada", "gone"].map(|id| service.register_named(id));
    service.delete(by_id(&gone)).expect("a live customer");
    let stranger = service.another_tenant();
    for key in [
        by_id(&gone),
        by_external_id(service.tenant, "gone"),
        by_external_id(service.tenant, "unknown"),
        seen_from(stranger, &ada),
        by_external_id(stranger, "ada"),
        seen_from(sandbox(service.tenant), &ada),
    ] {
        let result = service.change(key.clone(), to_name("Mallory"));
        assert!(matches!(result, Err(WriteError::NotFound)), "{key:?}: {result:?}");
    }
    assert_eq!(service.find(&ada), Some(ada));
}

fn merge(key: &str, value: Json) -> MetadataEdit {
    MetadataEdit::Merge(metadata_patch(Object::try_from(vec![(key.to_owned(), value)]).expect("one key")))
}

#[test]
fn metadata_that_grows_beyond_its_limit_changes_nothing() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let add = |key: &str| {
        let half = Json::String("x".repeat(9000));
        service.change(by_id(&ada), CustomerEdit { metadata: merge(key, half), ..to_name(key) })
    };
    let first = add("first").expect("small enough");
    let second = add("second");
    assert!(matches!(second, Err(WriteError::Metadata(MetadataError::TooLarge))), "{second:?}");
    assert_eq!(service.find(&ada), Some(first));
}

#[test]
fn a_merge_into_unreadable_metadata_reports_the_corrupt_row() {
    let service = Service::start();
    let mut registration = anonymous(service.tenant);
    registration.profile.metadata = Metadata::restore("[]".to_owned());
    let ada = service.register(registration);
    let edit = CustomerEdit { metadata: merge("key", Json::Null), ..CustomerEdit::default() };
    let result = service.change(by_id(&ada), edit);
    let Err(WriteError::Store(StoreError::Corrupt { column, id, .. })) = result else { panic!("{result:?}") };
    assert_eq!((column, id), ("metadata", ada.id().uuid()));
}

#[test]
fn a_broken_store_is_reported() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.store.interceptor.break_down();
    let result = service.change(by_id(&ada), to_name("Ada"));
    assert!(matches!(result, Err(WriteError::Store(_))), "{result:?}");
}
