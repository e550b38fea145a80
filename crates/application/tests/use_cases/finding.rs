use roster_application::PageSize;
use roster_application::ports::StoreError;
use roster_domain::{Customer, CustomerId};

use crate::service::{Service, by_external_id, by_id, nobody, sandbox, seen_from};

fn size(size: u16) -> PageSize {
    PageSize::new(size).expect("1 to 100")
}

#[test]
fn customers_are_found_in_the_order_of_the_keys() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let keys = [by_external_id(service.tenant, "eda"), by_external_id(service.tenant, "nobody"), by_id(&ada)];
    let found: Result<Vec<_>, _> = service.roster.find_customers(&keys).into_iter().collect();
    assert_eq!(found.expect("answers"), [Some(eda), None, Some(ada)]);
}

#[test]
fn another_tenant_s_customer_is_as_one_that_never_existed() {
    let service = Service::start();
    let ada = service.register_named("ada");
    for stranger in [service.another_tenant(), sandbox(service.tenant)] {
        let keys = [seen_from(stranger, &ada), by_external_id(stranger, "ada")];
        let found: Result<Vec<_>, _> = service.roster.find_customers(&keys).into_iter().collect();
        assert_eq!(found.expect("answers"), [None, None]);
        let page = service.roster.list_customers(stranger, None, PageSize::DEFAULT).expect("a page");
        assert_eq!((page.items.len(), page.has_more), (0, false));
    }
}

#[test]
fn a_page_says_whether_the_list_goes_on() {
    let service = Service::start();
    for _ in 0..5 {
        service.register(nobody(service.tenant));
    }
    let page = |limit| service.roster.list_customers(service.tenant, None, size(limit)).expect("a page");
    for (limit, length, has_more) in [(1, 1, true), (4, 4, true), (5, 5, false), (6, 5, false)] {
        let page = page(limit);
        assert_eq!((page.items.len(), page.has_more), (length, has_more), "limit {limit}");
    }
}

#[test]
fn pages_stand_newest_first_and_make_up_the_whole_list() {
    let service = Service::start();
    let mut customers: Vec<CustomerId> = (0..7).map(|_| service.register(nobody(service.tenant)).id()).collect();
    customers.reverse();
    let mut seen: Vec<CustomerId> = Vec::new();
    for rest in [4, 1] {
        let page = service.roster.list_customers(service.tenant, seen.last().copied(), size(3)).expect("a page");
        assert_eq!((page.items.len(), page.has_more), (3, true), "{rest} are left");
        seen.extend(page.items.iter().map(Customer::id));
    }
    let last = service.roster.list_customers(service.tenant, seen.last().copied(), size(3)).expect("a page");
    assert!(!last.has_more);
    seen.extend(last.items.iter().map(Customer::id));
    assert_eq!(seen, customers);
}

#[test]
fn a_page_has_one_to_a_hundred_items() {
    for (size, allowed) in [(0, false), (1, true), (25, true), (100, true), (101, false), (u16::MAX, false)] {
        assert_eq!(PageSize::new(size).is_some(), allowed, "{size}");
    }
    assert_eq!(PageSize::DEFAULT.get(), 25);
}

#[test]
fn the_store_s_sign_of_life_is_passed_on() {
    let service = Service::start();
    service.roster.check_store().expect("a store that is there");
    service.store.break_down();
    let sign = service.roster.check_store();
    assert!(matches!(sign, Err(StoreError::Unavailable { .. })), "{sign:?}");
}
