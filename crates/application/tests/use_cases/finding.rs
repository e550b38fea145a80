use roster_application::PageSize;
use roster_application::ports::{CustomerQuery, Place, StoreError};
use roster_domain::{Customer, CustomerId};

use crate::service::{Service, anonymous, by_external_id, by_id, sandbox, seen_from};

#[test]
fn customers_are_found_in_the_order_of_the_keys() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    let keys = [by_external_id(service.tenant, "eda"), by_external_id(service.tenant, "unknown"), by_id(&ada)];
    let found: Result<Vec<_>, _> = service.roster.find_customers(&keys).into_iter().collect();
    assert_eq!(found.expect("answers"), [Some(eda), None, Some(ada)]);
}

#[test]
fn a_customer_of_another_tenant_looks_like_one_that_never_existed() {
    let service = Service::start();
    let ada = service.register_named("ada");
    for stranger in [service.another_tenant(), sandbox(service.tenant)] {
        let keys = [seen_from(stranger, &ada), by_external_id(stranger, "ada")];
        let found: Result<Vec<_>, _> = service.roster.find_customers(&keys).into_iter().collect();
        assert_eq!(found.expect("answers"), [None, None]);
        let page = service.list(stranger, None, 25);
        assert_eq!((page.customers.len(), page.next), (0, None));
    }
}

#[test]
fn a_page_says_whether_the_list_goes_on() {
    let service = Service::start();
    for _ in 0..5 {
        service.register(anonymous(service.tenant));
    }
    for (limit, length, has_more) in [(1, 1, true), (4, 4, true), (5, 5, false), (6, 5, false)] {
        let page = service.list(service.tenant, None, limit);
        let last = page.customers.last().map(Place::from);
        assert_eq!((page.customers.len(), page.next), (length, last.filter(|_| has_more)), "limit {limit}");
    }
}

#[test]
fn a_page_that_is_asked_for_several_times_at_once_is_read_once() {
    let service = Service::start();
    for _ in 0..3 {
        service.register(anonymous(service.tenant));
    }
    let newest = |tenant, limit| CustomerQuery::newest(tenant, limit);
    let (one, two) = (newest(service.tenant, 1), newest(service.tenant, 2));
    let queries = [one.clone(), two.clone(), newest(sandbox(service.tenant), 1), one.clone(), one];
    let pages = service.roster.list_customers_together(&queries);
    let lengths: Vec<usize> = pages.iter().map(|page| page.as_ref().expect("a page").customers.len()).collect();
    assert_eq!((lengths, service.store.interceptor.pages()), (vec![1, 2, 0, 1, 1], vec![3]));
    for (query, page) in queries.iter().zip(pages) {
        assert_eq!(page.expect("a page"), service.roster.list_customers(query, false).expect("a page"));
    }
}

#[test]
fn a_page_that_cannot_be_read_fails_alone() {
    let service = Service::start();
    let corrupt = service.register(anonymous(service.tenant));
    let first = CustomerQuery::newest(service.tenant, 1);
    let behind = CustomerQuery { after: Some(Place::from(&corrupt)), ..first.clone() };
    service.store.interceptor.corrupt(&corrupt);
    let pages = service.roster.list_customers_together(&[first.clone(), behind, first]);
    assert_eq!(pages.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn pages_are_newest_first_and_make_up_the_whole_list() {
    let service = Service::start();
    let mut customers: Vec<CustomerId> = (0..7).map(|_| service.register(anonymous(service.tenant)).id()).collect();
    customers.reverse();
    let mut seen: Vec<CustomerId> = Vec::new();
    let mut next = None;
    for length in [3, 3, 1] {
        let page = service.list(service.tenant, next, 3);
        assert_eq!((page.customers.len(), page.next.is_some()), (length, length == 3));
        seen.extend(page.customers.iter().map(Customer::id));
        next = page.next;
    }
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
fn a_check_asks_the_store_for_a_sign_of_life() {
    let service = Service::start();
    service.roster.check_store().expect("a store that is there");
    service.store.interceptor.break_down();
    let sign = service.roster.check_store();
    assert!(matches!(sign, Err(StoreError::Unavailable { .. })), "{sign:?}");
}
