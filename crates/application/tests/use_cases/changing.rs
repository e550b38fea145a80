use roster_application::ChangeError;
use roster_application::ports::Taken;
use roster_domain::metadata::MetadataError;
use roster_domain::{Customer, CustomerEdit, Edit, EmailUse, Json, MetadataEdit, Object};

use crate::service::{
    Service, by_external_id, by_id, email, external_id, name, nobody, sandbox, seen_from, shared, time, with_email,
};

fn to_email(address: &str) -> CustomerEdit {
    CustomerEdit { email: Edit::Set(email(address)), ..CustomerEdit::default() }
}

fn to_external_id(id: &str) -> CustomerEdit {
    CustomerEdit { external_id: Edit::Set(external_id(id)), ..CustomerEdit::default() }
}

fn to_name(text: &str) -> CustomerEdit {
    CustomerEdit { name: Edit::Set(name(text)), ..CustomerEdit::default() }
}

fn who_is_in_the_way(result: Result<Customer, ChangeError>) -> Taken {
    match result {
        Err(ChangeError::Taken(taken)) => taken,
        other => panic!("nobody is in the way: {other:?}"),
    }
}

#[test]
fn a_change_is_there_as_it_was_answered() {
    let service = Service::start();
    let before = service.register_named("ada");
    service.clock.advance(1000);
    let after = service.roster.change_customer(&by_id(&before), &to_name("Ada")).expect("a change");
    assert_eq!(after.profile().name, Some(name("Ada")));
    assert_eq!((after.parts().version, after.updated_at()), (2, time("2025-01-15T12:00:01Z")));
    assert_eq!((after.id(), after.created_at()), (before.id(), before.created_at()));
    assert_eq!(service.find(&before), Some(after));
}

#[test]
fn a_customer_is_changed_by_its_external_id_too_and_found_by_its_new_one() {
    let service = Service::start();
    let before = service.register_named("ada");
    let key = by_external_id(service.tenant, "ada");
    let after = service.roster.change_customer(&key, &to_external_id("eda")).expect("a change");
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
        let after = service.roster.change_customer(&by_id(&before), &edit).expect("nothing to refuse");
        assert_eq!(after, before);
    }
    assert_eq!(service.store.updates(), 0);
    service.roster.change_customer(&by_id(&before), &to_name("Ada")).expect("a change");
    assert_eq!(service.store.updates(), 1);
}

#[test]
fn whoever_has_the_new_identifiers_is_named_and_nothing_changes() {
    let service = Service::start();
    let [ada, eda, ida] = ["ada", "eda", "ida"].map(|id| service.register_named(id));
    let change = |edit| who_is_in_the_way(service.roster.change_customer(&by_id(&ada), &edit));
    assert_eq!(change(to_email("EDA@example.com")), Taken { email: Some(eda.id()), external_id: None });
    assert_eq!(change(to_external_id("eda")), Taken { email: None, external_id: Some(Box::new(eda.clone())) });
    let both = CustomerEdit { external_id: Edit::Set(external_id("ida")), ..to_email("eda@example.com") };
    assert_eq!(change(both), Taken { email: Some(eda.id()), external_id: Some(Box::new(ida)) });
    assert_eq!(service.find(&ada), Some(ada));
}

#[test]
fn one_s_own_address_in_another_spelling_is_not_in_the_way() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let after = service.roster.change_customer(&by_id(&ada), &to_email("ADA@example.com")).expect("its own address");
    assert_eq!(after.profile().email, Some(email("ADA@example.com")));
}

#[test]
fn a_new_address_may_be_shared_on_purpose() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let edit = CustomerEdit { email_use: EmailUse::Shared, ..to_email("eda@example.com") };
    let after = service.roster.change_customer(&by_id(&ada), &edit).expect("a shared address");
    assert_eq!(after.email_key(), eda.email_key());
}

#[test]
fn whoever_shares_an_address_keeps_sharing_it_through_other_changes() {
    let service = Service::start();
    let ada = service.register(with_email(nobody(service.tenant), "ada@example.com"));
    let twin = service.register(shared(with_email(nobody(service.tenant), "ada@example.com")));
    for customer in [&ada, &twin] {
        let after = service.roster.change_customer(&by_id(customer), &to_name("Ada")).expect("no new claims");
        assert_eq!(after.parts().email_use, customer.parts().email_use);
    }
}

#[test]
fn what_a_change_gives_up_is_free() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let nameless = CustomerEdit { email: Edit::Clear, external_id: Edit::Clear, ..CustomerEdit::default() };
    service.roster.change_customer(&by_id(&ada), &nameless).expect("a change");
    let edit = CustomerEdit { external_id: Edit::Set(external_id("ada")), ..to_email("ada@example.com") };
    service.roster.change_customer(&by_id(&eda), &edit).expect("free claims");
}

#[test]
fn a_customer_that_is_not_there_or_somebody_else_s_is_not_found() {
    let service = Service::start();
    let [ada, gone] = ["ada", "gone"].map(|id| service.register_named(id));
    service.roster.delete_customer(&by_id(&gone)).expect("a live customer");
    let stranger = service.another_tenant();
    for key in [
        by_id(&gone),
        by_external_id(service.tenant, "gone"),
        by_external_id(service.tenant, "nobody"),
        seen_from(stranger, &ada),
        by_external_id(stranger, "ada"),
        seen_from(sandbox(service.tenant), &ada),
    ] {
        let result = service.roster.change_customer(&key, &to_name("Mallory"));
        assert!(matches!(result, Err(ChangeError::NotFound)), "{key:?}: {result:?}");
    }
    assert_eq!(service.find(&ada), Some(ada));
}

#[test]
fn metadata_that_grows_beyond_its_limit_changes_nothing() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let add = |key: &str| {
        let half = Json::String("x".repeat(9000));
        let patch = Object::try_from(vec![(key.to_owned(), half)]).expect("one key");
        let edit = CustomerEdit { metadata: MetadataEdit::Merge(patch), ..to_name(key) };
        service.roster.change_customer(&by_id(&ada), &edit)
    };
    let first = add("first").expect("small enough");
    let second = add("second");
    assert!(matches!(second, Err(ChangeError::Metadata(MetadataError::TooLarge))), "{second:?}");
    assert_eq!(service.find(&ada), Some(first));
}

#[test]
fn a_store_that_is_out_of_order_is_told() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.store.break_down();
    let result = service.roster.change_customer(&by_id(&ada), &to_name("Ada"));
    assert!(matches!(result, Err(ChangeError::Store(_))), "{result:?}");
}
