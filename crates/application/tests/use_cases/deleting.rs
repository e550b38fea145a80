use roster_application::{DeleteError, PageSize};

use crate::service::{Service, by_external_id, by_id, sandbox, seen_from};

#[test]
fn a_deleted_customer_is_nowhere() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    service.roster.delete_customer(&by_id(&ada)).expect("a live customer");
    let by_name = service.find_by(by_external_id(service.tenant, "ada"));
    assert_eq!((service.find(&ada), by_name), (None, None));
    let listed = service.roster.list_customers(service.tenant, None, PageSize::DEFAULT).expect("a page");
    assert_eq!(listed.items, [eda]);
}

#[test]
fn a_customer_is_deleted_by_its_external_id_too() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.roster.delete_customer(&by_external_id(service.tenant, "ada")).expect("a live customer");
    assert_eq!(service.find(&ada), None);
}

#[test]
fn a_customer_is_deleted_once() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.roster.delete_customer(&by_id(&ada)).expect("a live customer");
    for key in [by_id(&ada), by_external_id(service.tenant, "ada")] {
        let again = service.roster.delete_customer(&key);
        assert!(matches!(again, Err(DeleteError::NotFound)), "{again:?}");
    }
}

#[test]
fn the_identifiers_of_a_deleted_customer_are_free() {
    let service = Service::start();
    let first = service.register_named("ada");
    service.roster.delete_customer(&by_id(&first)).expect("a live customer");
    let second = service.register_named("ada");
    assert_ne!(first.id(), second.id());
    assert_eq!(service.find_by(by_external_id(service.tenant, "ada")), Some(second));
}

#[test]
fn another_tenant_s_customer_is_not_found() {
    let service = Service::start();
    let ada = service.register_named("ada");
    for stranger in [service.another_tenant(), sandbox(service.tenant)] {
        for key in [seen_from(stranger, &ada), by_external_id(stranger, "ada")] {
            let result = service.roster.delete_customer(&key);
            assert!(matches!(result, Err(DeleteError::NotFound)), "{key:?}: {result:?}");
        }
    }
    assert_eq!(service.find(&ada), Some(ada));
}

#[test]
fn a_store_that_is_out_of_order_is_told() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.store.break_down();
    let result = service.roster.delete_customer(&by_id(&ada));
    assert!(matches!(result, Err(DeleteError::Store(_))), "{result:?}");
}
