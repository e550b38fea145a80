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

pub fn merchants_are_found_by_part_of_their_names(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let names = ["ACME", "Acme (old)", "Société Acmé", "100%_sure\\", "SOCIÉTÉ"];
    let merchants =
        names.map(|name| Merchant { name: MerchantName::parse(name).expect("a name"), ..samples.merchant() });
    for merchant in &merchants {
        insert_merchant(store, merchant).expect("a new merchant");
    }
    let search = |text: &str, after: Option<&Merchant>, limit| -> Vec<String> {
        let after = after.map(|merchant| merchant.id);
        let found = store.direct(|uow| uow.merchants().search(text, after, limit)).expect("a page");
        found.into_iter().map(|merchant| merchant.name.as_str().to_owned()).collect()
    };
    assert_eq!(search("acme", None, 10), ["ACME", "Acme (old)"]);
    assert_eq!(search("CME", None, 1), ["ACME"]);
    assert_eq!(search("acme", Some(&merchants[0]), 10), ["Acme (old)"]);
    // Only ASCII letters are compared in any case, and no character is a wildcard.
    assert_eq!(search("ÉTÉ", None, 10), ["SOCIÉTÉ"]);
    assert_eq!(search("%_S", None, 10), ["100%_sure\\"]);
    assert_eq!(search("a%e", None, 10), [""; 0]);
    assert_eq!(search("\\", None, 10), ["100%_sure\\"]);
}

pub fn an_update_writes_name_and_disabling_of_one_merchant_only(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let (one, other) = (samples.merchant(), samples.merchant());
    for merchant in [&one, &other] {
        insert_merchant(store, merchant).expect("a new merchant");
    }
    let disabled = Merchant {
        name: MerchantName::parse("Another name").expect("a name"),
        disabled_at: Some(at(7)),
        ..one.clone()
    };
    let update = |merchant: &Merchant| {
        let found = store.transaction(|uow| {
            let found = uow.merchants().lock(merchant.id)?;
            uow.merchants().update(merchant)?;
            Ok::<_, StoreError>(found)
        });
        found.expect("a merchant")
    };
    assert_eq!(update(&disabled), Some(one.clone()));
    assert_eq!(list(store, None, 10), [disabled.clone(), other.clone()]);
    let ids = [other.id, one.id, samples.merchant().id];
    let those_disabled = || store.direct(|uow| uow.merchants().disabled(&ids)).expect("an answer");
    assert_eq!(those_disabled(), [one.id]);
    let enabled = Merchant { disabled_at: None, ..disabled };
    update(&enabled);
    assert_eq!((find(store, one.id), those_disabled()), (Some(enabled), Vec::new()));
    // A merchant that does not exist is not made.
    let unknown = samples.merchant();
    assert_eq!((update(&unknown), find(store, unknown.id)), (None, None));
}

fn find(store: &Arc<dyn Store>, id: MerchantId) -> Option<Merchant> {
    store.direct(|uow| uow.merchants().find(id)).expect("an answer")
}

fn list(store: &Arc<dyn Store>, after: Option<MerchantId>, limit: usize) -> Vec<Merchant> {
    store.direct(|uow| uow.merchants().list(after, limit)).expect("a page")
}
