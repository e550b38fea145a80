use roster_application::WriteError;

use crate::service::{Service, by_external_id, by_id, sandbox, seen_from};

#[test]
fn a_deleted_customer_is_neither_found_nor_listed() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let deleted = service.delete(by_id(&ada)).expect("a live customer");
    assert_eq!((deleted.id(), deleted.version(), deleted.is_live()), (ada.id(), 2, false));
    let by_name = service.find_by(by_external_id(service.tenant, "ada"));
    assert_eq!((service.find(&ada), by_name), (None, None));
    assert_eq!(service.list(service.tenant, None, 25).customers, [eda]);
}

#[test]
fn a_customer_is_deleted_by_its_external_id() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.delete(by_external_id(service.tenant, "ada")).expect("a live customer");
    assert_eq!(service.find(&ada), None);
}

#[test]
fn a_customer_is_deleted_once() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.delete(by_id(&ada)).expect("a live customer");
    for key in [by_id(&ada), by_external_id(service.tenant, "ada")] {
        let again = service.delete(key);
        assert!(matches!(again, Err(WriteError::NotFound)), "{again:?}");
    }
}

#[test]
fn the_identifiers_of_a_deleted_customer_are_free() {
    let service = Service::start();
    let first = service.register_named("ada");
    service.delete(by_id(&first)).expect("a live customer");
    let second = service.register_named("ada");
    assert_ne!(first.id(), second.id());
    assert_eq!(service.find_by(by_external_id(service.tenant, "ada")), Some(second));
}

#[test]
fn a_customer_of_another_tenant_is_not_found() {
    let service = Service::start();
    let ada = service.register_named("ada");
    for stranger in [service.another_tenant(), sandbox(service.tenant)] {
        for key in [seen_from(stranger, &ada), by_external_id(stranger, "ada")] {
            let result = service.delete(key.clone());
            assert!(matches!(result, Err(WriteError::NotFound)), "{key:?}: {result:?}");
        }
    }
    assert_eq!(service.find(&ada), Some(ada));
}

#[test]
fn a_broken_store_is_reported() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.store.interceptor.break_down();
    let result = service.delete(by_id(&ada));
    assert!(matches!(result, Err(WriteError::Store(_))), "{result:?}");
}
