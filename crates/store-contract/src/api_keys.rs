//! The API keys.

use std::sync::Arc;

use roster_application::ports::{Store, StoreError};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, MerchantId, Tenant, Timestamp};

use crate::actions::{insert_api_key, new_tenant, start, walk};
use crate::samples::{at, name, other_environment};

pub fn a_key_comes_back_as_it_was_made(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let least = samples.api_key(tenant);
    let all_set = ApiKey {
        name: Some(name("Ada's \"key\" \\ 名前 😀")),
        created_at: at(1),
        expires_at: Some(at(2)),
        revoked_at: Some(at(3)),
        ..samples.api_key(other_environment(tenant))
    };
    let extreme = ApiKey {
        name: Some(name("")),
        digest: Digest([0; 32]),
        created_at: Timestamp::parse("0000-01-01T00:00:00Z").expect("a time"),
        expires_at: Timestamp::parse("9999-12-31T23:59:59.999Z").ok(),
        ..samples.api_key(tenant)
    };
    for key in [least, all_set, extreme] {
        insert_api_key(store, &key).expect("a new key");
        assert_eq!(find(store, &[key.digest]), [Some(key)]);
    }
}

pub fn keys_stand_in_the_order_of_the_digests_and_missing_ones_are_none(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [a, b, missing] = [(); 3].map(|()| samples.api_key(tenant));
    for key in [&a, &b] {
        insert_api_key(store, key).expect("a new key");
    }
    let digests = [b.digest, missing.digest, a.digest, b.digest];
    assert_eq!(find(store, &digests), [Some(b.clone()), None, Some(a), Some(b)]);
    assert_eq!(find(store, &[]), []);
}

pub fn three_hundred_digests_are_answered_at_once(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let keys: Vec<_> = (0..300).map(|_| samples.api_key(tenant)).collect();
    for key in keys.iter().step_by(100) {
        insert_api_key(store, key).expect("a new key");
    }
    let digests: Vec<_> = keys.iter().map(|key| key.digest).collect();
    let found = find(store, &digests);
    assert_eq!(found.len(), 300);
    for (place, (found, key)) in found.iter().zip(&keys).enumerate() {
        assert_eq!(found.as_ref(), (place % 100 == 0).then_some(key), "at {place}");
    }
}

pub fn a_key_s_id_and_digest_are_taken_once(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = new_tenant(store, &samples);
    let first = samples.api_key(tenant);
    insert_api_key(store, &first).expect("a new key");
    let same_id = ApiKey { id: first.id, ..samples.api_key(tenant) };
    let same_digest = ApiKey { digest: first.digest, ..samples.api_key(elsewhere) };
    for second in [same_id, same_digest] {
        let refused = insert_api_key(store, &second);
        assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
    }
    assert_eq!(find(store, &[first.digest]), [Some(first)]);
    assert_eq!(list(store, elsewhere.merchant, None, 10), []);
}

pub fn a_key_of_no_merchant_is_refused(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let key = samples.api_key(Tenant { merchant: samples.merchant().id, ..tenant });
    let refused = insert_api_key(store, &key);
    assert!(matches!(refused, Err(StoreError::Internal { .. })), "{refused:?}");
    assert_eq!(find(store, &[key.digest]), [None]);
}

pub fn pages_of_keys_stand_oldest_first_and_make_up_a_merchant_s_list(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = new_tenant(store, &samples);
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(samples.api_key(tenant));
        keys.push(ApiKey { revoked_at: Some(at(1)), ..samples.api_key(other_environment(tenant)) });
        insert_api_key(store, &samples.api_key(elsewhere)).expect("a new key");
    }
    for key in keys.iter().rev() {
        insert_api_key(store, key).expect("a new key");
    }
    for limit in [1, 3, 8, 9] {
        let seen = walk(limit, |last: Option<&ApiKey>| list(store, tenant.merchant, last.map(|key| key.id), limit));
        assert_eq!(seen, keys, "limit {limit}");
    }
}

pub fn the_list_of_a_merchant_without_keys_is_empty(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let without = new_tenant(store, &samples);
    insert_api_key(store, &samples.api_key(tenant)).expect("a new key");
    assert_eq!(list(store, without.merchant, None, 10), []);
    assert_eq!(list(store, samples.merchant().id, None, 10), []);
}

pub fn revoking_a_key_again_keeps_the_first_time(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let key = ApiKey { name: Some(name("ci")), expires_at: Some(at(9)), ..samples.api_key(tenant) };
    let other = samples.api_key(tenant);
    for key in [&key, &other] {
        insert_api_key(store, key).expect("a new key");
    }
    let revoked = ApiKey { revoked_at: Some(at(5)), ..key.clone() };
    assert_eq!(revoke(store, key.id, at(5)), Some(revoked.clone()));
    assert_eq!(revoke(store, key.id, at(6)), Some(revoked.clone()));
    assert_eq!(revoke(store, key.id, at(4)), Some(revoked.clone()));
    assert_eq!(find(store, &[key.digest, other.digest]), [Some(revoked), Some(other)]);
}

pub fn an_unknown_key_is_not_revoked(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    assert_eq!(revoke(store, samples.api_key(tenant).id, at(1)), None);
}

fn find(store: &Arc<dyn Store>, digests: &[Digest]) -> Vec<Option<ApiKey>> {
    store.direct(|uow| uow.api_keys().find(digests)).expect("an answer")
}

fn list(store: &Arc<dyn Store>, merchant: MerchantId, after: Option<ApiKeyId>, limit: usize) -> Vec<ApiKey> {
    store.direct(|uow| uow.api_keys().list(merchant, after, limit)).expect("a page")
}

fn revoke(store: &Arc<dyn Store>, id: ApiKeyId, now: Timestamp) -> Option<ApiKey> {
    store.direct(|uow| uow.api_keys().revoke(id, now)).expect("an answer")
}
