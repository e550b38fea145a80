//! The merchants.

use std::sync::Arc;

use roster_application::ports::{Store, StoreError};
use roster_domain::{Merchant, MerchantId, MerchantName, Timestamp};

use crate::actions::{insert_merchant, walk};
use crate::samples::{Samples, at};

pub fn a_merchant_comes_back_as_it_was_made(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    for (name, created_at) in [
        ("Ada & Söhne's \"Café\" \\ 名前 😀 ".to_owned(), at(1)),
        ("😀".repeat(256), Timestamp::parse("9999-12-31T23:59:59.999Z").expect("a time")),
        ("x".to_owned(), Timestamp::parse("0000-01-01T00:00:00Z").expect("a time")),
    ] {
        let merchant = Merchant { name: MerchantName::parse(name).expect("a name"), created_at, ..samples.merchant() };
        insert_merchant(store, &merchant).expect("a new merchant");
        assert_eq!(find(store, merchant.id), Some(merchant));
    }
}

pub fn an_unknown_merchant_is_not_found(store: &Arc<dyn Store>) {
    assert_eq!(find(store, Samples::default().merchant().id), None);
}

pub fn merchants_may_have_the_same_name(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let one = samples.merchant();
    let other = Merchant { id: samples.merchant().id, ..one.clone() };
    for merchant in [&one, &other] {
        insert_merchant(store, merchant).expect("a new id");
    }
    assert_eq!(list(store, None, 10), [one, other]);
}

pub fn the_id_of_a_merchant_is_unique(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let first = samples.merchant();
    insert_merchant(store, &first).expect("a new merchant");
    let second = Merchant { id: first.id, ..samples.merchant() };
    let refused = insert_merchant(store, &second);
    assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
    assert_eq!(find(store, first.id), Some(first));
}

pub fn pages_of_merchants_are_oldest_first_and_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    assert_eq!(list(store, None, 10), []);
    let merchants: Vec<_> = (0..7).map(|_| samples.merchant()).collect();
    for merchant in merchants.iter().rev() {
        insert_merchant(store, merchant).expect("a new merchant");
    }
    for limit in [1, 3, 7, 8] {
        let seen = walk(limit, |last: Option<&Merchant>| list(store, last.map(|merchant| merchant.id), limit));
        assert_eq!(seen, merchants, "limit {limit}");
    }
}

fn find(store: &Arc<dyn Store>, id: MerchantId) -> Option<Merchant> {
    store.direct(|uow| uow.merchants().find(id)).expect("an answer")
}

fn list(store: &Arc<dyn Store>, after: Option<MerchantId>, limit: usize) -> Vec<Merchant> {
    store.direct(|uow| uow.merchants().list(after, limit)).expect("a page")
}
