use roster_application::{Operation, PageSize};
use roster_domain::MerchantName;

use crate::service::{Service, time};

#[test]
fn a_merchant_is_listed_as_it_was_answered() {
    let service = Service::start();
    service.clock.advance(1000);
    let merchant = service
        .roster
        .create_merchant(MerchantName::parse("Eda & Co").expect("a name"), &Operation::COMMAND_LINE)
        .expect("a merchant");
    assert_eq!((merchant.name.as_str(), merchant.created_at), ("Eda & Co", time("2025-01-15T12:00:01Z")));
    let listed = service.roster.list_merchants(Some(service.tenant.merchant), PageSize::DEFAULT).expect("a page");
    assert_eq!((listed.items, listed.has_more), (vec![merchant], false));
}

#[test]
fn pages_of_merchants_stand_oldest_first() {
    let service = Service::start();
    service.another_tenant();
    service.another_tenant();
    let two = PageSize::new(2).expect("1 to 100");
    let first = service.roster.list_merchants(None, two).expect("a page");
    assert_eq!((first.items.len(), first.has_more, first.items[0].id), (2, true, service.tenant.merchant));
    let second = service.roster.list_merchants(Some(first.items[1].id), two).expect("a page");
    assert_eq!((second.items.len(), second.has_more), (1, false));
    assert!(first.items[1].id < second.items[0].id);
}
